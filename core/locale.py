"""Choose the language of a response by the ``Accept-Language`` header or, on a web page, by the visitor's choice.

The admin is always in English, because only a part of its text has been translated into Malay.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.utils import translation
from django.utils.translation.trans_real import parse_accept_lang_header

COOKIE = "voice_language"
MAX_HEADER_CHARACTERS = 500  # Django's own limit; browsers send shorter headers
ENGLISH_ONLY = "/admin/"


def accepted(header: str) -> str:
    """Return the supported language that an ``Accept-Language`` header prefers most.

    Return the default language if the header names no supported language.
    """
    for wanted, _quality in parse_accept_lang_header(header[:MAX_HEADER_CHARACTERS]):
        if (found := _known(wanted)) is not None:
            return found
    return settings.LANGUAGE_CODE


def chosen(wanted: str | None, cookies: Mapping[str, str], header: str) -> str:
    """Return the language of a web page: that of its URL, of the visitor's cookie, or of the header, in this order.

    A source that does not name a supported language is skipped.

    ``wanted``: the language in the page's URL, or None.
    ``cookies``: the visitor's cookies. The cookie ``COOKIE`` contains an earlier choice.
    ``header``: the ``Accept-Language`` header.
    """
    return _known(wanted or "") or _known(cookies.get(COOKIE, "")) or accepted(header)


def answer_in(language: str) -> None:
    """Set the language of the current task and of the tasks that it starts.

    ``inference.pool`` passes the language on to its threads.
    """
    translation.activate(language)


def _known(code: str) -> str | None:
    """Return the supported language for a language tag (``ms`` for ``ms-MY``); None if it is not supported."""
    try:
        return translation.get_supported_language_variant(code) if code else None
    except LookupError:
        return None
