"""In which language a person is answered: by `Accept-Language`, on pages by their own choice first.

The admin stays English: its words are Django's, the theme's and ours, and only some of them are there in Malay.
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
    """The first of the languages in an ``Accept-Language`` that there is here."""
    for wanted, _quality in parse_accept_lang_header(header[:MAX_HEADER_CHARACTERS]):
        if (found := _known(wanted)) is not None:
            return found
    return settings.LANGUAGE_CODE


def chosen(wanted: str | None, cookies: Mapping[str, str], header: str) -> str:
    """A page's language: what its address says, what was chosen before, what the browser prefers."""
    return _known(wanted or "") or _known(cookies.get(COOKIE, "")) or accepted(header)


def answer_in(language: str) -> None:
    """For the rest of this task and for the tasks that it starts; the pools (`inference.pool`) keep to it too."""
    translation.activate(language)


def _known(code: str) -> str | None:
    """``ms`` for ``ms-MY``."""
    try:
        return translation.get_supported_language_variant(code) if code else None
    except LookupError:
        return None
