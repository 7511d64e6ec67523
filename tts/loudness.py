"""Bring the speech of all voices to the same loudness, and trim the silence around it.

Arrays are float32 mono in [-1, 1], shape (n,).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Audio = npt.NDArray[np.float32]

SPEECH_LEVEL_DB = -20.0  # root mean square of the frames with speech, relative to full scale
PEAK_LIMIT_DB = -1.0  # below full scale, because lossy codecs overshoot a little
MAX_GAIN_DB = 30.0

_FRAME_S = 0.02
_ACTIVE_BELOW_LOUDEST_DB = 35.0  # frames that are quieter by more than this count as pauses (as in ITU-T P.56)
_SILENCE_DB = -50.0


def active_level_db(audio: Audio, sample_rate: int) -> float:
    """Return the RMS level of the frames that contain speech, in dB relative to full scale; -inf for silence."""
    frame = int(sample_rate * _FRAME_S)
    count = len(audio) // frame
    frames = audio[: count * frame].reshape(count, frame) if count else audio.reshape(1, -1)
    power = np.mean(frames**2, axis=1)
    loudest = power.max(initial=0.0)
    if loudest <= 0:
        return -np.inf
    return _decibel(power[power > loudest * 10 ** (-_ACTIVE_BELOW_LOUDEST_DB / 10)].mean())


def level(audio: Audio, sample_rate: int) -> Audio:
    """Scale audio to ``SPEECH_LEVEL_DB``, or as near to it as the limits for gain and peak allow.

    Silence is returned unchanged.
    """
    now = active_level_db(audio, sample_rate) if len(audio) else -np.inf
    if now < _SILENCE_DB - MAX_GAIN_DB:
        return audio
    gain_db = min(SPEECH_LEVEL_DB - now, MAX_GAIN_DB, PEAK_LIMIT_DB - 2 * _decibel(np.abs(audio).max()))
    return (audio * 10 ** (gain_db / 20)).astype(np.float32)


def trim(audio: Audio, sample_rate: int, *, keep_s: float = 0.02) -> Audio:
    """Return the audio without the silence at both ends; empty if all of it is silence.

    ``keep_s``: seconds of silence to keep at each end, so that no soft consonant is cut off.
    """
    if not len(audio):
        return audio
    threshold = max(np.abs(audio).max() * 0.01, 10 ** (_SILENCE_DB / 20) / 4)
    heard = np.flatnonzero(np.abs(audio) > threshold)
    if not len(heard):
        return audio[:0]
    keep = int(keep_s * sample_rate)
    return audio[max(heard[0] - keep, 0) : heard[-1] + 1 + keep]


def _decibel(power: float) -> float:
    return float(10 * np.log10(power))
