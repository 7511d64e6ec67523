"""Correct the spaces in the text of a small model, which recognises letters well but the ends of words badly.

Speech has no pause that distinguishes "bunga api" from "bungaapi". A large model knows which one is right, but a small
model guesses. So a checkpoint may include ``lexicon.txt``, a list of words with their counts. The text's letters are
divided into words again, in the way that is likeliest according to these counts (the Viterbi algorithm with a unigram
model). The model's own division is kept if it is nearly as likely. Letters are never changed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from asr.units import Word

LONGEST_WORD = 24
OWN_CUT = 5.0  # nats by which another division must be likelier, for each boundary that it changes
UNKNOWN = 9.0  # nats that an unlisted word costs, in addition to ``UNKNOWN_LETTER`` for each of its letters
UNKNOWN_LETTER = 2.0
SUFFIXED = 3.0  # nats that a suffix adds to the cost of a known word


class Lexicon:
    """A list of words and their counts, with which the spaces in a text are corrected.

    ``counts``: for each word, the number of its occurrences in the corpus from which the list was made.
    ``suffixes``: endings that a listed word may have, such as "nya" in "bukunya".
    """

    def __init__(self, counts: dict[str, int], suffixes: Sequence[str] = ()) -> None:
        total = sum(counts.values())
        self._costs = {word: -math.log(count / total) for word, count in counts.items()}
        self._suffixes = tuple(suffixes)

    @classmethod
    def read(cls, path: Path) -> Lexicon:
        """Read a lexicon file.

        Each line contains either a word, a space and the word's count, or a hyphen and a suffix.
        """
        lines = path.read_text("utf-8").splitlines()
        suffixes = [line[1:] for line in lines if line.startswith("-")]
        words = (line.rpartition(" ") for line in lines if not line.startswith("-"))
        return cls({word: int(count) for word, _, count in words}, suffixes)

    def spaced(self, text: str) -> str:
        """Return the same letters with spaces at the likeliest word boundaries."""
        words = text.split()
        letters = "".join(words)
        own = set[int]()
        end = 0
        for word in words:
            end += len(word)
            own.add(end)
        return " ".join(letters[start:end] for start, end in self._cuts(letters, own))

    def _cuts(self, letters: str, own: set[int]) -> list[tuple[int, int]]:
        best: list[tuple[float, int]] = [(0.0, 0)]  # for each prefix: its cost and where its last word starts
        for end in range(1, len(letters) + 1):
            moved = 0
            options = []
            for start in range(end - 1, max(-1, end - LONGEST_WORD - 1), -1):
                word = letters[start:end]
                known = self._known(word)
                if moved == 0 or known is not None:  # join the model's words only if that forms a listed word
                    own_cost = UNKNOWN + UNKNOWN_LETTER * len(word) if known is None else known
                    options.append((best[start][0] + own_cost + OWN_CUT * (moved + (end not in own)), start))
                moved += start in own
            best.append(min(options))
        cuts = []
        end = len(letters)
        while end:
            start = best[end][1]
            cuts.append((start, end))
            end = start
        return cuts[::-1]

    def _known(self, word: str) -> float | None:
        if word in self._costs:
            return self._costs[word]
        if not word.endswith(self._suffixes):  # a shortcut, because most runs of letters are not words
            return None
        stems = (word.removesuffix(suffix) for suffix in self._suffixes if word.endswith(suffix))
        costs = [self._costs[stem] + SUFFIXED for stem in stems if stem in self._costs]
        return min(costs, default=None)


def retimed(words: Sequence[Word], text: str) -> tuple[Word, ...]:
    """Return the words of ``text`` with the times and probabilities of ``words``.

    ``words``: timed words with the same letters as ``text``, but different word boundaries.

    The time of each word is divided equally among its letters. If ``text`` has more letters than ``words``, return
    ``words`` unchanged.
    """
    starts: list[float] = []
    ends: list[float] = []
    probabilities: list[float] = []
    for word in words:
        share = (word.end - word.start) / len(word.text)
        starts += [word.start + share * index for index in range(len(word.text))]
        ends += [word.start + share * (index + 1) for index in range(len(word.text))]
        probabilities += [word.probability] * len(word.text)
    cut: list[Word] = []
    at = 0
    for text_word in text.split():
        end = at + len(text_word)
        if end > len(starts):  # the letters differ after all
            return tuple(words)
        probability = sum(probabilities[at:end]) / len(text_word)
        cut.append(Word(text_word, starts[at], ends[end - 1], probability))
        at = end
    return tuple(cut)
