"""The word lists: Malay words with their respelling (see ``malay``), English words, and words in Jawi.

Threads: the tables are read once and never changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent
ENGLISH = "@en"  # stands in place of a respelling if the word is said in English ("Facebook")


@dataclass(frozen=True)
class Lexicon:
    """All word lists. Words in Latin letters are in lower case.

    ``respellings``: Malay word or stem → its respelling (see ``malay``).
    ``brands``: word pronounced as in English, often a brand → a spelling that an English voice pronounces correctly.
    ``english``: words that are English even in a Malay sentence.
    ``jawi``: Jawi word → the same word in Latin letters.
    """

    respellings: dict[str, str]
    brands: dict[str, str]
    english: frozenset[str]
    jawi: dict[str, str]

    def knows(self, word: str) -> bool:
        return word in self.respellings


@cache
def lexicon() -> Lexicon:
    """Return the lexicon. The first call reads the data files."""
    respellings: dict[str, str] = {}
    brands: dict[str, str] = {}
    for line in _lines("malay.tsv"):
        word, _, said = line.partition("\t")
        if said.startswith(ENGLISH):
            brands[word] = said.removeprefix(ENGLISH).strip() or word
        else:
            respellings[word] = said or word
    jawi = dict(line.split("\t") for line in _lines("jawi.tsv"))
    english = frozenset((_FOLDER / "english.txt").read_text("utf-8").split())
    return Lexicon(respellings, brands, english, jawi)


def _lines(name: str) -> list[str]:
    lines = (_FOLDER / name).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]
