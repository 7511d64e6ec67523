"""Which words of a text that still grows can be shown for good: LocalAgreement-2.

Each hypothesis is of more audio than the one before. A word becomes stable when two hypotheses in a row have it at its
place with all words before it (Macháček, Dabre, Bojar: "Turning Whisper into Real-Time Transcription System", 2023).
Stable words are never changed by a later partial. The final text is recognised from the whole utterance and is the
truth: where it disagrees with a stable word, the final is right.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


class Agreement:
    def __init__(self) -> None:
        self.stable: list[str] = []
        self._before: list[str] = []

    def update(self, words: Sequence[str], *, certain: int = 0) -> list[str]:
        """Take the next hypothesis, whose first ``certain`` words need no agreement. Return the words to show, the
        stable ones first.
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
    """The word without punctuation and case: Whisper changes its mind about those without hearing another word."""
    kept = "".join(character for character in word.casefold() if unicodedata.category(character)[0] in "LMN")
    return kept or word
