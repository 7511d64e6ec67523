"""Decode an audio file, given as bytes, to 16 kHz mono samples."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.utils.translation import gettext as _

from asr import decoder_process
from asr.containers import Chunk, UnusableAudio, invalid, too_long, truncated
from asr.units import SAMPLE_RATE
from asr.wav import TruncatedWav, WavLayout, as_plain_riff, find_layout
from core.error_codes import ErrorCode
from core.errors import ApiError
from inference.errors import EngineUnavailable

MIN_DURATION_S = 0.1
_PLAIN_FORMAT = struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)  # PCM, mono, 16 bit
_FIRST_S = 60  # seconds of audio to allocate memory for at first; if more is needed, the maximum is allocated


@dataclass(frozen=True)
class Recording:
    """A decoded recording.

    ``samples``: int16 mono at ``SAMPLE_RATE``, shape (n,). An hour takes 115 MB, half as much as with float32.
    ``paused_s``: seconds of silence that were inserted into gaps of the file's timestamps.
    """

    samples: npt.NDArray[np.int16]
    paused_s: float = 0.0

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    @property
    def sound_s(self) -> float:
        """The seconds of audio in the file, without inserted silence. The request is charged for this duration."""
        return self.duration_s - self.paused_s

    def float32(self, start: int, end: int) -> npt.NDArray[np.float32]:
        """Return the samples [start, end) as float32 within [-1, 1], with silence after the recording's end."""
        samples = self.samples[start:end].astype(np.float32) * np.float32(1 / 32768)
        missing = end - max(start, len(self.samples))
        return np.pad(samples, (0, missing)) if missing > 0 else samples


def decode(data: bytes, *, max_duration_s: float) -> Recording:
    """Decode the bytes of an audio file to a ``Recording``.

    If the file has several tracks, decode its default track if that is audible, otherwise the loudest track. Decoding
    stops as soon as the audio is longer than ``max_duration_s`` seconds, which limits the memory for long files.

    Raise ``EngineUnavailable`` if no decoder process can be started, and ``ApiError`` with one of these codes:

    - ``invalid_audio``: the file is empty, undecodable or truncated
    - ``unsupported_format``: the file has no audio of a supported format
    - ``audio_too_short``: the audio is shorter than ``MIN_DURATION_S``
    - ``audio_too_long``: the audio is longer than ``max_duration_s``
    """
    try:
        recording = _decoded(data, max_duration_s)
    except UnusableAudio as error:
        raise ApiError(error.code, _(error.template).format(**error.values), param="file") from error
    except decoder_process.DecoderUnavailable as error:
        raise EngineUnavailable("no process to decode audio files in could be started") from error
    if recording.sound_s < MIN_DURATION_S:
        message = _("The audio is too short: {sound_s:.2f} s; at least {min_duration_s} s are needed.").format(
            sound_s=recording.sound_s, min_duration_s=MIN_DURATION_S
        )
        raise ApiError(ErrorCode.AUDIO_TOO_SHORT, message, param="file")
    return recording


def _decoded(data: bytes, max_duration_s: float) -> Recording:
    if not data:
        raise invalid("The audio file is empty.")
    try:
        layout = find_layout(data)
    except TruncatedWav as error:
        raise truncated() from error
    if layout is not None:
        if not layout.size:
            raise invalid("The audio file holds no sound.")
        if layout.format.startswith(_PLAIN_FORMAT):
            return _plain_wav(data, layout, max_duration_s)
        data = as_plain_riff(data, layout)
    return _collected(decoder_process.decoded(data, max_duration_s), max_duration_s)


def _plain_wav(data: bytes, layout: WavLayout, max_duration_s: float) -> Recording:
    """Return the samples of a WAV file that already contains 16 kHz mono PCM16, so that no decoder is needed.

    Many speech clients send this format.
    """
    recording = Recording(np.frombuffer(data, "<i2", layout.size // 2, layout.start))
    if recording.duration_s > max_duration_s:
        raise too_long(max_duration_s)
    return recording


def _collected(chunks: Iterator[Chunk], max_duration_s: float) -> Recording:
    longest = int(max_duration_s * SAMPLE_RATE) + SAMPLE_RATE
    # ``np.zeros`` takes no physical memory until values are written, so a long pause in a file costs little.
    samples = np.zeros(min(longest, _FIRST_S * SAMPLE_RATE), np.int16)
    length = filled = 0
    for chunk in chunks:
        end = chunk.position + len(chunk.samples)
        if end > longest:
            raise too_long(max_duration_s)
        if end > len(samples):
            roomy = np.zeros(longest, np.int16)
            roomy[:length] = samples[:length]
            samples = roomy
        samples[chunk.position : end] = chunk.samples
        length = end
        filled += len(chunk.samples)
    return Recording(samples[:length], (length - filled) / SAMPLE_RATE)
