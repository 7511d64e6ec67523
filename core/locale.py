"""The language of a response: from ``Accept-Language``; on pages, the visitor's own choice takes precedence.

The admin stays English: its text comes from Django, the theme and this project, and only part of it is translated into
Malay.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.utils import translation
from django.utils.translation.trans_real import parse_accept_lang_header

COOKIE = "voice_language"
MAX_HEADER_CHARACTERS = 500  # Django's own limit; no browser sends a longer header
ENGLISH_ONLY = "/admin/"


def accepted(header: str) -> str:
    """Return the most preferred supported language of an ``Accept-Language`` header, or else the default language."""
    for wanted, _quality in parse_accept_lang_header(header[:MAX_HEADER_CHARACTERS]):
        if (found := _known(wanted)) is not None:
            return found
    return settings.LANGUAGE_CODE


def chosen(wanted: str | None, cookies: Mapping[str, str], header: str) -> str:
    """Return the language of a page.

    In order of precedence: ``wanted`` (from the URL), the cookie of an earlier choice, the ``Accept-Language`` header.
    """
    return _known(wanted or "") or _known(cookies.get(COOKIE, "")) or accepted(header)


def answer_in(language: str) -> None:
    """Set the language for the rest of this task and for the tasks that it starts.

    The thread pools (``inference.pool``) use it in their threads as well.
    """
    translation.activate(language)


def _known(code: str) -> str | None:
    """Return the supported language for a language tag (``ms`` for ``ms-MY``), or None."""
    try:
        return translation.get_supported_language_variant(code) if code else None
    except LookupError:
        return None
