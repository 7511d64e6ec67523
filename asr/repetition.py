"""Find repetitions in a text, and compute its pace, to detect that Whisper's decoder got stuck in a loop.

Whisper tends to repeat itself if the audio that its encoder processes ends soon after the speech. People repeat
themselves too, so a repetition alone proves nothing. But if nobody can speak so fast, the decoder got stuck.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_PACE = 30.0  # letters a second; fast Malay or English has 18
MAX_REPEATED_PACE = 20.0  # letters a second in a text that repeats itself
LONG_REPETITION = 4  # words; people repeat only shorter phrases
STUCK = 6  # a phrase repeated this often after other words is doubtful; laughter or cheers have no words before them
MIN_LAST_OCCURRENCE = 0.7  # the last occurrence counts if at least this share of it equals the others
SHORTEST_UNLIKE = 8  # words in the shortest phrase to which ``MIN_LAST_OCCURRENCE`` applies
_WEIGHT_OF_IDEOGRAPH = 3.0  # in letters; one character is a syllable
_WEIGHT_OF_INDIC = 0.9  # in letters; vowel signs are characters of their own
_PADDING_S = 0.3  # part of a segment's length that is not speech

_IDEOGRAPHS = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_INDIC = re.compile(r"[\u0900-\u0dff]")
_UNIT = re.compile(rf"[{_IDEOGRAPHS}]|(?:(?![{_IDEOGRAPHS}])[\w\u0900-\u0dff])+(?:['’-]\w+)*")


@dataclass(frozen=True)
class Repetition:
    """A run of words that occurs several times in a row in a text.

    The last occurrence of a long run may be incomplete, or end in other words.

    ``start``: index of the run's first word in the text.
    ``period``: number of words (or ideographs) in one occurrence.
    ``count``: number of occurrences.
    ``words``: number of words in the whole text.
    """

    start: int
    period: int
    count: int
    words: int

    @property
    def is_whole(self) -> bool:
        """Whether the repetition makes up at least 80 % of the text."""
        return self.period * self.count >= 0.8 * self.words


def words_of(text: str) -> list[str]:
    """Split a text into words in lower case, without punctuation. Each ideograph counts as a word."""
    return _UNIT.findall(text.lower())


def repetition(text: str) -> Repetition | None:
    """Return the repetition that covers the most words of the text; None if no repetition is long enough to matter."""
    words = words_of(text)
    found = max(
        (_longest_run(words, period) for period in range(1, int(len(words) / (1 + MIN_LAST_OCCURRENCE)) + 1)),
        key=lambda run: (run.period * run.count, -run.period),
        default=None,
    )
    if found is None or found.count < 2:
        return None
    counts = found.period >= 5 or found.count >= (4 if found.period == 1 else 3)
    return found if counts or (found.is_whole and found.period >= 2) else None


def pace(text: str, seconds: float) -> float:
    """Return the number of letters spoken per second.

    An ideograph counts as 3 letters, and an Indic character as 0.9.

    ``seconds``: length of the segment, including its padding of silence.
    """
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
        if period >= SHORTEST_UNLIKE and rest >= MIN_LAST_OCCURRENCE * period:
            again += 1
        count = again + 1 if again else 0
        if count > best.count:
            best = Repetition(index - run - period, period, count, len(words))
        run = 0
    return best
