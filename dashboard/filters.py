"""The filters of the dashboard, from the query string of the page: client application, feature and language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from core.models import ClientApplication
from dashboard.date_range import BadQuery
from usage.activity import PeopleFilter
from usage.entry import Kind
from usage.rollups import DailyMix

FEATURES = {
    "asr": gettext_lazy("Speech to text"),
    "tts": gettext_lazy("Text to speech"),
    "realtime": gettext_lazy("Live speech to text"),
}
KINDS = {
    Kind.TRANSCRIPTION: gettext_lazy("Transcription"),
    Kind.TRANSLATION: gettext_lazy("Translation"),
    Kind.SPEECH: gettext_lazy("Speech"),
    Kind.REALTIME: gettext_lazy("Live"),
}
LANGUAGES = {
    "ms": gettext_lazy("Malay"),
    "en": gettext_lazy("English"),
    "zh": gettext_lazy("Mandarin"),
    "ta": gettext_lazy("Tamil"),
    "": pgettext_lazy("language", "Unknown"),
}
FIELDS = ("client", "feature", "language")


@dataclass(frozen=True)
class Filters:
    """The chosen filters. An empty filter selects everything.

    ``client``: name of a client application.
    ``feature``: key in ``FEATURES``.
    ``language``: language code.
    ``client_id``: id of the client application; None without that filter.
    """

    client: str = ""
    feature: str = ""
    language: str = ""
    client_id: int | None = None

    @property
    def is_any(self) -> bool:
        """True if any filter is set."""
        return any((self.client, self.feature, self.language))

    @property
    def parts(self) -> dict[str, str]:
        """The query parameters that select these filters."""
        return {name: value for name in FIELDS if (value := getattr(self, name))}

    @property
    def rows(self) -> Q:
        """The condition for rows of a table with the columns ``client``, ``kind`` and ``language``."""
        return self._rows()

    @property
    def entries(self) -> Q:
        """The condition for rows of a table with a foreign key ``entry`` to the ledger."""
        return self._rows("entry__")

    @property
    def people(self) -> PeopleFilter:
        return PeopleFilter(self.client_id, self.feature, self.language)

    @property
    def kinds(self) -> list[Kind]:
        return [kind for kind in Kind if self.feature in ("", kind.feature)]

    def in_words(self) -> str:
        """Return the filters as text, for example ``chat-web, Text to speech, Malay``."""
        named = [self.client, FEATURES.get(self.feature, ""), name_of_language(self.language) if self.language else ""]
        return ", ".join(str(name) for name in named if name)

    def _rows(self, before: str = "") -> Q:
        found = Q()
        if self.client_id is not None:
            found &= Q(**{f"{before}client_id": self.client_id})
        if self.feature:
            found &= Q(**{f"{before}kind__in": [kind.value for kind in self.kinds]})
        if self.language:
            found &= Q(**{f"{before}language": self.language})
        return found


ALL = Filters()


def asked(query: Mapping[str, str]) -> Filters:
    """Return the filters that the query parameters select (``FIELDS``). Raise ``BadQuery`` if one is invalid."""
    client, feature, language = (query.get(name, "").strip() for name in FIELDS)
    for name, value in zip(FIELDS, (client, feature, language), strict=True):
        if "\0" in value:  # PostgreSQL does not accept null characters
            raise BadQuery(_("“%s” contains a null character.") % name, name)
    client_id = None
    if client:
        client_id = ClientApplication.objects.filter(name=client).values_list("pk", flat=True).first()
        if client_id is None:
            raise BadQuery(_("There is no client application “%s”.") % client[:64], "client")
    if feature and feature not in FEATURES:
        known = ", ".join(FEATURES)
        raise BadQuery(
            _("There is no feature “%(name)s”. Choose one of %(known)s.") % {"name": feature[:40], "known": known},
            "feature",
        )
    if language not in LANGUAGES and not DailyMix.objects.filter(language=language).exists():
        raise BadQuery(_("Nobody used voice in a language “%s”.") % language[:35], "language")
    return Filters(client, feature, language, client_id)


def name_of_kind(kind: str) -> str:
    return str(KINDS[Kind(kind)])


def name_of_language(code: str) -> str:
    return str(LANGUAGES.get(code, code))
