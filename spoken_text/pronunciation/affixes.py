"""Split Malay words into prefixes, stem and suffixes ("mempertanggungjawabkan" → mem-per-tanggungjawab-kan)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_CLITICS = ("nya", "lah", "kah", "tah", "pun", "ku", "mu")
_SUFFIXES = ("kan", "an", "i")
_MIN_STEM = 3
_MIN_BARE_STEM = 5  # shortest stem of a word whose only affix is -i: "serta-i"
_MAX_DEPTH = 5
# Nasal prefix → the letters before which it stands, and the first letter of the stem that it may replace instead.
_NASALS = {
    "me": ("lmnrwy", ""),
    "pe": ("lmnrwybdgjkpst", ""),
    "mem": ("bfpv", "p"),
    "pem": ("bfpv", "p"),
    "men": ("cdjstz", "t"),
    "pen": ("cdjstz", "t"),
    "meng": ("aeioughkq", "k"),
    "peng": ("aeioughkq", "k"),
    "meny": ("", "s"),
    "peny": ("", "s"),
}
_VOWELS = "aeiou"
# Affixes that ``guess`` removes from a word whose stem is unknown.
_SURE_PREFIXES = frozenset("me mem men meng meny pem pen peng peny ber ter di per se".split())
_SURE_SUFFIXES = frozenset(["nya", "lah", "kah", "kan", "an"])
_PLAIN_PREFIXES = "menge penge ber ter per di ke se ku kau".split()
_LEARNED_PREFIXES = tuple(
    """
    pra anti pro maha tata antara swa juru dwi tri eka panca bio mikro makro multi ultra super auto foto geo hidro
    kardio neuro poli semi sub tele intra inter infra mono nano para pasca trans ekso elektro termo non bukan tidak tak
    """.split()
)
_MIN_LEARNED_STEM = 4
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
    """A Malay word split into prefixes, stem and suffixes. The affixes are in the order in which they are written."""

    prefixes: tuple[str, ...]
    stem: str
    suffixes: tuple[str, ...]
    swallowed: bool = False  # whether the prefix replaces the stem's first letter ("memukul" from "pukul")

    def joined(self, stem: str) -> str:
        """Return the respelling of the whole word (see ``malay``). ``stem`` is the respelling of its stem."""
        kept = stem[1:] if self.swallowed else stem
        loan = "~" if kept.endswith("~") and not self.suffixes else ""
        prefixes = (_TALING_PREFIXES.get(prefix, prefix) for prefix in self.prefixes)
        return "+".join([*prefixes, kept.rstrip("~"), *self.suffixes]) + loan


def analyse(word: str, known: Callable[[str], bool]) -> Analysis | None:
    """Split a word into a known stem and as few affixes as possible.

    ``known``: function that returns True for a known stem.

    Return None if no split has a known stem and at least one affix.
    """
    best: Analysis | None = None
    for found in _readings(word, known):
        if best is None or _cost(found) < _cost(best):
            best = found
    return best


def _cost(analysis: Analysis) -> tuple[int, int, int]:
    affixes = len(analysis.prefixes) + len(analysis.suffixes)
    return affixes, -len(analysis.stem), len(analysis.prefixes)


def _readings(word: str, known: Callable[[str], bool]) -> Iterator[Analysis]:
    for suffixes, rest in _without_suffixes(word):
        for prefixes, stem, swallowed in _without_prefixes(rest, _MAX_DEPTH):
            bare_i = suffixes == ("i",) and not prefixes and len(stem) < _MIN_BARE_STEM  # "canai" is not "cana-i"
            if (prefixes or suffixes) and not bare_i and known(stem):
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
    for prefix, (before, lost) in _NASALS.items():
        rest = word.removeprefix(prefix)
        if rest == word or len(rest) < _MIN_STEM - 1:
            continue
        if rest[0] in before:
            yield from _deeper(prefix, rest, depth)
        if lost and rest[0] in _VOWELS:
            yield (prefix,), lost + rest, True
    if word.startswith(("ber", "per", "ter")) and len(word) > _MIN_STEM + 2:
        yield from _deeper(word[:2], word[2:], depth)  # "be-rehat": the prefix has lost its r before the r of the stem
    for prefixes, shortest in ((_PLAIN_PREFIXES, _MIN_STEM - 1), (_LEARNED_PREFIXES, _MIN_LEARNED_STEM)):
        for prefix in prefixes:
            if word.startswith(prefix) and len(word) - len(prefix) >= shortest:
                yield from _deeper(prefix, word[len(prefix) :], depth)


def _deeper(prefix: str, rest: str, depth: int) -> Iterator[tuple[tuple[str, ...], str, bool]]:
    for prefixes, stem, swallowed in _without_prefixes(rest, depth - 1):
        yield (prefix, *prefixes), stem, swallowed


def guess(word: str) -> Analysis:
    """Split a word whose stem is unknown into its probable affixes and stem. The stem may be the whole word."""
    best = Analysis((), word, ())
    for suffixes, rest in _without_suffixes(word):
        for prefixes, stem, swallowed in _without_prefixes(rest, 2):
            if set(suffixes) - _SURE_SUFFIXES or set(prefixes) - _SURE_PREFIXES or not _could_be_stem(stem):
                continue
            if swallowed and not (prefixes[-1].endswith("y") or prefixes[-1].endswith("ng")):
                stem = stem[1:]
                swallowed = False
            found = Analysis(prefixes, stem, suffixes, swallowed)
            if len(stem) < len(best.stem):
                best = found
    return best


def _could_be_stem(stem: str) -> bool:
    if re.match(r"(?!ng|ny|sy|kh|[bdgkpt][rl]|str)[^aeiou]{2}", stem):
        return False
    return len(stem) >= _MIN_STEM + 1 and sum(letter in _VOWELS for letter in stem) >= 2
