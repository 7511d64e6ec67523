"""Compute the word error rate (WER) of a transcript.

Both texts are normalised first, so that differences of notation do not count as errors:

- case and punctuation;
- numbers and amounts: "6%" and "enam peratus", "RM12.50" and "dua belas ringgit lima puluh sen";
- spelled acronyms and abbreviations: "KWSP" and "k w s p", "Dr." and "doktor";
- spelling variants and contractions: "e-mel" and "emel", "colour" and "color", "it's" and "it is".

Normalisation turns number words into digits, then symbols into words, and then the number words in the result into
digits. Chinese is compared character by character.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from spoken_text.chat import CHAT
from spoken_text.dates import DATES
from spoken_text.language import detect_language
from spoken_text.maths import RANGES, TIME_RANGES
from spoken_text.money import MONEY
from spoken_text.number_words import han_with_digits, with_digits
from spoken_text.numbers import FRACTIONS, ORDINALS
from spoken_text.roman import ROMANS
from spoken_text.rules import apply
from spoken_text.spellings import one_spelling, uncontracted
from spoken_text.times import PARTS, TIMES
from spoken_text.units import EACH, UNITS

_HAN = re.compile(r"([\u3400-\u9fff\uf900-\ufaff])")  # written without spaces: each character counts as a word
_IN_WORDS = ("L", "M", "N")  # Unicode categories: letters, marks (such as Tamil vowel signs), numbers
_SIGNS = [*DATES, *PARTS, *TIME_RANGES, *TIMES, *EACH, *RANGES, *MONEY, *ORDINALS, *FRACTIONS, *UNITS]

_BEFORE_SIGNS = [
    (re.compile(pattern), meant)
    for pattern, meant in (
        (r"[\u200b-\u200f\u2060\ufeff\u00ad]", ""),
        (r"(?<=\d)([¼½¾⅓⅔⅛])", r" \1"),
        (r"[\u2018\u2019\u02bc`]", "'"),
    )
]
#: Patterns that restore the capitals of symbols and units in lower-case text, because the rules expect them.
_AS_WRITTEN = [
    (re.compile(rf"\b{name.lower()}(?=\.?\s?\d)|(?<=\d){name.lower()}\b|(?<=\d ){name.lower()}\b"), name)
    for name in (
        "RM",
        "MYR",
        "USD",
        "SGD",
        "AUD",
        "EUR",
        "GBP",
        "IDR",
        "KB",
        "MB",
        "GB",
        "TB",
        "Mbps",
        "Hz",
        "kHz",
        "MHz",
    )
] + [
    (re.compile(pattern), meant)
    for pattern, meant in (
        (r"\bus\$", "US$"),
        (r"\brp(?=\.?\s?\d)", "Rp"),
        (r"(?<=\d)\s?°\s?c\b", "°C"),
        (r"(?<=\d)\s?°\s?f\b", "°F"),
        (r"(?<=\d)\s?(?:k|rb)\b", " ribu"),
        (r"(?<=\d)\s?(?:jt|mil|mn)\b", " juta"),
        (r"(?<=\d)\s?(?:bil|bn)\b", " bilion"),
        (r"\b([a-z]{4,})2(nya|an|kan|lah|i)?\b", r"\1 \1\2"),
        (r"\bdr\b\.?", "doktor"),  # the chat rules would make it "dari"
        (r"\bpn\b\.?", "puan"),  # the chat rules would make it "pun"
        (r"(?<=\d)\s?k(wh?|j)\b", r" k\1"),
        (r"\be[- ]?(mel|mail)(s?)\b", r"email\2"),
        (r"\bno\.\s?(?=\w)", "number "),
    )
]
#: Telephone, identity card and account numbers. Their groups of digits are joined into one number.
_GROUPED = re.compile(r"(?<![\w.])\+?(?:0\d{1,3}|1[- ][38]00|60\d{0,2}|\d{6}|\d{3,4})(?:[- ]\d{2,8}){1,4}(?![\w.]?\d)")
_ACCENTS = re.compile(r"(?<=[a-z])[\u0300-\u036f]+")
_DOTTED_THOUSANDS = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{3}){2,4}(?![\w.]?\d)")
_MINUS = re.compile(r"(?<![\w).,])[-\u2212](?=\d)")
_MONTH = (
    "january|february|march|april|may|june|july|august|october|december|januari|februari|mac|mei|jun|julai|ogos|"
    "september|oktober|november|disember"
)
_ALIKE = [
    (re.compile(pattern), meant)
    for pattern, meant in (
        (rf"\b(?:the )?(\d+)(?:st|nd|rd|th) (?:of )?({_MONTH})\b", r"\1 \2"),
        (rf"\b({_MONTH}) (?:the )?(\d+)(?:st|nd|rd|th)\b", r"\1 \2"),
        (r"\b(\d+)\.(\d\d) (ringgit|dolar|euro|riyal)\b", r"\1 \3 \2 sen"),
        (r"\b(\d+) (ringgit|dolar|euro|riyal) (?:and|dan) (\d+ sen)\b", r"\1 \2 \3"),
        (r"\b0 (?:ringgit|dolar) (?=\d+ sen\b)", ""),
        (r"(?<=\bringgit) 00 sen\b|(?<=\bdolar) 00 sen\b", ""),
        (r"(?<=\bringgit 0)(?=\d sen\b)|(?<=\bdolar 0)(?=\d sen\b)", "\0"),
        (r"0\0", ""),
        (r"\b(?:minus|negative|negatif|tolak) (?=\d)", "- "),
        (r"\bper (?:cent|sen)\b", "%"),
        (r"\bhari bulan\b", "haribulan"),
        (r"\btengahari\b", "tengah hari"),
        (r"\b(berapa|per|setiap|banyak|in) kampung\b", r"\1 kilogram"),
        (r"\bsepertiga\b", "1/3"),
        (r"\bseperempat\b", "suku"),
        (r"\bnombor(?= \d)", "number"),
        (r"(?<=\d) (?:darab|kali|times)\b", " x"),
    )
]
_LETTER_NAMES = dict(
    pair.split("=")
    for pair in (
        "ei=a bi=b si=c di=d ef=f ji=g hec=h hech=h ech=h ai=i je=j jei=j ke=k kei=k ka=k el=l em=m en=n pi=p kiu=q "
        "kyu=q ar=r es=s ti=t yu=u vi=v dabliu=w dablyu=w dabliyu=w eks=x wai=y zet=z zed=z"
    ).split()
)
_ALSO_WORDS = frozenset("si di ai je ke en ar es ka a i o e u".split())  # letter names that are also words
_LETTERS_AND_DIGITS = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")


@dataclass(frozen=True)
class Errors:
    """Counts of word errors in a transcript: the edits that turn the reference into the hypothesis.

    ``words``: number of words in the reference.
    """

    substitutions: int
    deletions: int
    insertions: int
    words: int

    @property
    def count(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """The word error rate: errors divided by the words of the reference. It can exceed 1."""
        return self.count / self.words


def compare(reference: str, hypothesis: str, language: str = "ms") -> Errors:
    """Return the counts of the word errors in a transcript.

    ``reference``: the words that were really said.
    ``hypothesis``: the transcript.
    ``language``: the texts' language if it cannot be detected.

    Raise ``ValueError`` if the reference has no words.
    """
    said, heard = alike(reference, hypothesis, language)
    if not said:
        raise ValueError("the reference has no words")
    import jiwer  # slow to import, and needed only for corrections

    found = jiwer.process_words(said, heard)
    return Errors(found.substitutions, found.deletions, found.insertions, len(said.split()))


def alike(reference: str, hypothesis: str, language: str = "ms") -> tuple[str, str]:
    """Return both texts in the form in which they are compared.

    Both texts are normalised (see ``normalise``) with the same language. If only one of them writes a compound as a
    single word ("lebuhraya", not "lebuh raya"), both get the single word.
    """
    spoken = _language(f"{reference} {hypothesis}", language)
    said, heard = (_words(text, spoken) for text in (reference, hypothesis))
    return " ".join(_joined(said, set(heard))), " ".join(_joined(heard, set(said)))


def normalise(text: str, language: str = "ms") -> str:
    """Return a text in lower case without punctuation, with numbers in digits and each word in one spelling.

    Words are separated by single spaces. A hyphen separates words too: "anak-anak" becomes "anak anak".

    ``language``: the language in which symbols are put into words, if the text's language cannot be detected.
    """
    return " ".join(_words(text, _language(text, language)))


def _language(text: str, fallback: str) -> str:
    """Return the language in which symbols are put into words: "ms" or "en"."""
    found = detect_language(text.casefold(), fallback.partition("-")[0].lower())
    return "en" if found in ("en", "zh", "ta") else "ms"


def _words(text: str, language: str) -> list[str]:
    for pattern, meant in _BEFORE_SIGNS:
        text = pattern.sub(meant, text)
    text = unicodedata.normalize("NFKC", apply(ROMANS, text, language)).casefold()
    text = _ACCENTS.sub("", unicodedata.normalize("NFD", uncontracted(text)))
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", unicodedata.normalize("NFC", text))
    text = _DOTTED_THOUSANDS.sub(lambda match: match[0].replace(".", ""), text)
    text = _spoken_numbers(han_with_digits(text))
    for pattern, meant in _AS_WRITTEN:
        text = pattern.sub(meant, text)
    text = _GROUPED.sub(lambda match: " " + re.sub(r"[^\d+]", "", match[0]) + " ", text)
    text = _MINUS.sub(" negatif ", text)
    text = apply(CHAT, apply(_SIGNS, text, language), language).casefold()
    words = [
        part
        for word in _letters_joined(_kept(text).split())
        for part in one_spelling(word.strip("'").replace("'", "")).split()
    ]
    found = " ".join(with_digits(words))
    for pattern, meant in _ALIKE:
        found = pattern.sub(meant, found)
    return found.split()


def _spoken_numbers(text: str) -> str:
    """Replace number words with digits. Words on both sides of a punctuation mark are not joined into one number."""
    out: list[str] = []
    phrase: list[str] = []
    for chunk in text.split():
        core = chunk.rstrip(".,;:!?")
        if core.isdecimal() or core.replace("-", "").isalpha():
            phrase += core.split("-") if re.search(r"\w-\w", core) else [core]
            if core == chunk:
                continue
            out += [*with_digits(phrase)[:-1], with_digits(phrase)[-1] + chunk[len(core) :]]
        else:
            out += [*with_digits(phrase), chunk]
        phrase = []
    return " ".join([*out, *with_digits(phrase)])


def _kept(text: str) -> str:
    """Remove the punctuation. Put spaces around each Chinese character, and between letters and digits."""
    text = re.sub(r"(?<!\d)[./](?!\d)|(?<=\d)[./](?!\d)|(?<!\d)[./](?=\d)", " ", text)
    text = text.replace("+", " tambah ").replace("=", " sama dengan ")
    kept = "".join(char if char in "'%./" or unicodedata.category(char)[0] in _IN_WORDS else " " for char in text)
    kept = _HAN.sub(r" \1 ", kept.replace("%", " % "))
    return _LETTERS_AND_DIGITS.sub(" ", kept)


def _letters_joined(words: Sequence[str]) -> list[str]:
    """Join spelled letters into one word, whether written as letters ("k w s p") or as names ("ke dabliu es pi")."""
    out: list[str] = []
    run: list[str] = []
    for word in [*words, ""]:
        if (len(word) == 1 and word.isascii() and word.isalpha()) or word in _LETTER_NAMES:
            run.append(word)
            continue
        out += _spelled(run)
        run = []
        out.append(word)
    return out[:-1]


def _spelled(run: list[str]) -> list[str]:
    letters = sum(len(word) == 1 for word in run)
    names = sum(word not in _ALSO_WORDS and len(word) > 1 for word in run)
    if letters >= 2 and not names and letters < len(run):  # "k l c c ke l r t": the word "ke" separates two acronyms
        groups = itertools.groupby(run, key=lambda word: len(word) == 1)
        return [part for is_letters, group in groups for part in (_spelled(list(group)) if is_letters else group)]
    is_sure = letters + names >= 2 and (names or letters == len(run))
    return ["".join(_LETTER_NAMES.get(word, word) for word in run)] if is_sure and run != ["i", "a"] else run


def _joined(words: list[str], others: set[str]) -> list[str]:
    """Join two or three adjacent words if the other text has them as one word.

    ``others``: all words of the other text.
    """
    out: list[str] = []
    index = 0
    while index < len(words):
        for length in (3, 2):
            together = "".join(words[index : index + length])
            if len(words) - index >= length and together in others and not together.isdigit():
                out.append(together)
                index += length
                break
        else:
            out.append(words[index])
            index += 1
    return out
