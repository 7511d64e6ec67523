"""Silero VAD, the neural network for voice activity detection, and the parameters for using its output.

``asr.segmenting`` cuts the audio by these parameters. Only speech is sent to the engine, because a Whisper model
invents words for silence, noise and music.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
from faster_whisper.vad import VadOptions, get_vad_model

from asr.units import MAX_SEGMENT_S, SAMPLE_RATE, SPEECH_PADDING_MS, Samples

NETWORK = Path(__file__).parent / "silero" / "voice_activity.onnx"
_GAP = SAMPLE_RATE // 8  # samples; a shorter gap may be a stop consonant within a word
SPEECH = VadOptions(
    threshold=0.5,
    min_speech_duration_ms=100,
    max_speech_duration_s=MAX_SEGMENT_S - 1,
    min_silence_duration_ms=200,
    speech_pad_ms=SPEECH_PADDING_MS,
)


@dataclass(frozen=True)
class Segment:
    """A stretch of a recording or stream to recognise. All positions are in samples.

    ``start``: first sample of the segment.
    ``end``: first sample after the segment.
    ``speech``: number of samples that are speech.
    ``spans``: ranges [start, end) of speech within the segment. If empty, the whole segment is speech.
    """

    start: int
    end: int
    speech: int
    spans: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, start: int, end: int) -> Segment:
        """Return a segment that consists of speech only."""
        return cls(start, end, end - start, ((start, end),))

    def joined(self, start: int, end: int) -> Segment:
        """Return this segment, extended by a later span of speech [start, end)."""
        return Segment(self.start, end, self.speech + end - start, (*self.spans, (start, end)))

    @property
    def start_s(self) -> float:
        return self.start / SAMPLE_RATE

    @property
    def speech_s(self) -> float:
        return self.speech / SAMPLE_RATE


@cache
def network() -> onnxruntime.InferenceSession:
    """Return the ONNX Runtime session of the Silero VAD network. It may run in several threads at once.

    For many frames at once, this version of the network takes about a third of the time of the original in
    faster-whisper. It was made with ``tools/training/voice_activity.py``. In this process, faster-whisper uses this
    version too.
    """
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(NETWORK), options, providers=["CPUExecutionProvider"])
    get_vad_model().session = session
    return session


def quietest(samples: Samples) -> int:
    """Return the index of the middle of the quietest eighth of a second in the samples, float32 (n,).

    If there are fewer samples, return the index of the middle of all samples.
    """
    power = np.cumsum(np.square(samples, dtype=np.float64))
    if len(power) <= _GAP:
        return len(samples) // 2
    return int(np.argmin(power[_GAP:] - power[:-_GAP])) + _GAP // 2


def quietest_in_second_half(samples: Samples) -> int:
    """Return the index of the quietest position in the second half of the samples, float32 (n,)."""
    earliest = len(samples) // 2
    return earliest + quietest(samples[earliest:])
