"""Detect from a text that the decoder got stuck: repeated words, and more of them than anybody can say.

Whisper repeats itself if its context ends soon after the speech. People repeat themselves as well, so a repetition
alone proves nothing; a repetition at an impossible pace does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_PACE = 30.0  # letters a second; fast Malay or English has 18
MAX_REPEATED_PACE = 20.0  # of a text that repeats itself
LONG_REPETITION = 4  # words: people repeat shorter phrases
STUCK = 6  # repetitions, if other words come first; laughter and cheers consist of nothing else
NEARLY_A_TURN = 0.7  # share of its words that a loop's last turn needs; it may break off or end differently
SHORTEST_UNLIKE = 8  # shortest turn, in words, to which this applies
_WEIGHT_OF_IDEOGRAPH = 3.0  # a syllable in one character
_WEIGHT_OF_INDIC = 0.9  # vowel signs are characters too
_PADDING_S = 0.3  # part of a segment's length that is not speech

_IDEOGRAPHS = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_INDIC = re.compile(r"[\u0900-\u0dff]")
_UNIT = re.compile(rf"[{_IDEOGRAPHS}]|(?:(?![{_IDEOGRAPHS}])[\w\u0900-\u0dff])+(?:['’-]\w+)*")


@dataclass(frozen=True)
class Repetition:
    """A stretch of text that consists of the same words several times.

    The end of a long one's last turn may be missing or different.

    ``start``: number of its first word.
    ``period``: words (or ideographs) in a turn.
    ``count``: number of turns.
    ``words``: words in the whole text.
    """

    start: int
    period: int
    count: int
    words: int

    @property
    def is_whole(self) -> bool:
        """Whether the text consists of little but the repetition."""
        return self.period * self.count >= 0.8 * self.words


def words_of(text: str) -> list[str]:
    """Return the words in lower case, without punctuation. Each ideograph is a word."""
    return _UNIT.findall(text.lower())


def repetition(text: str) -> Repetition | None:
    """Return the longest repeated stretch, or None if none is long enough to matter."""
    words = words_of(text)
    found = max(
        (_longest_run(words, period) for period in range(1, int(len(words) / (1 + NEARLY_A_TURN)) + 1)),
        key=lambda run: (run.period * run.count, -run.period),
        default=None,
    )
    if found is None or found.count < 2:
        return None
    counts = found.period >= 5 or found.count >= (4 if found.period == 1 else 3)
    return found if counts or (found.is_whole and found.period >= 2) else None


def pace(text: str, seconds: float) -> float:
    """Return the letters spoken per second. An ideograph counts as three Latin letters, an Indic character as 0.9."""
    letters = 0.0
    for character in text:
        if not character.isalnum() and not _INDIC.match(character):
            continue
        if _INDIC.match(character):
            letters += _WEIGHT_OF_INDIC
        else:
            letters += _WEIGHT_OF_IDEOGRAPH if re.match(rf"[{_IDEOGRAPHS}]", character) else 1.0
    return letters / max(0.3, seconds - _PADDING_S)


def _longest_run(words: Sequence[str], period: int) -> Repetition:
    best = Repetition(0, period, 0, len(words))
    run = 0
    for index in range(period, len(words) + 1):
        if index < len(words) and words[index] == words[index - period]:
            run += 1
            continue
        again, rest = divmod(run, period)
        if period >= SHORTEST_UNLIKE and rest >= NEARLY_A_TURN * period:
            again += 1
        count = again + 1 if again else 0
        if count > best.count:
            best = Repetition(index - run - period, period, count, len(words))
        run = 0
    return best
