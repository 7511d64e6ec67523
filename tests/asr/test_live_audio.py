from __future__ import annotations

from typing import Any

import av
import numpy as np
import pytest
import soxr

from asr.audio import decode
from asr.live_audio import RATES, AudioInput, Encoding
from asr.units import SAMPLE_RATE
from core.errors import ApiError
from tests import sound
from tests.asr.sockets import pcm16


def heard(line: AudioInput, messages: list[bytes]) -> sound.Audio:
    return np.concatenate([*(line.decode(message) for message in messages), line.rest()])


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("size", [320, 1_764, 7_000])
def test_resampling_does_not_depend_on_message_boundaries(rate: int, size: int) -> None:
    audio = 0.5 * sound.said("selamat pagi")
    sent = soxr.resample(audio, SAMPLE_RATE, rate).astype(np.float32)
    found = heard(AudioInput(Encoding.PCM16, rate), cut(pcm16(sent), size))
    assert abs(len(found) - len(audio)) <= 2
    length = min(len(found), len(audio))
    expected = soxr.resample(sent, rate, SAMPLE_RATE)[:length] if rate != SAMPLE_RATE else audio[:length]
    np.testing.assert_allclose(found[:length], expected, atol=2e-3)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("size", [320, 1_764, 96_000])
def test_live_samples_equal_those_of_a_file(rate: int, size: int) -> None:
    file = sound.wav(soxr.resample(0.5 * sound.said("selamat pagi"), SAMPLE_RATE, rate).astype(np.float32), rate)
    recording = decode(file, max_duration_s=10)
    found = heard(AudioInput(Encoding.PCM16, rate), cut(file[44:], size))
    np.testing.assert_array_equal(found, recording.float32(0, len(recording.samples)))


@pytest.mark.parametrize(("encoding", "codec"), [(Encoding.MULAW, "pcm_mulaw"), (Encoding.ALAW, "pcm_alaw")])
def test_g711_follows_the_standard(encoding: Encoding, codec: str) -> None:
    every_byte = bytes(range(256))
    decoder: Any = av.CodecContext.create(codec, "r")
    decoder.sample_rate = 8_000
    decoder.layout = "mono"
    [frame] = decoder.decode(av.Packet(every_byte))
    expected = frame.to_ndarray().reshape(-1) / 32768
    np.testing.assert_allclose(AudioInput(encoding, SAMPLE_RATE).decode(every_byte), expected, atol=1e-7)


def test_opus_packets() -> None:
    audio = sound.said("selamat pagi semua")
    line = AudioInput(Encoding.OPUS, 8_000)
    assert line.sample_rate == 48_000
    found = heard(line, opus_packets(audio))
    assert abs(len(found) - len(audio)) < 0.1 * SAMPLE_RATE
    # The codec is lossy: the sound is similar, but not the samples. Its delay is a few milliseconds.
    lag = max(range(0, 400, 2), key=lambda shift: np.dot(found[shift : shift + 16_000], audio[:16_000]))
    aligned = found[lag : lag + 16_000]
    assert np.corrcoef(aligned, audio[: len(aligned)])[0, 1] > 0.8


def opus_packets(audio: sound.Audio) -> list[bytes]:
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate = 48_000
    encoder.layout = "mono"
    encoder.format = "flt"
    encoder.bit_rate = 32_000
    encoder.open()
    samples = soxr.resample(audio, SAMPLE_RATE, 48_000).astype(np.float32)
    packets = []
    for start in range(0, len(samples) - 960, 960):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + 960], "flt", "mono")
        frame.sample_rate = 48_000
        frame.pts = start
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets + [bytes(packet) for packet in encoder.encode(None)]


@pytest.mark.parametrize("rate", [0, 7_999, 11_025, 96_000, -16_000])
def test_another_rate_is_refused(rate: int) -> None:
    with pytest.raises(ApiError) as refusal:
        AudioInput(Encoding.PCM16, rate)
    assert (refusal.value.status, refusal.value.param) == (400, "sample_rate")


@pytest.mark.parametrize("rate", [16_000, 24_000])
@pytest.mark.parametrize("size", [1, 3, 321])
def test_messages_may_be_split_within_a_sample(rate: int, size: int) -> None:
    data = bytes(np.random.default_rng(0).integers(0, 256, 6_001, np.uint8))
    line = AudioInput(Encoding.PCM16, rate)
    pieces = [line.decode(data[start : start + size]) for start in range(0, len(data), size)]
    whole = AudioInput(Encoding.PCM16, rate)
    expected = [whole.decode(data[:-1]), whole.rest()]
    np.testing.assert_allclose(np.concatenate([*pieces, line.rest()]), np.concatenate(expected), atol=1e-6)


def test_noise_reduction_removes_rumble_without_delay() -> None:
    seconds = np.arange(2 * 16_000) / 16_000
    voice = 0.2 * np.sin(2 * np.pi * 300 * seconds)
    rumble = 0.5 * np.sin(2 * np.pi * 30 * seconds) + 0.2
    line = AudioInput(Encoding.PCM16, 16_000, reduces_noise=True)
    data = (32_767 * (voice + rumble)).astype("<i2").tobytes()
    heard = np.concatenate(
        [*(line.decode(data[start : start + 640]) for start in range(0, len(data), 640)), line.rest()]
    )
    assert len(heard) == len(voice)
    middle = slice(1_000, -1_000)  # without the ends, which are cut off abruptly
    np.testing.assert_allclose(heard[middle], voice[middle], atol=0.01)


@pytest.mark.parametrize("packet", [b"", b"\xff" * 40, bytes(70_000)])
def test_invalid_opus_is_refused(packet: bytes) -> None:
    with pytest.raises(ApiError) as refusal:
        AudioInput(Encoding.OPUS, 48_000).decode(packet)
    assert refusal.value.code == "invalid_audio"
