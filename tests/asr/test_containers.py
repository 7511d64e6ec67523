"""Containers: their timestamps and track choices are respected; sizes and rates in their headers are not trusted."""

from __future__ import annotations

import io
import resource
import signal
import struct
import subprocess
import sys

import av
import numpy as np
import pytest
import soxr

from asr import decoder_process, segmenting
from asr.audio import Recording, decode
from asr.units import SAMPLE_RATE
from core.errors import ApiError
from tests import sound
from tests.asr import audiofiles
from tests.asr.audiofiles import Track, muxed

BEEP = sound.tone(1.0)


def loud_seconds(recording: Recording) -> list[tuple[float, float]]:
    """Return the start and end in seconds of each part that is not silent."""
    loud = np.flatnonzero(np.abs(recording.samples) > 2000)
    if not len(loud):
        return []
    cuts = np.flatnonzero(np.diff(loud) > SAMPLE_RATE // 4)
    starts = [loud[0], *loud[cuts + 1]]
    ends = [*loud[cuts], loud[-1]]
    return [(start / SAMPLE_RATE, end / SAMPLE_RATE) for start, end in zip(starts, ends, strict=True)]


def code(data: bytes, max_duration_s: float = 600) -> str:
    with pytest.raises(ApiError) as refusal:
        decode(data, max_duration_s=max_duration_s)
    assert refusal.value.status in (400, 413)
    return refusal.value.code


# --- timestamps -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", list(audiofiles.KINDS))
def test_a_paused_recording_keeps_its_times(kind: str) -> None:
    recording = decode(muxed(kind, [Track([(0, BEEP), (9, BEEP)])]), max_duration_s=60)
    first, second = loud_seconds(recording)
    assert first == pytest.approx((0, 1), abs=0.12)
    assert second == pytest.approx((9, 10), abs=0.12)
    assert recording.paused_s == pytest.approx(8, abs=0.15)
    assert recording.sound_s == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize("kind", ["m4a", "mp4", "webm", "mka"])
@pytest.mark.parametrize("picture_s", [0.0, 6.0])
def test_sound_that_begins_late_keeps_its_time(kind: str, picture_s: float) -> None:
    if picture_s and kind == "m4a":
        pytest.skip("holds no pictures")
    recording = decode(muxed(kind, [Track([(3.5, BEEP)])], picture_s=picture_s), max_duration_s=60)
    assert loud_seconds(recording)[0][0] == pytest.approx(3.5, abs=0.12)


@pytest.mark.parametrize("kind", ["webm", "fragmented mp4", "mka"])
def test_a_part_of_a_long_stream_starts_at_zero(kind: str) -> None:
    recording = decode(muxed(kind, [Track([(7200, BEEP)])]), max_duration_s=60)
    assert loud_seconds(recording)[0][0] == pytest.approx(0, abs=0.12)


@pytest.mark.parametrize("kind", ["webm", "mka", "m4a"])
def test_a_jump_of_hours_is_refused_without_allocating_memory(kind: str) -> None:
    assert code(muxed(kind, [Track([(0, BEEP), (20_000, BEEP)])]), max_duration_s=3600) == "audio_too_long"


def test_jitter_of_the_timestamps_adds_no_silence() -> None:
    parts = [(0.25 * index + 0.05 * (index % 2), sound.tone(0.25)) for index in range(8)]
    assert decode(muxed("webm", [Track(parts)]), max_duration_s=60).paused_s == 0


# --- tracks -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["mka", "mp4", "webm"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_tracks_the_audible_one_is_used(kind: str, order: tuple[int, int]) -> None:
    tracks = [Track([(0, sound.silence(2))], default=True), Track([(0, sound.tone(2))], default=False)]
    recording = decode(muxed(kind, [tracks[index] for index in order]), max_duration_s=60)
    assert loud_seconds(recording)[0] == pytest.approx((0, 2), abs=0.12)


@pytest.mark.parametrize("kind", ["mka", "webm"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_audible_tracks_the_default_one_is_used(kind: str, order: tuple[int, int]) -> None:
    tracks = [Track([(0, sound.tone(2, 880))], default=False), Track([(0, 0.5 * sound.tone(2, 440))], default=True)]
    recording = decode(muxed(kind, [tracks[index] for index in order]), max_duration_s=60)
    spectrum = np.abs(np.fft.rfft(recording.samples[:SAMPLE_RATE]))
    assert np.argmax(spectrum) == pytest.approx(440, abs=3)


# --- channels ---------------------------------------------------------------------------------------------------------
def pcm(channels: list[sound.Audio], rate: int = SAMPLE_RATE) -> bytes:
    samples = (np.clip(np.stack(channels, axis=1), -1, 1) * 32767).astype("<i2").tobytes()
    return audiofiles.riff(samples, announced=len(samples), rate=rate, channels=len(channels))


@pytest.mark.parametrize(
    ("weights", "least"),
    [((1, 1), 0.28), ((1, -1), 0.28), ((0.5, -1), 0.2), ((0, 1), 0.28), ((1, 0, 0), 0.28), ((1, -1, 1, -1), 0.28)],
)
def test_mixing_channels_cancels_nothing_out(weights: tuple[float, ...], least: float) -> None:
    hiss = [0.002 * sound.noise(2) for _ in weights]
    audio = [weight * sound.tone(2) + noise for weight, noise in zip(weights, hiss, strict=True)]
    recording = decode(pcm(audio), max_duration_s=60)
    assert np.abs(recording.samples[SAMPLE_RATE:]).max() / 32768 >= least


@pytest.mark.parametrize("rate", [8_000, 44_100])
@pytest.mark.parametrize("silent_s", [0.0, 6.0])
@pytest.mark.parametrize("louder", [1.0, 0.4])
def test_speech_in_opposite_phase_is_recognised(rate: int, silent_s: float, louder: float) -> None:
    """Two channels in opposite phase do not cancel out, even after silence or if one of them is louder."""
    left = soxr.resample(sound.joined([sound.silence(silent_s), sound.said("selamat pagi semua")]), sound.RATE, rate)
    straight = decode(pcm([left, louder * left], rate), max_duration_s=60)
    turned = decode(pcm([left, -louder * left], rate), max_duration_s=60)
    difference = straight.samples.astype(np.float32) - turned.samples
    assert np.abs(straight.samples).max() > 3000
    assert np.abs(difference).max() < 0.02 * np.abs(straight.samples).max()


def test_two_speakers_on_separate_channels_are_both_recognised() -> None:
    left = sound.joined([sound.tone(1, 440), sound.silence(2)])
    right = sound.joined([sound.silence(2), 0.3 * sound.tone(1, 660)])
    recording = decode(pcm([left, right]), max_duration_s=60)
    assert [start for start, _ in loud_seconds(recording)] == pytest.approx([0, 2], abs=0.05)


# --- headers that are wrong -------------------------------------------------------------------------------------------
SAMPLES = (3000 * np.sin(np.arange(32_000))).astype("<i2").tobytes()
BOMBS = {
    "FLAC of 94 bytes and 8 Hz": audiofiles.flac_bomb(frames=3),
    "FLAC of many frames": audiofiles.flac_bomb(frames=2000, rate=16_000),
    "WAV of 8 Hz": audiofiles.riff(SAMPLES, announced=len(SAMPLES), rate=8),
    "WAV of 4 GHz": audiofiles.riff(SAMPLES, announced=len(SAMPLES), rate=0xFFFFFFFF),
    "WAV of 255 channels": audiofiles.riff(SAMPLES, announced=len(SAMPLES), channels=255),
    "WAV of 65,535 channels": audiofiles.riff(SAMPLES, announced=len(SAMPLES), channels=0xFFFF),
    "MP4 with a table of 500 million": audiofiles.mp4_with_table(500_000_000),
    "MP4 with a table of 4 billion": audiofiles.mp4_with_table(0xFFFFFFFF),
    "AU of 3 GHz": b".snd" + struct.pack(">IIIII", 24, 0xFFFFFFFF, 3, 3_000_000_000, 1) + SAMPLES,
}


@pytest.mark.parametrize("name", list(BOMBS))
def test_a_decompression_bomb_is_refused_with_little_memory(name: str) -> None:
    """Refusing the file takes little memory in this process, because another process decodes it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert code(BOMBS[name], 3600) in ("invalid_audio", "audio_too_long")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000


def test_the_decompression_bomb_is_a_valid_flac() -> None:
    """The same frames decode at a usual sample rate, so the bomb is not refused for being malformed."""
    assert decode(audiofiles.flac_bomb(frames=3, rate=48_000), max_duration_s=60).duration_s == pytest.approx(
        4.1, abs=0.1
    )


@pytest.mark.parametrize("rate", [4_000, 5_512, 99_991, 192_000, 384_000])
def test_unusual_sample_rates_are_accepted(rate: int) -> None:
    time = np.arange(rate) / rate
    assert decode(sound.wav(np.sin(880 * time).astype(np.float32), rate), max_duration_s=9).duration_s == pytest.approx(
        1
    )


def test_the_decoders_memory_is_limited() -> None:
    script = (
        "from asr import decoder_process as d; d._bound_memory(); kept = []\n"
        "try:\n for _ in range(400): kept.append(bytearray(b'x') * (1 << 20))\n"
        "except MemoryError: print(len(kept))"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert 100 < int(answer.stdout) < 140


def test_a_decoder_runs_before_the_first_file() -> None:
    decoder_process._end_all()
    segmenting.warm_up()
    assert [process.alive for process in decoder_process._idle] == [True]


def test_a_decoder_that_dies_fails_only_one_file() -> None:
    decode(sound.encoded(BEEP, "flac"), max_duration_s=9)
    for process in decoder_process._idle:
        process._process.kill()
        process._process.wait()
    assert decode(sound.encoded(BEEP, "flac"), max_duration_s=9).duration_s == pytest.approx(1, abs=0.1)


def test_a_decoder_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    decode(sound.encoded(BEEP, "flac"), max_duration_s=9)
    for process in decoder_process._idle:
        process._process.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(decoder_process, "SILENCE_S", 0.2)
    assert code(sound.encoded(BEEP, "flac")) == "invalid_audio"
    decoder_process._end_all()


# --- formats ----------------------------------------------------------------------------------------------------------
def written(container_name: str, codec: str, rate: int, sample_format: str) -> bytes:
    buffer = io.BytesIO()
    data = (0.3 * 32767 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate)).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(data[None], "s16", "mono")
    frame.sample_rate = rate
    with av.open(buffer, "w", format=container_name) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        resampler = av.AudioResampler(sample_format, "mono", rate, frame_size=stream.frame_size or None)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return buffer.getvalue()


FORMS = [
    ("avi", "pcm_s16le", 16_000, "s16"),
    ("avi", "libmp3lame", 44_100, "s16p"),
    ("aiff", "pcm_s16be", 22_050, "s16"),
    ("au", "pcm_s16be", 8_000, "s16"),
    ("caf", "pcm_s16le", 48_000, "s16"),
    ("wav", "pcm_mulaw", 8_000, "s16"),
    ("wav", "pcm_s24le", 48_000, "s32"),
    ("wav", "pcm_f32le", 16_000, "flt"),
    ("wav", "pcm_u8", 11_025, "u8"),
    ("adts", "aac", 44_100, "fltp"),
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form[1]} in {form[0]}")
def test_formats(form: tuple[str, str, int, str]) -> None:
    recording = decode(written(*form), max_duration_s=9)
    assert recording.duration_s == pytest.approx(2, abs=0.1)
    assert np.abs(recording.samples[SAMPLE_RATE // 2 : SAMPLE_RATE]).max() == pytest.approx(0.3 * 32768, rel=0.25)


def test_raw_gsm() -> None:
    """A frame of 33 bytes is 20 ms of audio.

    FFmpeg cannot encode GSM here, so each frame is the format's signature followed by zeros.
    """
    frame = bytes([0xD0]) + bytes(32)
    assert decode(frame * 100, max_duration_s=9).duration_s == pytest.approx(2, abs=0.03)


@pytest.mark.parametrize("head", [b"FLV\x01", b"wvpk", b"MThd", b".RMF", b"#!SILK_V3", b"%PDF-1.7", b'{"a": 1}'])
def test_unsupported_formats_are_reported_as_such(head: bytes) -> None:
    assert code(head + bytes(400)) == "unsupported_format"


# --- damage -----------------------------------------------------------------------------------------------------------
def seeds() -> list[bytes]:
    audio = sound.said("satu dua tiga")
    plain = [sound.encoded(audio, name) for name in sound.CONTAINERS]
    return plain + [muxed(kind, [Track([(0, audio), (3, audio)])]) for kind in ("fragmented mp4", "ts", "mka")]


def mutated(data: bytes, generator: np.random.Generator) -> bytes:
    changed = bytearray(data)
    match generator.integers(5):
        case 0:  # some bytes changed anywhere
            for at in generator.integers(0, len(changed), 8):
                changed[at] = generator.integers(256)
        case 1:  # bytes changed in the header, where sizes and rates are
            for at in generator.integers(0, min(400, len(changed)), 6):
                changed[at] = generator.choice([0, 1, 0x7F, 0x80, 0xFF, generator.integers(256)])
        case 2:
            del changed[generator.integers(len(changed)) :]
        case 3:
            at = generator.integers(len(changed))
            del changed[at : at + generator.integers(1, 2000)]
        case 4:  # a part repeated
            at = generator.integers(len(changed))
            changed[at:at] = changed[at : at + generator.integers(1, 5000)]
    return bytes(changed)


def test_three_hundred_damaged_files_are_decoded_or_refused() -> None:
    generator = np.random.default_rng(11)
    originals = seeds()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for index in range(300):
        data = mutated(originals[index % len(originals)], generator)
        try:
            assert decode(data, max_duration_s=600).duration_s <= 601
        except ApiError as refusal:
            assert refusal.status in (400, 413), refusal
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
