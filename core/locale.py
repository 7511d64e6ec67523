"""The language of an answer: from `Accept-Language`; on pages, the visitor's own choice takes precedence.

The admin stays English: its words are Django's, the theme's and ours, and only some of them are translated into Malay.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.utils import translation
from django.utils.translation.trans_real import parse_accept_lang_header

COOKIE = "voice_language"
MAX_HEADER_CHARACTERS = 500  # Django's own limit: what is longer is no browser's
ENGLISH_ONLY = "/admin/"


def accepted(header: str) -> str:
    """Return the first language of an ``Accept-Language`` header that this service supports."""
    for wanted, _quality in parse_accept_lang_header(header[:MAX_HEADER_CHARACTERS]):
        if (found := _known(wanted)) is not None:
            return found
    return settings.LANGUAGE_CODE


def chosen(wanted: str | None, cookies: Mapping[str, str], header: str) -> str:
    """Return a page's language, in order of precedence: from its URL, from an earlier choice, from the browser's
    header."""
    return _known(wanted or "") or _known(cookies.get(COOKIE, "")) or accepted(header)


def answer_in(language: str) -> None:
    """Set the language for the rest of this task and the tasks that it starts; the pools (`inference.pool`) keep to it
    too."""
    translation.activate(language)


def _known(code: str) -> str | None:
    """Return the supported language for a language tag (``ms`` for ``ms-MY``), or None."""
    try:
        return translation.get_supported_language_variant(code) if code else None
    except LookupError:
        return None
