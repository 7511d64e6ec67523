"""Predict how an e is pronounced in a Malay word that is not in the lexicon: e taling [e] or e pepet [ə]."""

from __future__ import annotations

import re

_VOWEL = re.compile(r"[aeéiou]")
# Spellings that occur only in words from European languages. In these words, e is e taling, except in the endings -er
# and -isme.
_FOREIGN_SHAPE = re.compile(r"[fvx]|^(?:str|s[cklmnptw]|[bcdfgkpt][rl]|ps)[aeiou]|ksi|kt[aeiou]|kst|pt[aeiou]|nst|ntr")
_FOREIGN_ENDING = re.compile(
    r"(?:asi|isi|nsi|psi|rsi|usi|esi|isme|iti|logi|grafi|nomi|metri|[ntrmslfdgp]ik|sif|sial|[ntr]al|men|gen|sen|ens"
    r"|tor|sor|sis|skop|gram|ium|ida|ina|ola|ula|ika)$"
)
_NATIVE_CLUSTER = re.compile(r"ng|ny|sy|kh")
_LOAN_MIN_SYLLABLES = 3


def looks_like_loan(stem: str) -> bool:
    """Return True if the spelling of a stem shows that it comes from a European language."""
    if _FOREIGN_SHAPE.search(_NATIVE_CLUSTER.sub("n", stem)):
        return True
    return len(_VOWEL.findall(stem)) >= _LOAN_MIN_SYLLABLES and bool(_FOREIGN_ENDING.search(stem))


def respell(stem: str) -> str:
    """Return the probable respelling of a stem (see ``malay``).

    An e taling becomes "é", and a loanword gets "~" at its end.
    """
    if looks_like_loan(stem):
        return _loan(stem)
    if "e" not in stem:
        return stem
    vowels = [match.start() for match in _VOWEL.finditer(stem)]
    letters = list(stem)
    last = vowels[-1]
    if letters[last] == "e" and (len(vowels) > 1 or last < len(stem) - 1):
        letters[last] = "é"  # "boleh", "beg", "sate"
    if len(vowels) > 1 and letters[vowels[-2]] == "e" and letters[last] in "éo":
        letters[vowels[-2]] = "é"  # "pendek", "elok"
    return "".join(letters)


def _loan(stem: str) -> str:
    if stem.endswith("er"):
        return stem.removesuffix("er").replace("e", "é") + "er~"
    if stem.endswith("isme"):
        return stem.removesuffix("isme").replace("e", "é") + "isme~"
    return stem.replace("e", "é") + "~"
