from __future__ import annotations

import numpy as np
import pytest

from tts.espeak import SAMPLE_RATE, speak
from tts.loudness import PEAK_LIMIT_DB, SPEECH_LEVEL_DB, Audio, active_level_db, level, trim
from tts.tempo import retime
from tts.voices import catalogue

SENTENCE = "Selamat pagi, apa khabar semua?"


def spoken(voice: str = "ms") -> Audio:
    return speak(SENTENCE, voice).astype(np.float32) / np.float32(32768)


@pytest.mark.parametrize("gain", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("voice", [str(one.parameters["voice"]) for one in catalogue().all() if one.language == "ms"])
def test_all_voices_are_equally_loud(voice: str, gain: float) -> None:
    levelled = level(spoken(voice) * np.float32(gain), SAMPLE_RATE)
    assert active_level_db(levelled, SAMPLE_RATE) == pytest.approx(SPEECH_LEVEL_DB, abs=1.0)
    assert np.abs(levelled).max() <= 10 ** (PEAK_LIMIT_DB / 20) + 1e-6


def test_a_pause_does_not_make_the_words_louder() -> None:
    words = spoken()
    padded = np.concatenate([words, np.zeros(5 * SAMPLE_RATE, np.float32)])
    loudest = np.abs(level(words, SAMPLE_RATE)).max()
    assert np.abs(level(padded, SAMPLE_RATE)).max() == pytest.approx(loudest, rel=0.01)


def test_a_click_is_limited() -> None:
    click = np.zeros(SAMPLE_RATE, np.float32)
    click[1000:1010] = 0.9
    assert np.abs(level(click, SAMPLE_RATE)).max() <= 10 ** (PEAK_LIMIT_DB / 20) + 1e-6


@pytest.mark.parametrize("length", [0, 1, 100, SAMPLE_RATE])
def test_silence_stays_silence(length: int) -> None:
    silence = np.zeros(length, np.float32)
    assert not level(silence, SAMPLE_RATE).any()
    assert not len(trim(silence, SAMPLE_RATE))


def test_trim_keeps_the_words_and_a_short_margin() -> None:
    quiet = np.zeros(SAMPLE_RATE, np.float32)
    words = trim(spoken(), SAMPLE_RATE, keep_s=0)
    trimmed = trim(np.concatenate([quiet, words, quiet]), SAMPLE_RATE)
    assert len(trimmed) == len(words) + 2 * int(0.02 * SAMPLE_RATE)


@pytest.mark.parametrize("tempo", [0.25, 0.4, 0.9, 1.0, 1.7, 2.0, 3.0, 4.0])
def test_tempo_changes_the_duration_and_not_the_pitch(tempo: float) -> None:
    time = np.arange(2 * SAMPLE_RATE, dtype=np.float32) / SAMPLE_RATE
    out = retime((0.5 * np.sin(2 * np.pi * 220 * time)).astype(np.float32), SAMPLE_RATE, tempo=tempo, to_rate=24_000)
    assert 2 / (len(out) / 24_000) == pytest.approx(tempo, rel=0.05)
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out))))
    assert spectrum.argmax() * 24_000 / len(out) == pytest.approx(220, abs=5)
