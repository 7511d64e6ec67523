"""When somebody starts and stops speaking, decided while the audio arrives.

``FrameVad`` runs Silero VAD frame by frame: faster-whisper's own call starts afresh
each time, so the network's state and the samples it looks back on are kept here between calls. The probabilities are
those of the whole recording in one call. ``Endpointer`` turns them into OpenAI's speech_started and speech_stopped.

Threads: one ``FrameVad`` belongs to one stream and is called from one thread at a time; the session
behind it is shared, ONNX Runtime allows that. ``Endpointer`` is plain arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
import numpy.typing as npt

from asr.units import SAMPLE_RATE, Samples
from asr.voice_activity import network

FRAME = 512  # samples: 32 ms, what the network was trained on
FRAME_MS = 1000 * FRAME / SAMPLE_RATE
_LOOK_BACK = 64  # samples of the frame before that each frame is seen with
_STATE = (1, 1, 128)

HYSTERESIS = 0.15  # speech that has begun ends only below the threshold less this, as in Silero's own rules
MIN_SPEECH_MS = 100  # shorter is a click


@dataclass(frozen=True)
class TurnDetection:
    """OpenAI's ``server_vad``: the ``threshold`` for the probability of speech, the length of audio before the start of
    speech that belongs to the utterance, and the length of silence that ends it. ``eagerness``: the ``semantic_vad``
    setting from which that silence was chosen.
    """

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    eagerness: str | None = None


class FrameVad:
    def __init__(self) -> None:
        self._session = network()
        self._h = self._c = np.zeros(_STATE, np.float32)
        self._before = np.zeros(_LOOK_BACK, np.float32)

    def probabilities(self, frames: Samples) -> npt.NDArray[np.float32]:
        """Return the probability of speech, shape (n,), for each frame of float32 (n, ``FRAME``). The frames follow
        those of the previous call.
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
    """Fed the probability of each frame in order, tells when a turn starts and stops.

    ``started_at``: the frame in which the last turn's speech began. A start is told once ``MIN_SPEECH_MS`` were spoken.
    """

    def __init__(self, detection: TurnDetection) -> None:
        self.detection = detection
        self.started_at = 0
        self._frame = 0  # the number of the next frame
        self._speaking = self._told = False
        self._voiced_until = 0  # the first frame of the silence that runs, if one does

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
        if probability >= max(0.01, threshold - HYSTERESIS):
            self._voiced_until = frame + 1
        if not self._told and (self._voiced_until - self.started_at) * FRAME_MS > MIN_SPEECH_MS:
            self._told = True
            return Turn.STARTED
        if (self._frame - self._voiced_until) * FRAME_MS >= self.detection.silence_duration_ms:
            self._speaking = False
            return Turn.STOPPED if self._told else None
        return None

    def reset(self) -> None:
        """Forget the open turn, which the caller has ended."""
        self._speaking = False
