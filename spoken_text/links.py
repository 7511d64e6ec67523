"""Rules that put web and e-mail addresses, @mentions and #hashtags into words."""

from __future__ import annotations

import re

from spoken_text.rules import Rule, rule

_TLD = "com|net|org|edu|gov|my|io|ai|co|sg|id|uk|info|dev|app|me|tv|asia|biz|xyz|us|au|jp|cn|th|ly|gg|be|so|in|mil"
_FILE = "py|js|ts|tsx|jsx|json|html?|css|md|txt|pdf|docx?|xlsx?|csv|ya?ml|toml|sh|java|kt|go|rs|php|sql|png|jpe?g|log"
_ROOTS = "bin|boot|dev|etc|home|lib|mnt|opt|proc|root|run|srv|sys|tmp|usr|var|Users|Applications|Library"
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})(?:\.[A-Za-z0-9-]{1,63}){1,6}"
_DOT = " dot "
_LINK = {"ms": "pautan ke", "en": "link to", "zh": "链接", "ta": "இணைப்பு"}


def _host(host: str) -> str:
    host = host.removeprefix("www.").strip(".-")
    return _DOT.join(part.replace("-", " ") for part in host.split(".") if part)


def _url(match: re.Match[str], language: str) -> str:
    """Put the host of a web address into words and drop the rest: "pautan ke wikipedia dot org"."""
    url = match[0]
    tail = url[len(url.rstrip(".,;:!?)\"'”’]*_~}")) :]
    host = re.split(r"[/?#:]", url[: len(url) - len(tail)].split("://", 1)[-1], maxsplit=1)[0].rsplit("@", 1)[-1]
    spoken = _host(host)
    tail = "".join(char for char in tail if char in ".,;:!?)")
    return f"{_LINK.get(language, 'link')} {spoken}{tail}" if spoken else tail


def _bare(match: re.Match[str], language: str) -> str:
    return _host(match[1])


def _email(match: re.Match[str], language: str) -> str:
    name = re.sub(r"[_+-]", lambda m: {"_": " underscore ", "+": " plus ", "-": " dash "}[m[0]], match[1])
    return f"{name.replace('.', _DOT)} at {_host(match[2])}"


def _path(match: re.Match[str], language: str) -> str:
    """Put the slashes of a path into words, as they do not mean "or" there: "slash etc slash hosts"."""
    spoken = re.sub(r"[~/]+", " slash ", match[0].removesuffix("/").removeprefix("~")).strip()
    return re.sub(r"\.(?=\w)", _DOT, spoken)


def _split_camel(word: str) -> str:
    word = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", word)
    return word.replace("_", " ").strip()


LINKS: list[Rule] = [
    rule(r"(?<![\w.+-])([A-Za-z0-9][\w.+-]{0,63})@(" + _HOST + ")", _email),
    rule(r"(?:\b(?:https?|ftp)://|\bwww\.(?=\w))[^\s<>\[\]{}|\\^`\u2e80-\uffef]*", _url, re.IGNORECASE),
    rule(
        rf"(?<![\w.@/-])((?:[A-Za-z0-9-]{{1,63}}\.){{1,4}}(?:{_TLD}))(?![\w-])(?:/[\w/.?=&%#~+-]{{0,300}}[\w/])?",
        _bare,
    ),
    rule(rf"(?<![\w/:.~])(?:~|/(?:{_ROOTS})(?=/))(?:/[A-Za-z_.][\w.-]{{0,60}}){{1,12}}/?(?![\w/])", _path),
    rule(rf"(?<![\w/.:-])(?:[\w-]{{1,40}}/){{1,8}}[\w-]{{1,40}}\.(?:{_FILE})(?![\w/])", _path),
    rule(r"(?<![\w@])@(\w{1,64})", lambda m, lang: f"at {_split_camel(m[1])}"),
    rule(r"(?<![\w#&])#([^\W\d]\w{0,80})", lambda m, lang: f"{_hash(lang)} {_split_camel(m[1])}"),
]


def _hash(language: str) -> str:
    return "hashtag" if language in ("ms", "en") else "#"
