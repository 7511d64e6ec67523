"""Detect when somebody starts and stops speaking, while the audio arrives.

``FrameVad`` runs Silero VAD frame by frame. faster-whisper's own function starts from scratch at each call. Here the
network's state and the samples that it looks back on are kept between calls, so the probabilities are those of the
whole recording in one call. ``Endpointer`` turns them into OpenAI's speech_started and speech_stopped.

Threads: a ``FrameVad`` belongs to one stream and is called from one thread at a time. All share one session of ONNX
Runtime, which may run in several threads at once. ``Endpointer`` is plain arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
import numpy.typing as npt

from asr.units import SAMPLE_RATE, TURN_SILENCE_MS, Samples
from asr.voice_activity import SPEECH, network

FRAME = 512  # samples: 32 ms, what the network was trained on
FRAME_MS = 1000 * FRAME / SAMPLE_RATE
_LOOK_BACK = 64  # samples of the previous frame that the network sees with each frame
_STATE = (1, 1, 128)

HYSTERESIS = 0.15  # speech that has begun ends only below the threshold minus this, as in Silero's own rules
MIN_SPEECH_MS = SPEECH.min_speech_duration_ms  # anything shorter is a click


@dataclass(frozen=True)
class TurnDetection:
    """When a turn starts and ends, as in OpenAI's ``server_vad``.

    ``threshold``: probability from which a frame counts as speech.
    ``prefix_padding_ms``: audio before the start of speech that belongs to the utterance.
    ``silence_duration_ms``: silence that ends the utterance.
    ``eagerness``: the ``semantic_vad`` setting from which that silence was chosen, if it was.
    """

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = TURN_SILENCE_MS
    eagerness: str | None = None


class FrameVad:
    def __init__(self) -> None:
        self._session = network()
        self._h = self._c = np.zeros(_STATE, np.float32)
        self._before = np.zeros(_LOOK_BACK, np.float32)

    def probabilities(self, frames: Samples) -> npt.NDArray[np.float32]:
        """Return the probability of speech in each frame, float32 (n,).

        ``frames``: float32 (n, ``FRAME``). They follow the frames of the previous call.
        """
        looking_back = np.vstack([self._before, frames[:-1, -_LOOK_BACK:]])
        self._before = frames[-1, -_LOOK_BACK:].copy()
        seen = np.hstack([looking_back, frames])
        found, self._h, self._c = self._session.run(None, {"input": seen, "h": self._h, "c": self._c})
        return np.asarray(found, np.float32).reshape(-1)


class Turn(Enum):
    STARTED = auto()
    STOPPED = auto()


class Endpointer:
    """Detects turns. Call ``feed`` with the probability of speech in each frame, in order.

    A start is reported once ``MIN_SPEECH_MS`` have been spoken. A frame between the two thresholds continues what was
    before it, speech or silence. These are the rules by which ``asr.segmenting`` cuts, so a turn ends where a recording
    is cut.

    ``started_at``: number of the frame in which the last turn's speech began.
    """

    def __init__(self, detection: TurnDetection) -> None:
        self.detection = detection
        self.started_at = 0
        self._frame = 0  # the number of the next frame
        self._speaking = self._told = False
        self._silence_from: int | None = None  # the first frame of the current silence

    def feed(self, probability: float) -> Turn | None:
        frame = self._frame
        self._frame += 1
        threshold = self.detection.threshold
        if not self._speaking:
            if probability < threshold:
                return None
            self._speaking = True
            self._told = False
            self.started_at = frame
        if probability >= threshold:
            self._silence_from = None
        elif self._silence_from is None and probability < max(0.01, threshold - HYSTERESIS):
            self._silence_from = frame
        voiced_until = self._frame if self._silence_from is None else self._silence_from
        if not self._told and (voiced_until - self.started_at) * FRAME_MS > MIN_SPEECH_MS:
            self._told = True
            return Turn.STARTED
        silence_ms = (self._frame - voiced_until) * FRAME_MS
        if self._told and silence_ms >= self.detection.silence_duration_ms:
            self._speaking = False
            return Turn.STOPPED
        if not self._told and silence_ms >= SPEECH.min_silence_duration_ms:
            self._speaking = False  # it was a click
        return None

    def reset(self) -> None:
        """Forget the open turn, because the caller has ended it."""
        self._speaking = False
