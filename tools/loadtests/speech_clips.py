"""The audio clips that simulated users send: synthetic speech, or the operator's own recordings."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr

from asr.audio import decode
from asr.units import SAMPLE_RATE
from core.errors import ApiError
from tools.loadtests.generator_config import Clip
from tools.loadtests.sentences import sentence
from tools.loadtests.speakers import Speaker, rounded, write_wav
from tts import encoding
from tts.encoding import AudioFormat, encode

MAX_CLIPS = 240
MAX_SPOKEN = 60  # speaking more would take minutes; repeated clips do no harm, because transcripts are not cached
SEED = 1
SPEEDS = (0.85, 1.2)
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


class UnusableClips(Exception):
    """The folder contains no usable recordings."""


def spoken(folder: Path, number: int, speaker: Speaker) -> Iterator[Clip]:
    """Speak clips of one or two random sentences, each clip at a random speed.

    The clips are the same in every run, so that runs can be compared and the speaker's cache can be used. Half of them
    are WAV files. The others are Opus files, the format in which browsers record.

    ``folder``: where the files are written.
    ``number``: how many clips to make.
    """
    generator = random.Random(SEED)
    for index in range(number):
        first = generator.randrange(10**6)
        speed = round(generator.uniform(*SPEEDS), 2)
        parts = [_SILENCE]
        for extra in range(generator.choice((1, 1, 2))):
            parts += [speaker.say(sentence(first + extra), index, speed), _SILENCE]
        samples = np.concatenate(parts)
        pcm = write_wav(folder / f"{index:04}.wav", samples)
        if index % 2:
            opus = folder / f"{index:04}.ogg"
            resampled = soxr.resample(samples.astype(np.float32), SAMPLE_RATE, encoding.SAMPLE_RATE)
            opus.write_bytes(encode(rounded(resampled), AudioFormat.OPUS))
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
        pcm = write_wav(folder / f"{index:04}.wav", recording.samples)
        yield Clip(str(path.resolve()), TYPES[path.suffix.lower()], str(pcm), recording.duration_s)
