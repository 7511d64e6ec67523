"""Remove or replace characters that cannot be spoken, such as emoji, and tidy the punctuation."""

from __future__ import annotations

import re
import unicodedata

_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\U0001fb00-\U0001fbff\u2600-\u27bf\u2b00-\u2bff\u2300-\u23ff\u25a0-\u25ff\u2460-\u24ff"
    "\u3030\u303d\u3297\u3299\U000e0000-\U000e007f\ufe00-\ufe0f\u200d\u20e3\u2190-\u2193\u21a0-\u21ff\u2900-\u297f]"
)
_INVISIBLE = re.compile(
    "[\u0000-\u0008\u000e-\u001f\u007f-\u009f\u00ad\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffd\ud800-\udfff]"
)
_SPACES = re.compile(r"[^\S\n]+")
_EXPONENTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_VULGAR = re.compile(r"(\d?)\s?([¼-¾⅐-⅞↉])")
_REPEATED_SIGNS = re.compile(r"([≥≤≠≈±√∑∞‰×÷→ﷺﷻ])(?:\s*\1)+")  # a repeated sign is said once
_TABLE = str.maketrans(
    {
        "‐": "-",
        "‑": "-",
        "‒": "–",
        "―": "—",
        "℃": "°C",
        "℉": "°F",
        "º": "°",
        "µ": "μ",
        "′": "'",
        "″": '"',
        "→": " → ",
        "⇒": " → ",
        "➜": " → ",
        "➔": " → ",
        "№": "No. ",
        "™": "",
        "®": "",
        "©": "",
        "\u2044": "/",
        "✕": "×",
        "✖": "×",
        "•": ",",
        "−": "−",
        "ﷺ": " sallallahu alaihi wasallam ",
        "ﷻ": " Subhanahu wa Taala ",
        "·": ",",
    }
)


_EMOTICONS = re.compile(
    r"(?<![\w/.:])(?:T[_.]T|[oO][_.][oO0]|[xX]D+|[:;=][-'’^o]?[)(DPpOo3]+|:-?/|:'\(|<3+(?=\s*(?:[.,!?]|$))"
    r"|</3|\^[_.]?\^|>[_.]?<|-[_.]{1,2}-|;[_.];|u[_.]u)(?![\w/])"
    r"|[¯╯╰ヽ\\]{0,2}_?/?[(（][^()（）\w\n]{0,3}(?:[ツಠ□益ᴗ╥﹏•◕‿ʘᵔᴥ・゜]|°□°)[^()（）\n]{0,5}[)）]"
    r"(?:\\?_?/?[¯╯╰ﾉノ])?(?:︵\s?┻━┻)?"
)
_SHORTCODE = re.compile(r"(?<![\w:]):(?:[a-z][a-z0-9_+-]{1,30}|[+-]1|100):(?![\w:])")


def without_emoticons(text: str) -> str:
    """Return ``text`` without ":-)", "T_T", "<3", "¯\\_(ツ)_/¯" and ":tada:".

    Call this before Markdown is removed, because emoticons contain Markdown's marks.
    """
    return _SHORTCODE.sub(" ", _EMOTICONS.sub(" ", text))


def plain_characters(text: str) -> str:
    """Replace special characters with plain ones.

    - Emoji and invisible characters are removed.
    - Digits of any script and full-width letters become ASCII.
    - Fractions such as "½" become "1/2".
    """
    if text.isascii():
        return _INVISIBLE.sub("", text)
    text = _REPEATED_SIGNS.sub(r"\1", text)
    text = _VULGAR.sub(_fraction, text.translate(_TABLE))
    text = _INVISIBLE.sub("", _EMOJI.sub(_emoji, text))
    text = _RAISED.sub(lambda m: "^" + m[0].translate(_EXPONENTS), text)
    return "".join(_narrow(char) if char > "\u02ff" else char for char in text)


def _fraction(match: re.Match[str]) -> str:
    top, _, bottom = unicodedata.normalize("NFKC", match[2]).partition("\u2044")
    return f"{match[1]} {top}/{bottom}" if match[1] else f" {top}/{bottom}"


def _emoji(match: re.Match[str]) -> str:
    char = match[0]
    if "\u2460" <= char <= "\u24ff" or "\u2776" <= char <= "\u2793":  # circled numbers and letters
        return f" {unicodedata.normalize('NFKC', char).strip('().')} "
    if char in "\u23b7\u221a→" or char in "\ufe0f\u200d\u20e3":
        return "" if char in "\ufe0f\u200d\u20e3" else char
    return " "


def _narrow(char: str) -> str:
    if "\uff01" <= char <= "\uff5e":
        if char in "，！？；：（）":
            return char
        return chr(ord(char) - 0xFEE0)
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    if "\u2080" <= char <= "\u2089" or "\U0001d400" <= char <= "\U0001d7ff" or "\u3380" <= char <= "\u33df":
        return unicodedata.normalize("NFKC", char)
    if "\u2160" <= char <= "\u217f" or "\ufb00" <= char <= "\ufb06":  # Roman numerals, ligatures
        return unicodedata.normalize("NFKC", char)
    return char


