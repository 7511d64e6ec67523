"""Decide whether a full stop ends a sentence or belongs to an abbreviation, an initial or an item number."""

from __future__ import annotations

import re

_LOOKBACK_CHARS = 48

# Abbreviations that never end a sentence, because a name, a number or an example follows.
_TITLES = frozenset(
    """
    dr prof tn pn en encik tuan puan cik dato datuk datin tun hj hjh ust ustz ir ts mr mrs ms st sr jr mohd muhd md
    abd abdl bt bte jln tmn kg kpg lrg bkt sg psn lbh lbhraya tkt bdr tg tjg kws sdn spt cth rujuk vs fig approx e.g
    i.e a.k.a viz cf kol lt mej kapt insp supt sjn kpl sarj laks brig ybhg ybrs yb yab y.bhg y.brs samb ext hb ruj jab
    kem pej bhg sek men keb hosp pgh pen peg tim pt mt gen jen univ rah gov sen rev hon capt sgt u.p s.k b.p k.p
    s.b t.t lg
    திரு திருமதி டாக்டர் எண் எ.கா கி.மீ கி.கி மி.மீ செ.மீ மு.ப பி.ப எஸ் எம் ஆர் டி கே வி பி ஜே எல் செல்வி
    """.split()
)
# Titles that are also words or parts of names. They are abbreviations only with a capital ("Sg. Buloh").
_ONLY_CAPITALISED = frozenset(
    "encik tuan puan cik dato datuk datin tun en ms st sr jr sg lt ir ts rujuk fig kem sek men pen tim pt mt gen "
    "gov sen rev hon md tg lg jab pej peg keb hosp".split()
)
# Abbreviations only before a number: "No. 5", "ms. 12".
_COUNTERS = frozenset(
    "min maks max nos fig figs eq sec ch bil tel hlm ms m.s bab fasal vol pp p art sek jil jld para rajah".split()
)
# Abbreviations that may end a sentence. Their full stop ends it unless what follows continues the sentence, for example
# a lower-case word.
_TAILS = frozenset(
    """
    dll dsb dst dkk etc bhd inc ltd co corp a.m p.m am pm s.w.t a.s r.a r.ha s.a.w et.al al jan feb mar apr jul aug ogo
    sep sept oct okt nov dec dis kep hons b.sc m.sc b.a m.a b.eng m.eng b.ed ph.d pg ptg tgh thn bln ave rd blvd kps
    pkl p.a d.e d.t d.r
    """.split()
)
_LETTERED = frozenset(
    "vitamin pelan kelas gred blok plan grade class block hepatitis kumpulan group option pilihan jawapan bahagian "
    "seksyen section part sijil team pasukan jenis type bilik lot unit tingkat menara fasa zon darah".split()
)
_CHAT_WORD = re.compile(r"[bcdfghjklmnpqrstvwxyz]{2,5}")
_INITIALS = re.compile(r"(?:[A-Z]\.)+[A-Z]|[\u0b80-\u0bff]{1,2}(?:\.[\u0b80-\u0bff]{1,2})*")
_LAST_WORD = re.compile(r"[^\s\"“”‘’(\[*_/]+$")
_AFTER_COLON = re.compile(r"[:;]\s*$")
_OPENING = "([-–—"


def full_stop_ends(text: str, at: int, after: int, following: str) -> bool:
    """Return True if the full stop at text[at] ends a sentence.

    ``after``: index of the space that follows the full stop and any closing quotes or brackets.
    ``following``: first character of the next word, without opening quotes or brackets.
    """
    found = _LAST_WORD.search(text, max(0, at - _LOOKBACK_CHARS), at)
    if found is None:
        return True
    word = found[0]
    lowered = word.lower().rstrip("'’")
    if word == "No" or (lowered in ("no", "nos") and not following.isupper()):
        return False
    if lowered in _COUNTERS and (following.isdigit() or (word[0].isupper() and following.islower())):
        return False
    if lowered in _TITLES and (lowered not in _ONLY_CAPITALISED or word[0].isupper()):
        return False
    if word == "b":  # "Ahmad b. Ali"
        return not following.isupper()
    if lowered in _TAILS or _CHAT_WORD.fullmatch(word):
        inside_brackets = ")" in text[at + 1 : after]
        opens = text[after:].lstrip()[:1] in _OPENING
        return not (following.islower() or following.isdigit() or inside_brackets or opens)
    if _INITIALS.fullmatch(word):
        return False
    if len(word) == 1 and word.isupper() and word != "I":
        before = text[: found.start()].split()[-1:]
        return bool(before) and before[0].lower() in _LETTERED
    return not _is_enumerator(text, found.start(), word)


def _is_enumerator(text: str, start: int, word: str) -> bool:
    """Return True if the word is the number of a heading or a list item, as in "Bahan: 1. Gula 2. Garam".

    ``start``: index of the word in the text.
    """
    if not (word.isdigit() and len(word) <= 3):
        return False
    before = text[:start]
    if not before.strip(" \t\n#*_"):
        return True
    if len(word) > 2:
        return False
    return bool(_AFTER_COLON.search(before)) or bool(re.search(rf"(?<!\S){int(word) - 1}\. ", before[-200:]))
