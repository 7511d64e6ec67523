"""The Malay sentences that train the bundled model: written by hand, generated, or made of dictionary words."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def _lines(name: str) -> list[str]:
    return [line for line in (CORPUS / name).read_text("utf-8").splitlines() if line.strip()]


def held_out() -> list[str]:
    """Return the sentences that are not used in training. The model card has error rates for them."""
    return _lines("heldout.txt")


class Corpus:
    """Draws utterances in lower-case Malay: mostly natural sentences, but rare words often enough to be learnt."""

    def __init__(self) -> None:
        kept_out = set(held_out())
        self._natural = [line for line in _lines("natural.txt") if line not in kept_out]
        self._generated = [line for line in _lines("generated.txt") if line not in kept_out]
        self._general = [line for line in _lines("general.txt") if line not in kept_out]
        self._words = sorted({word for line in self._natural + self._general for word in line.split()})

    def counts(self) -> Counter[str]:
        """Return how often each word occurs in the corpus."""
        return Counter(word for line in self._natural + self._generated + self._general for word in line.split())

    def draw(self, rng: random.Random) -> str:
        """Return a random utterance."""
        where = rng.random()
        if where < 0.36:
            return rng.choice(self._natural)
        if where < 0.58:
            return self._spliced(rng)
        if where < 0.72:
            return rng.choice(self._generated)
        if where < 0.75:
            return " ".join(rng.choices(self._words, k=rng.randint(1, 7)))
        return rng.choice(self._general)

    def _spliced(self, rng: random.Random) -> str:
        """Join parts of two sentences, because a decoder that sees only whole sentences would memorise them."""
        first = rng.choice(self._natural).split()
        second = rng.choice(self._natural).split()
        return " ".join(first[: rng.randint(1, len(first))] + second[rng.randint(0, len(second) - 1) :])