_WIDE_MARKS = str.maketrans(
    {"，": ", ", "！": "! ", "？": "? ", "；": ", ", "：": ": ", "（": " (", "）": ") ", "。": ". ", "、": ", "}
)
_QUOTES = re.compile(r"[\"“”„«»「」『』〝〞‹›`]|(?<![\w])['‘’]|(?<=[^\w\s])['‘’]|['‘’](?=\s*[-–—]\s)")
_QUOTED = re.compile(r"(?<!\w)['‘]([^'‘’]{1,200})['’](?!\w)")
_OPEN = re.compile(r"\s*[(\[{]\s*")
_CLOSE = re.compile(r"\s*[)\]}]\s*")
_CLOSED_AT_END = re.compile(r"[)\]}\s]+$")
_ELLIPSIS = re.compile(r"\s*(?:…|\.{2,})(?:[.…]*)")
_LOUD = re.compile(r"[?!][?!\s]*[?!]")
_DASHES = re.compile(r"\s+[-–—−]+(?=\s|$)|(?<=\w)\s*[–—]\s*(?=\w)|^[-–—−]+\s*|[–—−]")
_REST = re.compile(r"[^\w\s.,?!:'’\-\u2063]|_")
_MARKS_BEHIND = re.compile("[\u0300-\u036f]")
_FOREIGN = re.compile("[^\\W_\\u0000-\\u024f]")  # letters and numerals that no Malay or English voice can speak
_GLUED = re.compile(r"([,:?!])(?=\w)|(?<=[^\W\dA-Z_])(\.)(?=[A-Z])")
_DOT_INSIDE = re.compile(r"(?<=\w)\.(?=\w)")
_PAUSES = re.compile(r"(?:\s*[,:.?!](?=[\s,:.?!]|$)){2,}")
_BEFORE_PAUSE = re.compile(r"\s+(?=[,:.?!](?:\s|$))")
_LEADING = re.compile(r"^[\s,:.?!\-]+")


def tidy(text: str) -> str:
    """Turn brackets, dashes and other punctuation into commas or full stops, and tidy the spaces.

    The only marks that remain are ``, . ? ! :``, and hyphens and apostrophes inside words.
    """
    text = _latin(text).translate(_WIDE_MARKS).replace("\n", " ")
    text = _QUOTES.sub("", _QUOTED.sub(r"\1", text))
    text = _ELLIPSIS.sub(_ellipsis, text)
    text = _CLOSED_AT_END.sub("", text)
    text = _CLOSE.sub(", ", _OPEN.sub(", ", text))
    text = _LOUD.sub(lambda m: "? " if "?" in m[0] else "! ", text)
    text = _DASHES.sub(", ", text.replace(";", ","))
    text = _REST.sub(" ", text)
    text = re.sub(r"(?<!\w)-+|-+(?!\w)", " ", text)
    text = _DOT_INSIDE.sub(" dot ", _GLUED.sub(lambda m: m[0] + " ", text))
    text = _BEFORE_PAUSE.sub("", _SPACES.sub(" ", text))
    text = _PAUSES.sub(_strongest, text)
    text = _LEADING.sub("", text)
    return _SPACES.sub(" ", text).strip()


def _latin(text: str) -> str:
    """Return ``text`` without letters of scripts other than Latin and without combining marks."""
    if text.isascii():
        return text
    composed = unicodedata.normalize("NFC", text)
    folded = "".join(_base(char) if char >= "\u0250" else char for char in composed)
    return _MARKS_BEHIND.sub("", _FOREIGN.sub(" ", folded))


def _base(char: str) -> str:
    """Remove the diacritics of a letter in Latin Extended Additional (Vietnamese). Return other letters unchanged."""
    return unicodedata.normalize("NFD", char)[0] if "\u1e00" <= char <= "\u1eff" else char


def _ellipsis(match: re.Match[str]) -> str:
    rest = match.string[match.end() :].lstrip(' )]"”’*')
    return ". " if not rest or rest[0].isupper() else ", "


def _strongest(match: re.Match[str]) -> str:
    marks = match[0]
    return next((mark for mark in "?!.:," if mark in marks), ",")


_BETWEEN_IDEOGRAPHS = re.compile(
    r"(?<=[\u3400-\u9fff，。！？；：、])\s(?=[\u3400-\u9fff，。！？；：、])|\s(?=[，。！？；：、])"
)


def tidy_spaces(text: str) -> str:
    """Tidy the spaces of a text, but not its punctuation. Used for Chinese and Tamil."""
    return _BETWEEN_IDEOGRAPHS.sub("", re.sub(r"\s+", " ", text)).strip()
