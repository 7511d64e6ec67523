"""What the bundled model is trained to understand: Malay sentences, generated ones, and a few with English meanings."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Utterance:
    """One thing to say: lower-case Malay words, and its English translation where there is one."""

    malay: str
    english: str | None = None


def _lines(name: str) -> list[str]:
    path = CORPUS / name
    return [line for line in path.read_text("utf-8").splitlines() if line.strip()] if path.exists() else []


def held_out() -> list[str]:
    """Sentences that no training line equals; the error rates of the model card come from these."""
    return _lines("heldout.txt")


class Corpus:
    """Draws utterances: natural sentences most often, rare dictionary words often enough to be spelt right."""

    def __init__(self) -> None:
        kept_out = set(held_out())
        self._natural = [line for line in _lines("natural.txt") if line not in kept_out]
        self._general = [line for line in _lines("general.txt") if line not in kept_out]
        self._templates = [line for line in _lines("templates.txt") if line not in kept_out]
        pairs = [line.split("\t") for line in _lines("pairs.tsv")]
        self._pairs = [Utterance(*pair) for pair in pairs if len(pair) == 2 and pair[0] not in kept_out]
        self._words = sorted({word for line in self._natural + self._general for word in line.split()})

    def __len__(self) -> int:
        return len(self._natural) + len(self._general) + len(self._templates) + len(self._pairs)

    def draw(self, rng: random.Random) -> Utterance:
        where = rng.random()
        if where < 0.08 and self._pairs:
            return rng.choice(self._pairs)
        if where < 0.42 and self._natural:
            return Utterance(rng.choice(self._natural))
        if where < 0.62 and self._natural:
            return Utterance(self._spliced(rng))
        if where < 0.70 and self._templates:
            return Utterance(rng.choice(self._templates))
        if where < 0.73:
            return Utterance(" ".join(rng.choices(self._words, k=rng.randint(1, 7))))
        return Utterance(rng.choice(self._general))

    def _spliced(self, rng: random.Random) -> str:
        """Halves of two sentences, so that the decoder cannot recite whole sentences it has learnt by heart."""
        first, second = rng.choice(self._natural).split(), rng.choice(self._natural).split()
        return " ".join(first[: rng.randint(1, len(first))] + second[rng.randint(0, len(second) - 1) :])
