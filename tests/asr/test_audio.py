"""Decoding: the containers that chat front ends send, and the reasons for which files are refused."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from asr.audio import decode
from asr.containers import UnusableAudio, chunks
from asr.units import SAMPLE_RATE
from core.errors import ApiError
from tests import sound

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde"


def refused(data: bytes, max_duration_s: float = 60) -> ApiError:
    with pytest.raises(ApiError) as refusal:
        decode(data, max_duration_s=max_duration_s)
    return refusal.value


@pytest.mark.parametrize(
    ("container", "channels"),
    [(name, channels) for name in sound.CONTAINERS for channels in (1, 2) if name != "amr" or channels == 1],
)
def test_it_works(container: str, channels: int) -> None:
    audio = sound.joined([sound.silence(0.5), sound.tone(1.0), sound.silence(0.5)])
    recording = decode(sound.encoded(audio, container, channels=channels), max_duration_s=60)
    assert recording.duration_s == pytest.approx(2.0, abs=0.1)
    loud = np.flatnonzero(np.abs(recording.samples) > 3000) / SAMPLE_RATE
    assert loud[0] == pytest.approx(0.5, abs=0.1)
    assert loud[-1] == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 96_000])
def test_every_sample_rate_keeps_the_pitch(rate: int) -> None:
    time = np.arange(rate) / rate
    recording = decode(sound.wav(np.sin(2 * np.pi * 1000 * time).astype(np.float32), rate), max_duration_s=60)
    spectrum = np.abs(np.fft.rfft(recording.samples))
    assert np.argmax(spectrum) * SAMPLE_RATE / len(recording.samples) == pytest.approx(1000, abs=3)


def test_a_wav_from_a_pipe_is_read_without_sizes() -> None:
    data = bytearray(sound.wav(sound.tone(1)))
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    assert decode(bytes(data), max_duration_s=60).duration_s == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "invalid_audio"),
        (b"RIFF", "invalid_audio"),
        (bytes(range(256)) * 40, "invalid_audio"),
        (PNG, "unsupported_format"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "unsupported_format"),
        (sound.wav(sound.tone(2))[:20_000], "invalid_audio"),
        (sound.encoded(sound.tone(4), "m4a")[:20_000], "invalid_audio"),
        (sound.encoded(sound.noise(4), "flac")[:60_000], "invalid_audio"),
        (sound.wav(sound.tone(0.05)), "audio_too_short"),
        (sound.wav(np.zeros(0, np.float32)), "invalid_audio"),
    ],
    ids=["empty", "header", "random", "png", "playlist", "cut-wav", "cut-m4a", "cut-flac", "50-ms", "no-samples"],
)
def test_unusable_audio_is_refused(data: bytes, code: str) -> None:
    refusal = refused(data)
    assert (refusal.status, refusal.code, refusal.param) == (400, code, "file")


def float_wav(values: np.ndarray, size: int = 4) -> bytes:
    """Return a mono WAV file of floating-point samples of ``size`` bytes."""
    samples = values.astype(f"<f{size}").tobytes()
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 3, 1, sound.RATE, size * sound.RATE, size, 8 * size)
    head += b"data" + struct.pack("<I", len(samples))
    return b"RIFF" + struct.pack("<I", len(head) + len(samples)) + head + samples


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_floating_point_samples_must_be_numbers(value: float) -> None:
    audio = sound.tone(2)
    expected = decode(float_wav(audio), max_duration_s=60)
    audio[::100] = value  # a few are replaced
    heard = decode(float_wav(audio), max_duration_s=60)
    assert np.abs(heard.samples.astype(np.int32) - expected.samples).mean() < 400
    audio[::5] = value
    refusal = refused(float_wav(audio))
    assert (refusal.status, refusal.code, refusal.param) == (400, "invalid_audio", "file")
    assert refused(float_wav(np.full(32_000, value))).code == "invalid_audio"


@pytest.mark.filterwarnings("error")
def test_samples_too_large_for_32_bits_are_refused_without_a_warning() -> None:
    with pytest.raises(UnusableAudio):
        list(chunks(float_wav(np.full(32_000, 1e300), size=8), max_duration_s=60))


def test_too_long_audio_in_a_small_file_is_refused_while_decoding() -> None:
    two_hours = sound.encoded(sound.silence(120), "flac")
    assert len(two_hours) < 200_000
    refusal = refused(two_hours, max_duration_s=60)
    assert (refusal.status, refusal.code) == (413, "audio_too_long")


def test_a_header_with_wrong_chunk_sizes_does_no_harm() -> None:
    data = bytearray(sound.wav(sound.tone(1)))
    struct.pack_into("<I", data, 16, 0xFFFFFFF0)
    refused(bytes(data))


@pytest.mark.parametrize("before", [b"", b"LIST\x05\0\0\0abcde\0"], ids=["plain", "with a chunk of odd length before"])
def test_a_16_khz_mono_wav_gives_the_same_samples_without_ffmpeg(before: bytes) -> None:
    """A WAV file that is already 16-bit mono at 16 kHz gives the same samples with and without FFmpeg."""
    from asr.audio import _collected
    from asr.containers import chunks

    data = sound.wav(sound.tone(1.0))
    data = data[:12] + before + data[12:] + b"LIST\x04\0\0\0abcd"
    assert np.array_equal(decode(data, max_duration_s=60).samples, _collected(chunks(data, 60), 60).samples)


def test_a_16_khz_mono_wav_has_the_same_limits() -> None:
    assert refused(sound.wav(sound.tone(0.05))).code == "audio_too_short"
    assert refused(sound.wav(sound.tone(2.0)), max_duration_s=1).code == "audio_too_long"
    assert refused(sound.wav(sound.silence(0))).code == "invalid_audio"
