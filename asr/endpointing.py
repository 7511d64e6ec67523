"""Detect the start and the end of speech while the audio arrives.

``FrameVad`` runs Silero VAD (voice activity detection) frame by frame. Unlike faster-whisper's function, it keeps the
network's state between calls, so its probabilities are the same as those of one call for the whole recording.
``Endpointer`` uses the probabilities to find turns. A turn is a stretch of speech that ends with a long enough silence.

Threads: a ``FrameVad`` belongs to one stream and is called from one thread at a time. All instances share one ONNX
Runtime session, which may run in several threads at once. ``Endpointer`` is plain arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
import numpy.typing as npt

from asr.units import SAMPLE_RATE, TURN_SILENCE_MS, Samples
from asr.voice_activity import SPEECH, network

FRAME = 512  # samples (32 ms); the network was trained on frames of this length
FRAME_MS = 1000 * FRAME / SAMPLE_RATE
_LOOK_BACK = 64  # number of samples of the previous frame that the network gets with each frame
_STATE = (1, 1, 128)

HYSTERESIS = 0.15  # speech starts above the threshold, and ends below the threshold minus this, as in Silero's rules
MIN_SPEECH_MS = SPEECH.min_speech_duration_ms  # anything shorter is a click


@dataclass(frozen=True)
class TurnDetection:
    """Settings that decide when a turn starts and ends, as in OpenAI's ``server_vad``.

    ``threshold``: minimum probability with which a frame counts as speech.
    ``prefix_padding_ms``: length of the audio before the start of speech that belongs to the utterance.
    ``silence_duration_ms``: length of the silence that ends the utterance.
    ``eagerness``: setting of ``semantic_vad`` that determined ``silence_duration_ms``; None for ``server_vad``.
    """

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = TURN_SILENCE_MS
    eagerness: str | None = None


class FrameVad:
    """Computes the probability of speech in the successive frames of one stream."""

    def __init__(self) -> None:
        self._session = network()
        self._h = self._c = np.zeros(_STATE, np.float32)
        self._before = np.zeros(_LOOK_BACK, np.float32)

    def probabilities(self, frames: Samples) -> npt.NDArray[np.float32]:
        """Return the probability of speech in each frame, float32 (n,).

        ``frames``: float32 (n, ``FRAME``). They must directly follow the frames of the previous call.
        """
        looking_back = np.vstack([self._before, frames[:-1, -_LOOK_BACK:]])
        self._before = frames[-1, -_LOOK_BACK:].copy()
        seen = np.hstack([looking_back, frames])
        found, self._h, self._c = self._session.run(None, {"input": seen, "h": self._h, "c": self._c})
        return np.asarray(found, np.float32).reshape(-1)


class Turn(Enum):
    """An event in a stream: a turn has started or stopped."""

    STARTED = auto()
    STOPPED = auto()


class Endpointer:
    """Detects the turns of one stream. Call ``feed`` for each frame, in order.

    A turn starts when more than ``MIN_SPEECH_MS`` of speech has arrived. It stops after ``silence_duration_ms`` of
    silence. Speech starts at a frame that reaches the threshold, and ends at a frame below the threshold minus
    ``HYSTERESIS``.

    ``asr.segmenting`` detects speech by the same rules, and cuts recordings at silences as long as the default of
    ``silence_duration_ms``. So with the default settings, a turn ends where a recording would be cut.

    ``started_at``: number of the frame in which the speech of the latest turn began.
    """

    def __init__(self, detection: TurnDetection) -> None:
        self.detection = detection
        self.started_at = 0
        self._frame = 0  # the number of the next frame
        self._speaking = self._is_reported = False
        self._silence_from: int | None = None  # number of the first frame of the current silence

    def feed(self, probability: float) -> Turn | None:
        """Process the probability of speech in the next frame. Return the event that the frame causes, if any."""
        frame = self._frame
        self._frame += 1
        threshold = self.detection.threshold
        if not self._speaking:
            if probability < threshold:
                return None
            self._speaking = True
            self._is_reported = False
            self.started_at = frame
        if probability >= threshold:
            self._silence_from = None
        elif self._silence_from is None and probability < max(0.01, threshold - HYSTERESIS):
            self._silence_from = frame
        voiced_until = self._frame if self._silence_from is None else self._silence_from
        if not self._is_reported and (voiced_until - self.started_at) * FRAME_MS > MIN_SPEECH_MS:
            self._is_reported = True
            return Turn.STARTED
        silence_ms = (self._frame - voiced_until) * FRAME_MS
        if self._is_reported and silence_ms >= self.detection.silence_duration_ms:
            self._speaking = False
            return Turn.STOPPED
        if not self._is_reported and silence_ms >= SPEECH.min_silence_duration_ms:
            self._speaking = False  # too short for speech: a click
        return None

    def reset(self) -> None:
        """Discard the open turn. Call this if the turn was ended in another way, for example by the client's commit."""
        self._speaking = False
