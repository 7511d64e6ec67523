"""Rules that put amounts of money into words, such as "RM1,250.50", "RM1.2 juta", "50¢" and "Rp10.000"."""

from __future__ import annotations

import re
from typing import NamedTuple

from spoken_text.acronyms import spell
from spoken_text.numbers import SCALE, number, scaled
from spoken_text.rules import DASH, EDGE, END, NUMBER, Rule, pick, rule, words


class _Currency(NamedTuple):
    malay: str
    one: str
    many: str
    malay_part: str = "sen"
    part: str = "cent"
    parts: str = "cents"


_RINGGIT = _Currency("ringgit", "ringgit", "ringgit", "sen", "sen", "sen")
_DOLLAR = _Currency("dolar", "dollar", "dollars")
_US_DOLLAR = _Currency("dolar Amerika", "U S dollar", "U S dollars")
_SINGAPORE_DOLLAR = _Currency("dolar Singapura", "Singapore dollar", "Singapore dollars")
_EURO = _Currency("euro", "euro", "euros")
_POUND = _Currency("paun", "pound", "pounds", "peni", "penny", "pence")
_YEN = _Currency("yen", "yen", "yen")
_YUAN = _Currency("yuan", "yuan", "yuan", "fen", "fen", "fen")
_RUPIAH = _Currency("rupiah", "rupiah", "rupiah")
_RUPEE = _Currency("rupee", "rupee", "rupees", "paisa", "paisa", "paise")
_BAHT = _Currency("baht", "baht", "baht", "satang", "satang", "satang")
_WON = _Currency("won", "won", "won")
_RIYAL = _Currency("riyal", "riyal", "riyals", "halala", "halala", "halalas")
_AUSTRALIAN = _Currency("dolar Australia", "Australian dollar", "Australian dollars")
_BRUNEI = _Currency("dolar Brunei", "Brunei dollar", "Brunei dollars")
_HONG_KONG = _Currency("dolar Hong Kong", "Hong Kong dollar", "Hong Kong dollars")

_CURRENCIES = {
    "RM": _RINGGIT,
    "MYR": _RINGGIT,
    "US$": _US_DOLLAR,
    "USD": _US_DOLLAR,
    "S$": _SINGAPORE_DOLLAR,
    "SGD": _SINGAPORE_DOLLAR,
    "A$": _AUSTRALIAN,
    "AUD": _AUSTRALIAN,
    "HK$": _HONG_KONG,
    "HKD": _HONG_KONG,
    "BND": _BRUNEI,
    "$": _DOLLAR,
    "€": _EURO,
    "EUR": _EURO,
    "£": _POUND,
    "GBP": _POUND,
    "¥": _YEN,
    "JPY": _YEN,
    "CNY": _YUAN,
    "RMB": _YUAN,
    "Rp": _RUPIAH,
    "IDR": _RUPIAH,
    "₹": _RUPEE,
    "INR": _RUPEE,
    "฿": _BAHT,
    "THB": _BAHT,
    "₩": _WON,
    "KRW": _WON,
    "SAR": _RIYAL,
    "NZD": _Currency("dolar New Zealand", "New Zealand dollar", "New Zealand dollars"),
    "TWD": _Currency("dolar Taiwan", "Taiwan dollar", "Taiwan dollars"),
    "PHP": _Currency("peso", "peso", "pesos"),
    "VND": _Currency("dong", "dong", "dong"),
    "CHF": _Currency("franc Swiss", "Swiss franc", "Swiss francs"),
    "CAD": _Currency("dolar Kanada", "Canadian dollar", "Canadian dollars"),
}
_SIGN = "|".join(re.escape(sign) for sign in sorted(_CURRENCIES, key=len, reverse=True))
_CODES = "|".join(sign for sign in _CURRENCIES if sign.isalpha() and len(sign) > 2) + "|RM"


