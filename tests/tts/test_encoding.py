from __future__ import annotations

import io
import wave

import av
import numpy as np
import pytest

from tests.tts.listening import heard
from tts.encoding import SAMPLE_RATE, AudioFormat, Samples, encode, stream_encoder, with_length

SECONDS = 3
CONTAINERS = [one for one in AudioFormat if one is not AudioFormat.PCM]


def tone(seconds: float = SECONDS) -> Samples:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (8000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)


def streamed(audio_format: AudioFormat, samples: Samples, pieces: int = 5) -> bytes:
    encoder = stream_encoder(audio_format)
    return b"".join([*map(encoder.feed, np.array_split(samples, pieces)), encoder.finish()])


def loudest_pitch(samples: Samples) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * SAMPLE_RATE / len(samples))


@pytest.mark.parametrize("pieces", [0, 1, 7], ids=["whole", "streamed", "in pieces"])
@pytest.mark.parametrize("audio_format", CONTAINERS)
def test_every_format_can_be_decoded_to_the_same_sound(audio_format: AudioFormat, pieces: int) -> None:
    data = streamed(audio_format, tone(), pieces) if pieces else encode(tone(), audio_format)
    name, samples = heard(data)
    assert name == {"opus": "ogg"}.get(audio_format, audio_format)
    assert len(samples) / SAMPLE_RATE == pytest.approx(SECONDS, abs=0.1)
    assert loudest_pitch(samples) == pytest.approx(440, abs=2)
    assert samples.astype(float).std() == pytest.approx(8000 / 2**0.5, rel=0.1)  # LAME reduces the level by 5 %


@pytest.mark.parametrize("audio_format", list(AudioFormat))
def test_the_first_piece_gives_bytes_at_once(audio_format: AudioFormat) -> None:
    assert len(stream_encoder(audio_format).feed(tone(1.0))) > 1000


@pytest.mark.parametrize("audio_format", list(AudioFormat))
def test_very_short_audio_is_encoded(audio_format: AudioFormat) -> None:
    for data in (encode(tone(0.01), audio_format), streamed(audio_format, tone(0.01), 1)):
        assert data
        if audio_format is not AudioFormat.PCM:
            assert len(heard(data)[1])


def test_pcm_contains_the_samples_unchanged() -> None:
    assert encode(tone(), AudioFormat.PCM) == streamed(AudioFormat.PCM, tone()) == tone().astype("<i2").tobytes()


@pytest.mark.parametrize("audio_format", [AudioFormat.WAV, AudioFormat.FLAC])
def test_lossless_formats_lose_nothing(audio_format: AudioFormat) -> None:
    assert np.array_equal(heard(streamed(audio_format, tone()))[1], tone())


def test_wave_module_reads_whole_and_streamed_files() -> None:
    for data in (encode(tone(), AudioFormat.WAV), streamed(AudioFormat.WAV, tone())):
        with wave.open(io.BytesIO(data)) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, SAMPLE_RATE)
            assert file.readframes(file.getnframes()) == tone().tobytes()


def test_only_a_whole_wav_states_its_length() -> None:
    whole = encode(tone(), AudioFormat.WAV)
    with wave.open(io.BytesIO(whole)) as file:
        assert file.getnframes() == len(tone())
    assert int.from_bytes(whole[4:8], "little") == len(whole) - 8
    assert streamed(AudioFormat.WAV, tone())[40:44] == b"\xff\xff\xff\xff"


@pytest.mark.parametrize("audio_format", list(AudioFormat))
def test_the_length_is_added_after_streaming(audio_format: AudioFormat) -> None:
    data = with_length(streamed(audio_format, tone()), audio_format, len(tone()))
    if audio_format is AudioFormat.WAV:
        assert data == encode(tone(), AudioFormat.WAV)
    elif audio_format is not AudioFormat.PCM:
        with av.open(io.BytesIO(data), "r") as container:
            assert (container.duration or 0) / 1e6 == pytest.approx(SECONDS, abs=0.1)
        assert len(heard(data)[1]) / SAMPLE_RATE == pytest.approx(SECONDS, abs=0.1)


def test_a_whole_mp3_has_exactly_the_samples_of_its_input() -> None:
    assert len(heard(encode(tone(), AudioFormat.MP3))[1]) == len(tone())
