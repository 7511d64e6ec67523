"""Check that a response contains what was asked for: words in a transcript, or audible speech in audio."""

from __future__ import annotations

import io
import json
from typing import Any

import av
import numpy as np
import numpy.typing as npt

SHORTEST_S = 0.3
LIVE_RATE = 24_000
QUIETEST = 100  # audio with a lower peak (of 32768) counts as silence

FORMATS = {"mp3": "mp3", "opus": "ogg", "wav": "wav", "flac": "flac", "aac": "aac"}  # FFmpeg's names


class WrongResponse(Exception):
    """The service reported success, but the response does not contain what was asked for."""


def check_words(body: bytes | str) -> None:
    """Raise ``WrongResponse`` if the body is not a JSON transcript that contains words."""
    try:
        text = json.loads(body)["text"]
    except (ValueError, KeyError, TypeError) as error:
        raise WrongResponse("no transcript in the answer") from error
    if not isinstance(text, str) or not text.strip():
        raise WrongResponse("a transcript without words")


def check_audio(body: bytes, name: str) -> float:
    """Check an audio file and return its length in seconds.

    ``body``: the audio file.
    ``name``: the expected format, a key of ``FORMATS``.

    Raise ``WrongResponse`` if the file does not decode, has another format, is too short, or is silent.
    """
    try:
        with av.open(io.BytesIO(body), "r") as container:
            found = container.format.name
            stream = container.streams.audio[0]
            parts = [frame.to_ndarray().ravel() for frame in container.decode(stream)]
            rate = stream.rate
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise WrongResponse(f"{name} that does not decode") from error
    if FORMATS[name] not in found.split(","):
        raise WrongResponse(f"{found} instead of {name}")
    samples = np.concatenate(parts) if parts else np.zeros(0, np.int16)
    return _check_sound(samples, rate)


def check_pcm(body: bytes) -> float:
    """Check raw 16-bit mono audio at ``LIVE_RATE`` and return its length in seconds.

    Raise ``WrongResponse`` if the audio is too short or silent.
    """
    if len(body) % 2:
        raise WrongResponse("half a sample")
    return _check_sound(np.frombuffer(body, "<i2"), LIVE_RATE)


def _check_sound(samples: npt.NDArray[Any], rate: int) -> float:
    if len(samples) < SHORTEST_S * rate:
        raise WrongResponse(f"only {len(samples) / rate:.2f} s of audio")
    full_scale = np.iinfo(samples.dtype).max if samples.dtype.kind == "i" else 1.0
    peak = float(np.max(np.abs(samples.astype(np.float64)))) / full_scale
    if peak < QUIETEST / 32_768:
        raise WrongResponse("silence instead of speech")
    return len(samples) / rate
