"""The voices that speak the sentences of the simulated users: Kokoro where it is installed, else eSpeak NG.

A neural voice sounds more like a person than eSpeak NG does. Whisper was trained on human speech, so it repeats itself
more often when it hears eSpeak NG. The service then decodes the recording again (``docs/load-tests.md`` has the
figures).
"""

from __future__ import annotations

import hashlib
import os
import wave
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import soxr

from asr.units import SAMPLE_RATE
from model_store.catalogue import Task
from model_store.choice import choose
from model_store.errors import ModelNotInstalled
from tts import kokoro
from tts.espeak import NORMAL_RATE, speak
from tts.espeak import SAMPLE_RATE as ESPEAK_RATE
from tts.loudness import level
from tts.phonemes import phonemes

LANGUAGE = "ms"
# The voice packs that take turns: four Malay voices, and an English voice that speaks Malay with an accent.
PACKS = ("aisyah", "hafiz", "melati", "azlan", "heart")
KOKORO = "kokoro-82m"
THREADS = 2
REFERENCE = "səlˈamat pˈaɡi sˈəmua."  # in IPA

Samples = npt.NDArray[np.int16]


class Speaker(Protocol):
    """Speaks the sentences of the simulated users.

    ``name``: name of the engine, for the report.
    """

    name: str

    def say(self, text: str, turn: int, speed: float) -> Samples:
        """Speak a sentence. Return int16 mono at ``SAMPLE_RATE``, shape (n,).

        ``turn``: chooses among several voices.
        ``speed``: factor of the voice's normal speed.
        """


class Espeak:
    """Speaks with eSpeak NG's Malay voice."""

    name = "eSpeak NG"

    def say(self, text: str, turn: int, speed: float) -> Samples:
        speech = speak(text, LANGUAGE, rate=round(NORMAL_RATE * speed)).astype(np.float32)
        return rounded(soxr.resample(speech, ESPEAK_RATE, SAMPLE_RATE))


class Kokoro:
    """Speaks with Kokoro's voices in turn. Each sentence is synthesised once and then cached in a folder.

    Cached sentences must not outlive a change to the model or to the code that runs it. Each ``Kokoro`` object
    therefore synthesises a reference sentence, whose samples are part of every cache key.

    ``directory``: the folder of the model's files.
    ``cache``: the folder of the cached sentences.
    """

    name = "Kokoro"

    def __init__(self, directory: Path, cache: Path) -> None:
        self._directory = directory
        self._cache = cache

    def say(self, text: str, turn: int, speed: float) -> Samples:
        name = PACKS[turn % len(PACKS)]
        ipa = phonemes(text, LANGUAGE)
        kept = self._cache / f"{self._key(ipa, name, speed)}.wav"
        if not kept.is_file():
            self._keep(kept, self._synthesise(ipa, name, speed))
        with wave.open(str(kept)) as file:
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)

    def _key(self, ipa: str, name: str, speed: float) -> str:
        """Return a cache key: a digest of everything on which the speech depends.

        The digest is made from the phonemes instead of the text, so a changed pronunciation gives a new key.
        """
        digest = hashlib.sha256(f"{ipa}\0{speed:.3f}".encode())
        digest.update(kokoro.pack_of(name).tobytes())
        digest.update(self._reference)
        return digest.hexdigest()[:32]

    @cached_property
    def _reference(self) -> bytes:
        """The samples of the reference sentence."""
        return self._synthesise(REFERENCE, PACKS[0], 1.0).tobytes()

    @cached_property
    def _model(self) -> kokoro.KokoroModel:
        return kokoro.load(self._directory, device="cpu", threads=min(THREADS, os.cpu_count() or 1))

    def _synthesise(self, ipa: str, name: str, speed: float) -> Samples:
        speech = level(self._model.speak(ipa, kokoro.pack_of(name), speed), kokoro.SAMPLE_RATE)
        return rounded(32_767 * soxr.resample(speech, kokoro.SAMPLE_RATE, SAMPLE_RATE))

    def _keep(self, path: Path, samples: Samples) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        write_wav(draft, samples)
        draft.replace(path)  # an interrupted run leaves no incomplete file


def best_speaker(models: Path, cache: Path) -> Speaker:
    """Return Kokoro if it is installed, else eSpeak NG.

    ``models``: the folder in which models are installed.
    ``cache``: the folder in which Kokoro caches sentences.
    """
    try:
        choice = choose(Task.SPEECH, KOKORO, models)
    except ModelNotInstalled:
        return Espeak()
    assert choice.directory is not None
    return Kokoro(choice.directory, cache)


def rounded(audio: npt.NDArray[np.float32]) -> Samples:
    """Return audio in the range of int16 as int16."""
    return np.clip(np.rint(audio), -32_768, 32_767).astype(np.int16)


def write_wav(path: Path, samples: Samples) -> Path:
    """Write int16 mono samples at ``SAMPLE_RATE`` to a WAV file, and return its path."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", "not compressed"))
        file.writeframes(samples.astype("<i2", copy=False).tobytes())
    return path