def amount(value: str, currency: _Currency, language: str) -> str:
    """Return an amount such as "1250.50" in words: "… ringgit lima puluh sen".

    One or two decimals are read in the smaller unit of the currency, more decimals digit by digit.
    """
    whole, _, decimals = value.replace(",", "").partition(".")
    if len(decimals) == 1:
        decimals += "0"
    name = currency.malay if language == "ms" else currency.one if whole == "1" else currency.many
    if decimals and len(decimals) != 2:
        return f"{number(value, language)} {name}"
    spoken: list[str] = []
    cents = int(decimals or "0")
    if int(whole) or not cents:
        spoken.append(f"{number(whole, language)} {name}")
    if cents:
        part = currency.malay_part if language == "ms" else currency.part if cents == 1 else currency.parts
        joined = "and " if spoken and language == "en" else ""
        spoken.append(f"{joined}{number(str(cents), language)} {part}")
    return " ".join(spoken)


def _scaled(value: str, size: str | None, currency: _Currency, language: str) -> str:
    if not size:
        return amount(value, currency, language)
    name = pick(language, currency.malay, currency.many)
    return f"{scaled(value, size, language)} {name}"


def _minus(sign: str | None, language: str) -> str:
    return pick(language, "negatif ", "minus ") if sign else ""


def _before(match: re.Match[str], language: str) -> str:
    sign = match[1] or match[3]
    return _minus(sign, language) + _scaled(match[4], match[5], _CURRENCIES[match[2]], language)


def _after(match: re.Match[str], language: str) -> str:
    return _minus(match[1], language) + _scaled(match[2], match[3], _CURRENCIES[match[4]], language)


def _range(match: re.Match[str], language: str) -> str:
    """Put a range of amounts into words: "RM5-10 juta" becomes "lima hingga sepuluh juta ringgit"."""
    sign, low, low_size, high, high_size = match.groups()
    joined = pick(language, "hingga", "to")
    end = _scaled(high, high_size, _CURRENCIES[sign], language)
    start = number(low, language) if not low_size or low_size == high_size else scaled(low, low_size, language)
    if "." in low and not high_size:
        start = amount(low, _CURRENCIES[sign], language)
    return f"{start} {joined} {end}"


def _thousands(match: re.Match[str], language: str) -> str:
    """Remove full stops and spaces that separate thousands: "RM1.234.567", "RM 1 250 000"."""
    return f"{match[1]}{re.sub('[. ]', '', match[2])}"


def _dotted(match: re.Match[str], language: str) -> str:
    return amount(match[2].replace(".", ""), _CURRENCIES[match[1]], language)


_AT = r"(?<![\w$])(?<!\d[.,])"
_SIZE = rf"(?:\s?({SCALE}){END})?"
_RIGHT = r"(?![\w])(?!\.\d)"

MONEY: list[Rule] = [
    rule(
        rf"(?<![\w/])({_CODES})\s?/\s?({_CODES})(?![\w/])",  # exchange rates: "EUR/USD 1.0850"
        lambda m, lang: f"{spell(m[1], lang)} {spell(m[2], lang)}",
    ),
    rule(
        rf"{_AT}(RM|MYR)\s?(\d{{1,3}}(?:\.\d{{3}}){{2,4}}|\d{{1,3}}(?: \d{{3}}){{1,4}})(?![\w]|[.,]\d{{3}})", _thousands
    ),
    rule(r"(?<![\w])(CNY)(?= (?:19|20)\d\d(?![\d.,]))", lambda m, lang: spell(m[1], lang)),
    rule(rf"{_AT}(Rp|IDR)\.?\s?(\d{{1,3}}(?:\.\d{{3}}){{1,5}})(?:,00|,-)?{_RIGHT}", _dotted),
    rule(
        rf"{_AT}({_SIGN})\s?({NUMBER}){_SIZE}\s?{DASH}\s?(?:\1)?\s?({NUMBER}){_SIZE}{_RIGHT}",
        _range,
    ),
    rule(rf"{_AT}({DASH})?({_SIGN})\s?({DASH})?({NUMBER}){_SIZE}(?:,-)?{_RIGHT}", _before),
    rule(rf"{EDGE}(?:(?<![\w)] )({DASH}))?({NUMBER}){_SIZE}\s?({_CODES}|€|£|¥|US\$|S\$|\$)(?!\w)(?!\d)", _after),
    rule(
        rf"{EDGE}({NUMBER})\s?¢",
        lambda m, lang: f"{number(m[1], lang)} {pick(lang, 'sen', 'cents')}",
    ),
    rule(r"(?<!\w)RM(?![\w])", words("ringgit", "ringgit")),
]
