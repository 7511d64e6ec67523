"""Which words of a growing text can be shown for good: LocalAgreement-2.

Each hypothesis covers more audio than the one before. A word becomes stable when two hypotheses in a row agree on it
and on all words before it (Macháček, Dabre, Bojar: "Turning Whisper into Real-Time Transcription System", 2023).

Later partials never change a stable word. The final text is recognised from the whole utterance. Where it disagrees
with a stable word, the final text is right.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


class Agreement:
    def __init__(self) -> None:
        self.stable: list[str] = []
        self._before: list[str] = []

    def update(self, words: Sequence[str], *, certain: int = 0) -> list[str]:
        """Take the next hypothesis and return the words to show, the stable ones first.

        ``certain``: how many of the first words are stable without agreement.
        """
        agreed = 0
        for now, before in zip(words, self._before, strict=False):
            if _bare(now) != _bare(before):
                break
            agreed += 1
        self._before = list(words)
        self.stable += words[len(self.stable) : max(agreed, certain)]
        return [*self.stable, *words[len(self.stable) :]]


def _bare(word: str) -> str:
    """Return the word without punctuation and case, which Whisper changes without hearing another word."""
    kept = "".join(character for character in word.casefold() if unicodedata.category(character)[0] in "LMN")
    return kept or word
