"""Decode audio files as a player does."""

from __future__ import annotations

import io

import av
import numpy as np

from tts.encoding import SAMPLE_RATE, Samples


def heard(data: bytes) -> tuple[str, Samples]:
    """Return FFmpeg's name for the container, and the audio as mono int16 samples, shape (n,), at ``SAMPLE_RATE``."""
    with av.open(io.BytesIO(data), "r") as container:
        resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
        return container.format.name, np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


def seconds(data: bytes) -> float:
    return len(heard(data)[1]) / SAMPLE_RATE
