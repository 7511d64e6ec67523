"""The page of one end user under a pseudonym, and the table of a client application's busiest end users.

An end user always has the same pseudonym (``usage.activity.pseudonym``). It is computed with the service's secret key
and cannot be reversed. To find the end user of a pseudonym, ``find`` computes the pseudonyms of all end users of the
client application.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from django.db.models import Count, F, Max, Min, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from core.models import ClientApplication
from dashboard.date_range import DateRange
from dashboard.filters import Filters, name_of_kind, name_of_language
from dashboard.tables import Column, Form, Table, Value
from dashboard.usage_totals import minutes
from usage.activity import PSEUDONYM, PSEUDONYM_DIGITS, pseudonym
from usage.entry import CHARGED_STATUSES
from usage.models import Consumption, DailyUse, LedgerEntry
from usage.period import day_of

SHOWN_PEOPLE = 15
SHOWN_REQUESTS = 50
SHORT = 10  # number of digits of a pseudonym that pages show


def digits_of(client_id: int, user: str) -> str:
    """Return the hexadecimal digits of an end user's pseudonym.

    ``user``: the original id, or the pseudonym.
    """
    known = user if user.startswith(PSEUDONYM) else pseudonym(client_id, user)
    return known.removeprefix(PSEUDONYM)


def short(digits: str) -> str:
    """Return the shortened pseudonym that is shown on pages."""
    return f"p-{digits[:SHORT]}"


def busiest(span: DateRange, filters: Filters, link: Callable[[str], str], limit: int | None = SHOWN_PEOPLE) -> Table:
    """Return the table of the end users who made the most requests.

    ``filters``: must select a client application. A language filter has no effect, because usage by day and end user
    has no language.
    ``link``: function that returns the URL of an end user's page for the digits of their pseudonym.
    ``limit``: maximum number of rows; None for all.
    """
    assert filters.client_id is not None
    rows = DailyUse.objects.filter(client_id=filters.client_id, day__range=(span.first, span.last))
    if filters.feature:
        rows = rows.filter(kind__in=[kind.value for kind in filters.kinds])
    sums = (
        rows.order_by()
        .values_list("user")
        .annotate(n=Sum("requests"), bad=Sum("failed"), recognised_ms=Sum("audio_ms"), spoken=Sum("characters"))
        .order_by("-n", "user")
    )
    known = list(sums[:limit])
    # Count the days with a successful request only for the end users shown, because counting for all takes much longer.
    shown = rows if limit is None else rows.filter(user__in=[user for user, *_sums in known])
    served = Count("day", distinct=True, filter=Q(requests__gt=F("failed")))
    days = dict(shown.order_by().values_list("user").annotate(served=served))
    found: list[tuple[Value, ...]] = []
    links: list[str] = []
    for user, requests, failed, audio_ms, characters in known:
        digits = digits_of(filters.client_id, user)
        found.append((short(digits), days[user], requests, failed, minutes(audio_ms), characters))
        links.append(link(digits))
    return Table(
        "people",
        _("Busiest people"),
        [
            Column("person", _("Person"), Form.TEXT),
            Column("days", _("Days with voice")),
            Column("requests", _("Requests"), bar=True),
            Column("unsuccessful", _("Unsuccessful")),
            Column("minutes", _("Minutes recognised"), Form.TENTHS),
            Column("characters", _("Characters spoken")),
        ],
        found,
        note=_("Pseudonyms, the busiest first; all of them are in the CSV.")
        + (" " + _("Of all languages.") if filters.language else ""),
        links=links,
    )


def find(client: ClientApplication, digits: str) -> list[str]:
    """Return the user ids that stand for the end user with a given pseudonym; [] if there is no such user.

    The result has the original id, or the pseudonym itself if it has replaced the id in old entries, or both.

    ``digits``: all hexadecimal digits of the pseudonym.
    """
    if len(digits) != PSEUDONYM_DIGITS or set(digits) - set("0123456789abcdef"):
        return []
    gone = f"{PSEUDONYM}{digits}"
    mine = {"client": client}
    found = [gone] if DailyUse.objects.filter(user=gone, **mine).exists() else []
    for model in (Consumption, DailyUse):  # Consumption first: it is small and has almost all end users
        users = model._default_manager.filter(**mine).order_by().values_list("user", flat=True).distinct()
        own = next((user for user in users.iterator() if pseudonym(client.pk, user) == gone), None)
        if own is not None:
            return [*found, own]
        if found:
            return found
    return found


@dataclass
class _Sums:
    requests: int = 0
    unsuccessful: int = 0
    audio_ms: int = 0
    characters: int = 0


class Person:
    """The usage of one end user in a date range, read from the ledger.

    ``users``: the ids from ``find``.
    """

    def __init__(self, client: ClientApplication, users: list[str], span: DateRange, filters: Filters) -> None:
        self._all = LedgerEntry.objects.filter(client=client, user__in=users)
        self.client = client
        self.span = span
        self.filters = filters

    @property
    def _rows(self) -> QuerySet[LedgerEntry]:
        within = Q(created_at__gte=self.span.start, created_at__lt=self.span.end)
        return self._all.filter(within, self.filters.rows)

    @cached_property
    def seen(self) -> tuple[date, date] | None:
        """The days of the end user's first and last ledger entries, in or out of the range; None without entries."""
        found = self._all.order_by().aggregate(first=Min("created_at"), last=Max("created_at"))
        return (day_of(found["first"]), day_of(found["last"])) if found["first"] else None

    @cached_property
    def _sums(self) -> tuple[dict[date, _Sums], dict[tuple[str, str, str], _Sums]]:
        days: dict[date, _Sums] = defaultdict(_Sums)
        kinds: dict[tuple[str, str, str], _Sums] = defaultdict(_Sums)
        fields = ("created_at", "kind", "language", "error_code", "status", "audio_ms", "characters", "counters_id")
        for at, kind, language, code, status, audio_ms, characters, counters in self._rows.values_list(*fields):
            for sums in (days[day_of(at)], kinds[kind, language, code]):
                sums.requests += counters is None
                sums.unsuccessful += counters is None and status != 200
                sums.audio_ms += audio_ms if status in CHARGED_STATUSES else 0
                sums.characters += characters if status in CHARGED_STATUSES else 0
        return days, kinds

    @property
    def total(self) -> _Sums:
        total = _Sums()
        for one in self._sums[0].values():
            total.requests += one.requests
            total.unsuccessful += one.unsuccessful
            total.audio_ms += one.audio_ms
            total.characters += one.characters
        return total

    @property
    def audio_minutes(self) -> float:
        return minutes(self.total.audio_ms)

    @property
    def active_days(self) -> int:
        return sum(one.requests > one.unsuccessful for one in self._sums[0].values())

    @cached_property
    def by_day(self) -> Table:
        days = self._sums[0]
        found = [(day, days.get(day, _Sums())) for day in self.span.days]
        return Table(
            "requests",
            _("Requests by day"),
            [
                Column("day", _("Day"), Form.DAY),
                Column("requests", _("Requests")),
                Column("unsuccessful", _("Unsuccessful"), is_drawn=False),
                Column("minutes", _("Minutes recognised"), Form.TENTHS, is_drawn=False),
                Column("characters", _("Characters spoken"), is_drawn=False),
            ],
            [(day, one.requests, one.unsuccessful, minutes(one.audio_ms), one.characters) for day, one in found],
            chart="bars",
            unfinished=self.span.unfinished,
        )

    @cached_property
    def by_kind(self) -> Table:
        most = sorted(self._sums[1].items(), key=lambda item: (-item[1].requests, item[0]))
        return Table(
            "kinds",
            _("What and how it ended"),
            [
                Column("kind", _("Kind"), Form.TEXT),
                Column("language", _("Language"), Form.TEXT),
                Column("error_code", _("Error"), Form.TEXT),
                Column("requests", _("Requests"), bar=True),
                Column("minutes", _("Minutes recognised"), Form.TENTHS),
                Column("characters", _("Characters spoken")),
            ],
            [
                (
                    name_of_kind(kind),
                    name_of_language(language),
                    code or "–",
                    one.requests,
                    minutes(one.audio_ms),
                    one.characters,
                )
                for (kind, language, code), one in most
            ],
        )

    @cached_property
    def latest(self) -> Table:
        return Table(
            "latest",
            _("Latest requests"),
            [
                Column("at", _("When"), Form.TEXT),
                Column("kind", _("Kind"), Form.TEXT),
                Column("language", _("Language"), Form.TEXT),
                Column("voice", _("Voice"), Form.TEXT),
                Column("seconds", _("Seconds recognised"), Form.TENTHS),
                Column("characters", _("Characters spoken")),
                Column("took_s", _("Took"), Form.SECONDS),
                Column("error_code", _("Error"), Form.TEXT),
            ],
            list(self._requests()),
            shown_rows=SHOWN_REQUESTS,
        )

    def _requests(self) -> Iterator[tuple[Value, ...]]:
        fields = ("created_at", "kind", "language", "voice", "audio_ms", "characters", "total_ms", "error_code")
        newest = self._rows.order_by("-created_at", "-id").values_list(*fields)
        for at, kind, language, voice, audio_ms, characters, total_ms, code in newest:
            when = f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S}"
            took = total_ms / 1000
            yield (
                when,
                name_of_kind(kind),
                name_of_language(language),
                voice,
                audio_ms / 1000,
                characters,
                took,
                code or "–",
            )

    @property
    def tables(self) -> dict[str, Table]:
        return {table.name: table for table in (self.by_day, self.by_kind, self.latest)}
