"""Units of work for speech engines, and the speech that they return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.engine import Unit
from tts.first_clause import length
from tts.voices import Voice

# For a text up to this length, clients usually wait for the whole audio. They play longer replies during synthesis.
WHOLE_UP_TO_CHARACTERS = 200
PIECE_COST = 15.0  # the fixed cost of each piece, in letters: the model also synthesises silence before and after it


def speech_cost(text: str) -> float:
    """Return the estimated cost of speaking a piece of text: ``PIECE_COST`` plus the text's length in Latin letters."""
    return PIECE_COST + length(text)


@dataclass(kw_only=True)
class SpeechUnit(Unit):
    """A sentence to speak, or a part of one.

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
    """The audio that an engine returns for one unit.

    ``audio``: float32 mono in [-1, 1], shape (n,).
    ``sample_rate``: in Hz.
    ``tempo``: the factor by which the audio must still be sped up; 2 halves the duration.
    """

    audio: npt.NDArray[np.float32]
    sample_rate: int
    tempo: float = 1.0
