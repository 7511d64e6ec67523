"""Malay words into prefixes, stem and suffixes ("mempertanggungjawabkan" → mem-per-tanggungjawab-kan)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

_CLITICS = ("nya", "lah", "kah", "tah", "pun", "ku", "mu")
_SUFFIXES = ("kan", "an", "i")
_MIN_STEM = 3
_MAX_DEPTH = 5
_NASALS = {  # what a prefix is written as, and the letter of the stem that it has swallowed
    "mem": ("", "p"),
    "pem": ("", "p"),
    "men": ("", "t"),
    "pen": ("", "t"),
    "meng": ("", "k"),
    "peng": ("", "k"),
    "meny": ("s",),
    "peny": ("s",),
}
_PLAIN_PREFIXES = tuple(
    """
    menge penge ber bel be ter te per pel pe me di ke se ku kau pra anti pro maha tata antara swa juru dwi tri eka
    panca bio mikro makro multi ultra super auto foto geo hidro kardio neuro poli semi sub tele intra inter infra mono
    nano para pasca trans ekso elektro termo non bukan tidak tak
    """.split()
)
_TALING_PREFIXES = {
    "geo": "géo",
    "tele": "télé",
    "neuro": "néuro",
    "semi": "sémi",
    "eka": "éka",
    "ekso": "ékso",
    "elektro": "éléktro",
}


@dataclass(frozen=True)
class Analysis:
    prefixes: tuple[str, ...]
    stem: str
    suffixes: tuple[str, ...]

    def joined(self, stem: str) -> str:
        """The respelling of the whole word around the respelling of its stem."""
        kept = stem[1:] if self.swallowed else stem
        loan = "~" if kept.endswith("~") and not self.suffixes else ""
        prefixes = (_TALING_PREFIXES.get(prefix, prefix) for prefix in self.prefixes)
        return "+".join([*prefixes, kept.rstrip("~"), *self.suffixes]) + loan

    swallowed: bool = False  # the stem's first letter is not written ("memukul")


def analyse(word: str, known: Callable[[str], bool]) -> Analysis | None:
    """The reading of `word` with a known stem and the fewest affixes; None where no stem is known."""
    best: Analysis | None = None
    for found in _readings(word, known):
        if best is None or _cost(found) < _cost(best):
            best = found
    return best


def _cost(analysis: Analysis) -> tuple[int, int]:
    return len(analysis.prefixes) + len(analysis.suffixes), -len(analysis.stem)


def _readings(word: str, known: Callable[[str], bool]) -> Iterator[Analysis]:
    for suffixes, rest in _without_suffixes(word):
        for prefixes, stem, swallowed in _without_prefixes(rest, _MAX_DEPTH):
            if (prefixes or suffixes) and known(stem):
                yield Analysis(prefixes, stem, suffixes, swallowed)


def _without_suffixes(word: str) -> Iterator[tuple[tuple[str, ...], str]]:
    yield (), word
    stages: list[tuple[tuple[str, ...], str]] = [((), word)]
    for endings in (("lah", "kah", "tah", "pun"), ("nya", "ku", "mu"), _SUFFIXES):
        found: list[tuple[tuple[str, ...], str]] = []
        for suffixes, rest in stages:
            found.extend(
                ((ending, *suffixes), rest.removesuffix(ending))
                for ending in endings
                if rest.endswith(ending) and len(rest) - len(ending) >= _MIN_STEM - 1
            )
        yield from found
        stages += found


def _without_prefixes(word: str, depth: int) -> Iterator[tuple[tuple[str, ...], str, bool]]:
    yield (), word, False
    if depth == 0:
        return
    for prefix, lost in _NASALS.items():
        if word.startswith(prefix) and len(word) - len(prefix) >= _MIN_STEM - 1:
            rest = word[len(prefix) :]
            for letter in lost:
                if letter and rest[0] not in "aeiou":
                    continue
                if letter:
                    yield (prefix,), letter + rest, True
                else:
                    yield from _deeper(prefix, rest, depth)
    for prefix in _PLAIN_PREFIXES:
        if word.startswith(prefix) and len(word) - len(prefix) >= _MIN_STEM - 1:
            yield from _deeper(prefix, word[len(prefix) :], depth)


def _deeper(prefix: str, rest: str, depth: int) -> Iterator[tuple[tuple[str, ...], str, bool]]:
    for prefixes, stem, swallowed in _without_prefixes(rest, depth - 1):
        yield (prefix, *prefixes), stem, swallowed
