"""Usage totals: requests, audio recognised and characters spoken, by day, language, voice and client application."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from django.db.models import Sum
from django.utils.translation import gettext as _

from core.error_codes import ErrorCode, Fault
from dashboard.date_range import DateRange
from dashboard.filters import ALL, Filters, name_of_kind, name_of_language
from dashboard.tables import Column, Form, Table, csv_lines, plain
from usage.activity import Active
from usage.entry import Kind, Measure
from usage.rollups import DailyMix

MS_PER_MINUTE = 60_000
SHOWN_VOICES = SHOWN_CLIENTS = 10

# FAILURES are the error codes of the service's own failures. REFUSALS are those of requests that count neither as
# served nor as failed, as in capacity.alert_metrics. All other codes are for invalid requests.
FAILURES = {code.value for code in ErrorCode if code.fault is Fault.SERVICE}
REFUSALS = {code.value for code in ErrorCode if code.fault in (Fault.POLICY, Fault.LEFT)}
ENOUGH_REQUESTS = 20  # with fewer requests no error rate is shown


@dataclass
class Amount:
    """An amount of usage.

    ``audio_ms``: charged audio in milliseconds, less counter-entries.
    ``characters``: charged characters, less counter-entries.
    """

    requests: int = 0
    audio_ms: int = 0
    characters: int = 0

    def add(self, requests: int, audio_ms: int, characters: int) -> None:
        self.requests += requests
        self.audio_ms += audio_ms
        self.characters += characters


@dataclass
class UsageTotals:
    """The usage totals in a date range.

    ``by_day``: amounts by day and kind.
    ``by_code``: amounts by error code; "" is success.
    ``codes_by_day``: numbers of requests by day and error code.

    The methods count each kind in its own measure only: audio of speech to text, and characters of text to speech.
    """

    by_day: dict[tuple[date, Kind], Amount] = field(default_factory=lambda: defaultdict(Amount))
    by_code: dict[str, Amount] = field(default_factory=lambda: defaultdict(Amount))
    codes_by_day: dict[tuple[date, str], int] = field(default_factory=lambda: defaultdict(int))

    def of_day(self, day: date, kinds: Iterable[Kind] = Kind) -> Amount:
        """Return the usage on one day, summed over all kinds or over the given ones."""
        total = Amount()
        for kind in kinds:
            if (day, kind) in self.by_day:
                one = self.by_day[day, kind]
                is_audio = kind.measure is Measure.AUDIO
                total.add(one.requests, one.audio_ms if is_audio else 0, 0 if is_audio else one.characters)
        return total

    def total(self, days: Iterable[date]) -> Amount:
        """Return the usage on several days together."""
        total = Amount()
        for day in days:
            one = self.of_day(day)
            total.add(one.requests, one.audio_ms, one.characters)
        return total

    @cached_property
    def _codes(self) -> dict[date, dict[str, int]]:
        found: dict[date, dict[str, int]] = defaultdict(dict)
        for (day, code), number in self.codes_by_day.items():
            found[day][code] = number
        return found

    def codes_of(self, day: date) -> dict[str, int]:
        """Return the numbers of requests on a day by error code; "" is success."""
        return self._codes.get(day, {})

    def failure_rate(self, day: date | None = None) -> float | None:
        """Return the service's own failures as a fraction of all requests except refused and abandoned ones.

        ``day``: None means the whole range.

        Return None if fewer than ``ENOUGH_REQUESTS`` requests count.
        """
        days = self._codes.values() if day is None else [self.codes_of(day)]
        counted = [(code, number) for codes in days for code, number in codes.items() if code not in REFUSALS]
        requests = sum(number for _code, number in counted)
        failed = sum(number for code, number in counted if code in FAILURES)
        return failed / requests if requests >= ENOUGH_REQUESTS else None


def work(span: DateRange, filters: Filters = ALL) -> UsageTotals:
    """Return the usage totals in a date range, from the roll-up ``DailyMix``."""
    found = UsageTotals()
    for day, kind, code, *amounts in _mix(span, filters, "day", "kind", "error_code"):
        found.by_day[day, Kind(kind)].add(*amounts)
        found.by_code[code].add(*amounts)
        found.codes_by_day[day, code] += amounts[0]
    return found


def _mix(span: DateRange, filters: Filters, *by: str) -> Iterator[tuple]:  # type: ignore[type-arg]
    rows = DailyMix.objects.filter(filters.rows, day__range=(span.first, span.last)).order_by()
    sums = rows.values_list(*by).annotate(Sum("requests"), Sum("audio_ms"), Sum("characters"))
    yield from sums


def minutes(ms: int) -> float:
    return ms / MS_PER_MINUTE


def before_column(name: str, form: Form, *, plot: str = "", label: str = "") -> Column:
    """Return the column for the values of column ``name`` in the previous period. Charts draw it faintly."""
    return Column(f"{name}_before", label or _("Before"), form, plot=plot, is_ghost=True)


def minutes_by_day(span: DateRange, found: UsageTotals, before: UsageTotals) -> Table:
    kinds = [kind for kind in Kind if kind.measure is Measure.AUDIO]
    return Table(
        "minutes",
        _("Minutes recognised"),
        [
            Column("day", _("Day"), Form.DAY),
            Column("minutes", _("Minutes"), Form.TENTHS),
            *(Column(f"{kind}_minutes", name_of_kind(kind), Form.TENTHS, is_drawn=False) for kind in kinds),
            Column("requests", _("Requests"), is_drawn=False),
            before_column("minutes", Form.TENTHS),
        ],
        [
            (
                day,
                minutes(found.of_day(day, kinds).audio_ms),
                *(minutes(found.of_day(day, [kind]).audio_ms) for kind in kinds),
                found.of_day(day, kinds).requests,
                minutes(before.of_day(earlier, kinds).audio_ms),
            )
            for day, earlier in zip(span.days, span.before.days, strict=True)
        ],
        chart="bars",
        unfinished=span.unfinished,
    )


def characters_by_day(span: DateRange, found: UsageTotals, before: UsageTotals) -> Table:
    days = [
        (day, found.of_day(day, [Kind.SPEECH]), before.of_day(earlier, [Kind.SPEECH]))
        for day, earlier in zip(span.days, span.before.days, strict=True)
    ]
    return Table(
        "characters",
        _("Characters spoken"),
        [
            Column("day", _("Day"), Form.DAY),
            Column("characters", _("Characters")),
            Column("requests", _("Requests"), is_drawn=False),
            before_column("characters", Form.NUMBER),
        ],
        [(day, one.characters, one.requests, then.characters) for day, one, then in days],
        chart="bars",
        unfinished=span.unfinished,
    )


def mixes(span: DateRange, filters: Filters = ALL) -> tuple[Table, Table]:
    """Return the tables of languages and of voices, which share one query."""
    languages: dict[str, Amount] = defaultdict(Amount)
    voices: dict[tuple[str, str], Amount] = defaultdict(Amount)
    for kind, language, voice, requests, audio_ms, characters in _mix(span, filters, "kind", "language", "voice"):
        is_audio = Kind(kind).measure is Measure.AUDIO
        languages[language].add(requests, audio_ms if is_audio else 0, 0 if is_audio else characters)
        if not is_audio and voice:
            voices[voice, language].add(requests, 0, characters)
    heard = sum(one.audio_ms for one in languages.values())
    spoken = sum(one.characters for one in languages.values())
    in_order = sorted(languages.items(), key=lambda item: (-item[1].requests, item[0]))
    by_language = Table(
        "languages",
        _("Languages"),
        [
            Column("language", _("Language"), Form.TEXT),
            Column("minutes", _("Minutes recognised"), Form.TENTHS),
            Column("minutes_share", _("Of all minutes"), Form.SHARE, bar=True),
            Column("characters", _("Characters spoken")),
            Column("characters_share", _("Of all characters"), Form.SHARE, bar=True),
        ],
        [
            (
                name_of_language(language),
                minutes(one.audio_ms),
                share(one.audio_ms, heard),
                one.characters,
                share(one.characters, spoken),
            )
            for language, one in in_order
        ],
    )
    most = sorted(voices.items(), key=lambda item: (-item[1].characters, item[0]))
    by_voice = Table(
        "voices",
        _("Voices"),
        [
            Column("voice", _("Voice"), Form.TEXT),
            Column("language", _("Language"), Form.TEXT),
            Column("requests", _("Requests")),
            Column("characters", _("Characters")),
            Column("share", _("Of all characters"), Form.SHARE, bar=True),
        ],
        [
            (voice, name_of_language(language), one.requests, one.characters, share(one.characters, spoken))
            for (voice, language), one in most
        ],
        shown_rows=SHOWN_VOICES,
    )
    return by_language, by_voice


def by_client(
    span: DateRange,
    filters: Filters,
    clients: Mapping[int, str],
    active: Mapping[int, Active],
    link: Callable[[str], str],
) -> Table:
    """Return the table of usage by client application, the busiest first.

    ``clients``: names of the client applications by id.
    ``active``: active users by client application id.
    ``link``: function that returns the URL for the name of a client application.
    """
    found: dict[int, Amount] = defaultdict(Amount)
    for client, kind, requests, audio_ms, characters in _mix(span, filters, "client_id", "kind"):
        is_audio = Kind(kind).measure is Measure.AUDIO
        found[client].add(requests, audio_ms if is_audio else 0, 0 if is_audio else characters)
    requests = sum(one.requests for one in found.values())
    most = sorted(found.items(), key=lambda item: (-item[1].requests, clients.get(item[0], "")))
    return Table(
        "clients",
        _("Top clients"),
        [
            Column("client", _("Client"), Form.TEXT),
            Column("active_30_days", _("Active, 30 days")),
            Column("requests", _("Requests")),
            Column("share", _("Of all requests"), Form.SHARE, bar=True),
            Column("minutes", _("Minutes recognised"), Form.TENTHS),
            Column("characters", _("Characters spoken")),
        ],
        [
            (
                clients.get(client, str(client)),
                active.get(client, Active()).month,
                one.requests,
                share(one.requests, requests),
                minutes(one.audio_ms),
                one.characters,
            )
            for client, one in most
        ],
        shown_rows=SHOWN_CLIENTS,
        links=[link(clients[client]) if client in clients else "" for client, _one in most],
    )


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


_EVERYTHING = {
    "day": Form.DAY,
    "client": Form.TEXT,
    "kind": Form.TEXT,
    "model": Form.TEXT,
    "voice": Form.TEXT,
    "language": Form.TEXT,
    "error_code": Form.TEXT,
    "requests": Form.NUMBER,
    "audio_ms": Form.NUMBER,
    "characters": Form.NUMBER,
    "queue_ms": Form.NUMBER,
    "total_ms": Form.NUMBER,
}


def everything(span: DateRange, filters: Filters = ALL) -> Iterator[bytes]:
    """Yield the rows of ``DailyMix`` for the range and filters, as CSV. Most tables of the page are based on them."""
    fields = ["client__name" if name == "client" else name for name in _EVERYTHING]
    rows = DailyMix.objects.filter(filters.rows, day__range=(span.first, span.last)).order_by(*fields[:7])
    forms = list(_EVERYTHING.values())
    plainly = (
        [plain(value, form) for value, form in zip(row, forms, strict=True)]
        for row in rows.values_list(*fields).iterator(chunk_size=2000)
    )
    yield from csv_lines(list(_EVERYTHING), plainly)
