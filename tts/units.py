"""What goes to a speech engine and what comes back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.engine import Unit
from tts.first_clause import length
from tts.voices import Voice

# Up to here a listener waits for all of a reply; a longer one is heard while it is made.
WHOLE_UP_TO_CHARACTERS = 200
PIECE_COST = 15.0  # of any piece, however short, in letters: the model makes silence before and after it


def speech_cost(text: str) -> float:
    """What one piece of text costs to speak, in letters."""
    return PIECE_COST + length(text)


@dataclass(kw_only=True)
class SpeechUnit(Unit):
    """One sentence to speak. `text` is speakable already; `language` is the voice's, or one of several it knows."""

    text: str
    voice: Voice
    speed: float = 1.0
    language: str = "ms"

    @property
    def cost(self) -> float:
        return speech_cost(self.text)


@dataclass(frozen=True)
class Speech:
    """Raw speech of an engine: float32 mono in [-1, 1], shape (n,). `tempo` is the speed-up still to be done."""

    audio: npt.NDArray[np.float32]
    sample_rate: int
    tempo: float = 1.0
