"""The audio clips that simulated users send: synthetic speech, or the operator's own recordings."""

from __future__ import annotations

import random
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from asr.audio import decode
from asr.units import SAMPLE_RATE
from core.errors import ApiError
from tools.loadtests.generator_config import Clip
from tools.loadtests.sentences import sentence
from tts import encoding
from tts.encoding import AudioFormat, encode
from tts.espeak import NORMAL_RATE, speak
from tts.espeak import SAMPLE_RATE as ESPEAK_RATE

MAX_CLIPS = 240
LONGEST_S = 30.0  # of an operator's recording
TYPES = {
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".webm": "audio/webm",
    ".flac": "audio/flac",
}
_SILENCE = np.zeros(3 * SAMPLE_RATE // 10, np.int16)

Samples = npt.NDArray[np.int16]


class UnusableClips(Exception):
    """The folder contains no usable recordings."""


def spoken(folder: Path, number: int, seed: int) -> Iterator[Clip]:
    """Synthesise clips of one or two sentences with eSpeak NG, each with different words and at a random speed.

    Half of the clips are WAV files. The others are Opus, the format that browsers record.

    ``folder``: where the files are written.
    ``number``: how many clips to make.
    ``seed``: the seed of the random numbers.
    """
    generator = random.Random(seed)
    for index in range(number):
        first = generator.randrange(10**6)
        text = " ".join(sentence(first + extra) for extra in range(generator.choice((1, 1, 2))))
        speech = speak(text, "ms", rate=round(NORMAL_RATE * generator.uniform(0.85, 1.2))).astype(np.float32)
        samples = np.concatenate([_SILENCE, _rounded(soxr.resample(speech, ESPEAK_RATE, SAMPLE_RATE)), _SILENCE])
        pcm = _write_wav(folder / f"{index:04}.wav", samples)
        if index % 2:
            opus = folder / f"{index:04}.ogg"
            resampled = soxr.resample(samples.astype(np.float32), SAMPLE_RATE, encoding.SAMPLE_RATE)
            opus.write_bytes(encode(_rounded(resampled), AudioFormat.OPUS))
            yield Clip(str(opus), TYPES[".ogg"], str(pcm), len(samples) / SAMPLE_RATE)
        else:
            yield Clip(str(pcm), TYPES[".wav"], str(pcm), len(samples) / SAMPLE_RATE)


def recorded(source: Path, folder: Path) -> Iterator[Clip]:
    """Yield the recordings in ``source``, at most ``MAX_CLIPS``, and write a WAV copy of each to ``folder``.

    Raise ``UnusableClips`` if there are no recordings, or if one does not decode or is longer than ``LONGEST_S``.
    """
    files = sorted(path for path in source.glob("*") if path.suffix.lower() in TYPES) if source.is_dir() else []
    if not files:
        raise UnusableClips(f"{source}: no recordings there ({', '.join(TYPES)})")
    for index, path in enumerate(files[:MAX_CLIPS]):
        try:
            recording = decode(path.read_bytes(), max_duration_s=LONGEST_S)
        except ApiError as error:
            raise UnusableClips(f"{path}: {error.message}") from error
        pcm = _write_wav(folder / f"{index:04}.wav", recording.samples)
        yield Clip(str(path.resolve()), TYPES[path.suffix.lower()], str(pcm), recording.duration_s)


def _rounded(audio: npt.NDArray[np.float32]) -> Samples:
    return np.clip(np.rint(audio), -32_768, 32_767).astype(np.int16)


def _write_wav(path: Path, samples: Samples) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", "not compressed"))
        file.writeframes(samples.astype("<i2", copy=False).tobytes())
    return path
