"""What goes to a speech engine and what comes back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.engine import Unit
from tts.voices import Voice


@dataclass(kw_only=True)
class SpeechUnit(Unit):
    """One sentence to speak. `text` is speakable already; `language` is the voice's, or one of several it knows."""

    text: str
    voice: Voice
    speed: float = 1.0
    language: str = "ms"

    @property
    def cost(self) -> float:
        return 1.0 + len(self.text)


@dataclass(frozen=True)
class Speech:
    """Raw speech of an engine: float32 mono in [-1, 1], shape (n,). `tempo` is the speed-up still to be done."""

    audio: npt.NDArray[np.float32]
    sample_rate: int
    tempo: float = 1.0
