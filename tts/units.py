"""Units of work for speech engines, and the speech that they return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.engine import Unit
from tts.first_clause import length
from tts.voices import Voice

# Up to this length a listener waits for the whole reply; a longer one is heard while it is made.
WHOLE_UP_TO_CHARACTERS = 200
PIECE_COST = 15.0  # fixed cost of any piece, in letters: the model also makes the silence around it


def speech_cost(text: str) -> float:
    """Return the cost of speaking one piece of text, in letters."""
    return PIECE_COST + length(text)


@dataclass(kw_only=True)
class SpeechUnit(Unit):
    """One sentence to speak.

    ``text``: speakable text.
    ``language``: language of the sentence.
    """

    text: str
    voice: Voice
    speed: float = 1.0
    language: str = "ms"

    @property
    def cost(self) -> float:
        return speech_cost(self.text)


@dataclass(frozen=True)
class Speech:
    """Speech as an engine returns it.

    ``audio``: float32 mono in [-1, 1], shape (n,).
    ``tempo``: factor by which it must still be sped up.
    """

    audio: npt.NDArray[np.float32]
    sample_rate: int
    tempo: float = 1.0
