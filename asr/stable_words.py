"""Find the words of an unfinished utterance that are stable, by the LocalAgreement-2 policy.

While a user speaks, the utterance is recognised repeatedly. Each hypothesis covers more audio than the previous one. A
word becomes stable when two successive hypotheses agree on it and on all words before it (Macháček, Dabre, Bojar:
"Turning Whisper into Real-Time Transcription System", 2023).

Later partial results never change a stable word. The final text is recognised from the whole utterance. If it differs
from the stable words, the final text is the correct one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


class Agreement:
    """The stable words of one utterance, found by comparing successive hypotheses.

    ``stable``: words at the beginning of the utterance that later hypotheses will not change.
    """

    def __init__(self) -> None:
        self.stable: list[str] = []
        self._before: list[str] = []

    def update(self, words: Sequence[str], *, certain: int = 0) -> list[str]:
        """Process the next hypothesis, and return the words to show: all stable words, then the rest of ``words``.

        ``words``: the words of the hypothesis, from the start of the utterance.
        ``certain``: number of leading words that become stable even if the previous hypothesis differs.
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
    """Return the word in lower case and without punctuation, for the comparison of two hypotheses.

    From one hypothesis to the next, Whisper often changes only the case or the punctuation of a word.
    """
    kept = "".join(character for character in word.casefold() if unicodedata.category(character)[0] in "LMN")
    return kept or word
