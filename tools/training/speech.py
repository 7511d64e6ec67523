"""Generate training audio: synthetic speech, distortions of rooms and telephone lines, and sounds without speech."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import fftconvolve, resample_poly

from tts.espeak import speak

RATE = 16_000
VARIANTS = ["m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5"]
Audio = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Voice:
    """A voice of eSpeak NG.

    ``name``: the voice, with its variant after a plus sign.
    ``rate``: words per minute.
    ``pitch``: the pitch from 0 to 99.
    """

    name: str = "ms"
    rate: int = 175
    pitch: int = 50


def draw_voice(rng: random.Random) -> Voice:
    """Draw a random voice.

    Often it is the default voice. Otherwise the variant, speed (0.6 to 1.4 times the default) and pitch are random.
    """
    if rng.random() < 0.45:
        return Voice()
    name = "ms" if rng.random() < 0.4 else f"ms+{rng.choice(VARIANTS)}"
    rate = 175 if rng.random() < 0.3 else rng.randint(110, 240)
    pitch = 50 if rng.random() < 0.5 else rng.randint(20, 85)
    return Voice(name, rate, pitch)


def utter(text: str, voice: Voice) -> Audio:
    """Speak the text, and return the speech without silence at its start and end.

    The samples are float32 mono at ``RATE``. Their peak depends on the voice (about 0.3 to 0.9). The result is empty if
    nothing is audible.
    """
    samples = speak(text, voice.name, rate=voice.rate, pitch=voice.pitch).astype(np.float32) / 32768
    loud = np.flatnonzero(np.abs(samples) > 0.003)
    if len(loud) == 0:
        return np.zeros(0, np.float32)
    return np.asarray(resample_poly(samples[loud[0] : loud[-1] + 1], 320, 441), np.float32)


def silence(seconds: float) -> Audio:
    return np.zeros(int(seconds * RATE), np.float32)


def noise(length: int, rng: np.random.Generator) -> Audio:
    """Return noise of unit variance, with a random colour from white to brown.

    The power falls as frequency to the power of 0 to -2.
    """
    size = next_fast_len(length, real=True)
    spectrum = rfft(rng.standard_normal(size, dtype=np.float32))
    slope = np.arange(1, len(spectrum) + 1, dtype=np.float32) ** -rng.uniform(0, 1)
    shaped = irfft(spectrum * slope, size)[:length]
    return np.asarray(shaped / (shaped.std() + 1e-9), np.float32)


def distort(audio: Audio, rng: random.Random, generator: np.random.Generator) -> Audio:
    """Distort speech randomly, as on its way from a speaker to the server.

    Some examples get these:

    - echo;
    - the narrow band of a telephone;
    - noise at a signal-to-noise ratio of 8 to 40 dB.

    All examples get these:

    - a random gain;
    - 16-bit quantisation.
    """
    if rng.random() < 0.06 and len(audio) > RATE // 2:
        tail = generator.standard_normal(int(rng.uniform(0.05, 0.25) * RATE))
        response = tail * np.exp(-np.arange(len(tail)) / (len(tail) / 5)) * rng.uniform(0.02, 0.12)
        response[0] = 1.0
        audio = fftconvolve(audio, response)[: len(audio)].astype(np.float32)
    if rng.random() < 0.06:
        audio = resample_poly(resample_poly(audio, 1, 2), 2, 1)[: len(audio)].astype(np.float32)
    if rng.random() < 0.35:
        level = (audio.std() + 1e-6) * 10 ** (-rng.uniform(8, 40) / 20)
        audio = audio + level * noise(len(audio), generator)
    audio = audio * 10 ** rng.uniform(-1, 0.2)
    return (np.round(np.clip(audio, -1, 1) * 32767) / 32768).astype(np.float32)


def no_speech(seconds: float, rng: random.Random, generator: np.random.Generator) -> Audio:
    """Return random audio without speech: silence, noise, tones, clicks or hold music."""
    length = int(seconds * RATE)
    time = np.arange(length) / RATE
    kind = rng.choice(["silence", "noise", "tone", "music", "music", "clicks"])
    audio = np.zeros(length)
    if kind == "tone":
        for _ in range(rng.randint(1, 3)):
            audio += np.sin(2 * np.pi * rng.uniform(80, 3000) * time)
        if rng.random() < 0.5:
            audio *= np.sin(2 * np.pi * rng.uniform(0.3, 4) * time) > 0
    elif kind == "music":
        beat = int(rng.uniform(0.15, 0.6) * RATE)
        root = rng.uniform(110, 440)
        for start in range(0, length, beat):
            here = time[: min(beat, length - start)]
            for step in rng.sample([0, 2, 4, 5, 7, 9, 11, 12], rng.randint(1, 3)):
                pitch = root * 2 ** (step / 12)
                wave = sum(np.sin(2 * np.pi * pitch * k * here) / k**1.5 for k in range(1, 5))
                audio[start : start + len(here)] += wave * np.exp(-here * rng.uniform(1, 6))
    elif kind == "clicks":
        for start in generator.integers(0, length, rng.randint(2, 30)):
            burst = generator.standard_normal(rng.randint(20, 900))[: length - start]
            audio[start : start + len(burst)] += burst * np.exp(-np.arange(len(burst)) / 100)
    if kind == "noise" or rng.random() < 0.4:
        audio = audio + rng.uniform(0.05, 1) * noise(length, generator)
    peak = np.abs(audio).max()
    return (audio / peak * 10 ** rng.uniform(-2.5, -0.1)).astype(np.float32) if peak > 0 else audio.astype(np.float32)
