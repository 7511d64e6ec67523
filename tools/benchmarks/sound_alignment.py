"""Count which Malay sounds of a voice are recognised, by aligning each spoken sentence with its transcript.

Use the counts only to compare voices. They do not measure pronunciation, because spelling differs from sound,
and because the speech recogniser also makes mistakes.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import jiwer

from spoken_text.pronunciation.words import respelling, word_kind

SOUNDS = {
    "final a": re.compile(r"a$"),
    "final k": re.compile(r"k$"),
    "ng": re.compile(r"ng"),
    "ny": re.compile(r"ny"),
    "r": re.compile(r"r"),
    "sy": re.compile(r"sy"),
    "kh": re.compile(r"kh"),
    "h at the end": re.compile(r"h$"),
    "diphthong": re.compile(r"(?:ai|au|oi)$"),
}
PEPET = "e pepet"  # the letter e, pronounced as a schwa
TALING = "e taling"  # the letter e, pronounced as in "café"
KINDS = (PEPET, TALING, *SOUNDS)
_E = re.compile(r"[eé]")


def sounds_of(word: str) -> Iterator[tuple[str, int, int]]:
    """Yield the kind, start index and end index (exclusive) of each counted sound in a lower-case Malay word."""
    letters = [found.start() for found in re.finditer("e", word)]
    qualities = _E.findall(respelling(word))
    if len(letters) == len(qualities):
        for at, quality in zip(letters, qualities, strict=True):
            yield (TALING if quality == "é" else PEPET), at, at + 1
    for kind, pattern in SOUNDS.items():
        for found in pattern.finditer(word):
            yield kind, found.start(), found.end()


def missed_sounds(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """Return, for each kind of sound, how many were not recognised, and how many there were in total.

    ``pairs``: each spoken sentence with its transcript, both normalised by ``spoken_text.error_rate.alike``.
    """
    missed: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for said, heard in pairs:
        kept = _kept_letters(said.replace(" ", ""), heard.replace(" ", ""))
        for kind, places in _places(said).items():
            total[kind] += len(places)
            missed[kind] += sum(not kept.issuperset(place) for place in places)
    return {kind: (missed[kind], total[kind]) for kind in KINDS}


def _kept_letters(said: str, heard: str) -> set[int]:
    """Align a transcript with the spoken sentence; return the indices of the sentence's letters that were recognised.

    ``said``: the spoken sentence without spaces.
    ``heard``: its transcript without spaces.
    """
    if not said or not heard:
        return set()
    chunks = jiwer.process_characters(said, heard).alignments[0]
    return {
        index for chunk in chunks if chunk.type == "equal" for index in range(chunk.ref_start_idx, chunk.ref_end_idx)
    }


def _places(said: str) -> dict[str, list[range]]:
    """Return the index ranges of the counted sounds in a sentence's Malay words, keyed by kind of sound.

    The indices are positions in the sentence without its spaces.
    """
    places: dict[str, list[range]] = defaultdict(list)
    offset = 0
    for word in said.split():
        if word.isascii() and word.isalpha() and word_kind(word) != "en":
            for kind, start, end in sounds_of(word):
                places[kind].append(range(offset + start, offset + end))
        offset += len(word)
    return places
