"""All data of the dashboard for a date range and filters, as shown by the page and the CSV files."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from dashboard import active_users, cost_quality, events, margins, people, reliability, scorecard, usage_totals
from dashboard.date_range import DateRange
from dashboard.definitions import DEFINITIONS
from dashboard.filters import ALL, Filters
from dashboard.tables import Table
from usage.activity import Active, active_by_client, active_by_day
from usage.targets import ADOPTION

EVERYTHING = "daily-mix"  # the only CSV file that is not a table of the page


@dataclass(frozen=True)
class Tile:
    """A headline figure.

    ``change``: relative change since the previous period of equal length, as a fraction; None if not comparable.
    ``about``: key in ``DEFINITIONS`` of the definition to show beside the figure.
    """

    name: str
    value: str
    note: str
    change: float | None = None
    about: str = ""

    @property
    def definition(self) -> str:
        return str(DEFINITIONS[self.about]) if self.about else ""

    @property
    def change_in_words(self) -> str:
        """The change as text, for example ``+12 %``, with a true minus sign."""
        if self.change is None:
            return ""
        percent = round(100 * self.change)
        return f"{'−' if percent < 0 else '+'}{abs(percent):,} %"


class Board:
    """The data of the whole page. Each part is queried when it is first needed."""

    def __init__(self, span: DateRange, filters: Filters = ALL) -> None:
        self.span = span
        self.filters = filters

    @property
    def query(self) -> str:
        """The query string of the page that shows this board."""
        return urlencode({**self.span.parts, **self.filters.parts})

    def link(self, **changed: str) -> str:
        """Return the URL of the page with some filters changed. An empty value removes the filter."""
        parts = {name: value for name, value in {**self.filters.parts, **changed}.items() if value}
        return f"{reverse('dashboard')}?{urlencode({**self.span.parts, **parts})}"

    @property
    def names_of_clients(self) -> list[str]:
        return list(self._clients.values())

    @cached_property
    def _clients(self) -> dict[int, str]:
        return active_users.names_of_clients()

    @cached_property
    def _work(self) -> usage_totals.UsageTotals:
        return usage_totals.work(self.span, self.filters)

    @cached_property
    def _before(self) -> usage_totals.UsageTotals:
        return usage_totals.work(self.span.before, self.filters)

    @cached_property
    def _whole(self) -> usage_totals.UsageTotals:
        """The usage totals of the whole service, without the filters, because costs are those of the whole service."""
        return usage_totals.work(self.span) if self.filters.is_any else self._work

    @cached_property
    def _active(self) -> dict[int, Active]:
        return active_by_client(self.span.last, self.filters.people)

    @cached_property
    def active(self) -> int:
        """The number of end users active in the 30 days up to the last day of the range."""
        return sum(one.month for one in self._active.values())

    @cached_property
    def events(self) -> list[events.Event]:
        return events.events(self.span)

    @cached_property
    def event_table(self) -> Table:
        return events.table(self.events)

    @property
    def marks(self) -> list[dict[str, Any]]:
        """The events to mark in the charts, as JSON-serialisable values."""
        return [event.as_json for event in self.events]

    @cached_property
    def adoption(self) -> active_users.Adoption:
        return active_users.adoption(self.span, self.filters, self._clients, self._active)

    @cached_property
    def retention(self) -> active_users.Retention:
        return active_users.retention(self.span, self.filters)

    @cached_property
    def active_users(self) -> Table:
        return active_users.active_by_day(self.span, self.filters)

    @cached_property
    def minutes(self) -> Table:
        return usage_totals.minutes_by_day(self.span, self._work, self._before)

    @cached_property
    def characters(self) -> Table:
        return usage_totals.characters_by_day(self.span, self._work, self._before)

    @cached_property
    def _mixes(self) -> tuple[Table, Table]:
        return usage_totals.mixes(self.span, self.filters)

    @property
    def languages(self) -> Table:
        return self._mixes[0]

    @property
    def voices(self) -> Table:
        return self._mixes[1]

    @cached_property
    def clients(self) -> Table:
        return usage_totals.by_client(
            self.span, self.filters, self._clients, self._active, lambda name: self.link(client=name)
        )

    @cached_property
    def people(self) -> Table:
        """The busiest end users of the chosen client application."""
        return self._people(people.SHOWN_PEOPLE)

    def _people(self, limit: int | None) -> Table:
        def link(digits: str) -> str:
            return f"{reverse('dashboard-person', args=[self.filters.client, digits])}?{self.query}"

        return people.busiest(self.span, self.filters, link, limit)

    @property
    def all_people(self) -> Table:
        return self._people(None)

    @cached_property
    def speed(self) -> reliability.Speed:
        return reliability.speed(self.span, self.filters)

    @cached_property
    def error_rate(self) -> Table:
        return reliability.errors_by_day(self.span, self._work, self._before)

    @cached_property
    def errors(self) -> Table:
        return reliability.errors_by_code(self._work)

    @cached_property
    def money(self) -> cost_quality.Money:
        return cost_quality.money(self.span, self._whole)

    @cached_property
    def margins(self) -> Table:
        return margins.table(margins.margins(self.span), self.filters, self._clients)

    @cached_property
    def quality(self) -> cost_quality.Quality:
        return cost_quality.measured_quality(self.span, self.filters)

    @cached_property
    def peaks(self) -> Table:
        return cost_quality.peaks(self.span)

    @cached_property
    def scores(self) -> list[scorecard.Score]:
        return scorecard.scorecard(self.span, self.filters, self.money, self.quality, self.active)

    @cached_property
    def tiles(self) -> list[Tile]:
        now = self._work.total(self.span.days)
        whole = self._work.total(self.span.finished_days)  # today is not over and would lower the change
        before = self._before.total(self.span.compared_days)
        recognised = _change(whole.audio_ms, before.audio_ms)
        minutes = usage_totals.minutes(now.audio_ms)
        generated = _change(whole.characters, before.characters)
        asked = _change(whole.requests, before.requests)
        adoption = self.adoption
        rate = "–" if adoption.rate is None else f"{100 * adoption.rate:.1f} %"
        target = _("of chat users in 30 days; target %s") % ADOPTION.in_words
        failed = self._work.failure_rate()
        return [
            self._active_tile,
            Tile(_("Adoption"), rate, target.replace(" %", "\N{NO-BREAK SPACE}%"), about="adoption"),
            Tile(
                _("Speech recognised"),
                f"{minutes:,.0f}\N{NO-BREAK SPACE}min",
                _("in these days"),
                recognised,
                about="minutes recognised",
            ),
            Tile(_("Speech generated"), f"{now.characters:,}", _("characters"), generated, about="characters spoken"),
            Tile(_("Requests"), f"{now.requests:,}", _("in these days"), asked),
            Tile(
                _("Failed"),
                "–" if failed is None else f"{100 * failed:.2f} %",
                _("our own failures"),
                about="error rate, failed",
            ),
        ]

    @property
    def _active_tile(self) -> Tile:
        """The tile for active users: of the range if it has 1 or 7 days, else of the 30 days up to its last day."""
        window, words = {1: ("day", _("on %s")), 7: ("week", _("in the 7 days to %s"))}.get(
            len(self.span.days), ("month", _("in the 30 days to %s"))
        )
        users = sum(getattr(one, window) for one in self._active.values())
        note = words % date_format(self.span.last, "j F")
        return Tile(_("Active users"), f"{users:,}", note, self._change_of_active(window), about="active users")

    def _change_of_active(self, window: str) -> float | None:
        """Return the relative change in active users on the last finished day, compared with one period earlier.

        ``window``: "day", "week" or "month".
        """
        if not self.span.finished_days:
            return None
        last = self.span.finished_days[-1]
        earlier = self.span.compared_days[-1]
        found = active_by_day(earlier, last, self.filters.people)
        return _change(getattr(found[last], window), getattr(found[earlier], window))

    @property
    def has_use(self) -> bool:
        """True if there was any request in the range."""
        return self._work.total(self.span.days).requests > 0


def _change(now: int, before: int) -> float | None:
    return (now - before) / before if before > 0 else None


TABLES: dict[str, Callable[[Board], Table]] = {
    "scorecard": lambda board: scorecard.scorecard_table(board.scores),
    "adoption": lambda board: board.adoption.table,
    "adoption-by-client": lambda board: board.adoption.by_client,
    "active-users": lambda board: board.active_users,
    "minutes": lambda board: board.minutes,
    "characters": lambda board: board.characters,
    "languages": lambda board: board.languages,
    "voices": lambda board: board.voices,
    "clients": lambda board: board.clients,
    "retention": lambda board: board.retention.table,
    "response-times": lambda board: board.speed.by_day,
    "error-rate": lambda board: board.error_rate,
    "errors": lambda board: board.errors,
    "peak-users": lambda board: board.peaks,
    "cost": lambda board: board.money.by_week,
    "margins": lambda board: board.margins,
    "quality": lambda board: board.quality.by_week,
    "events": lambda board: board.event_table,
}
FILES = (*TABLES, EVERYTHING)
OF_A_CLIENT: dict[str, Callable[[Board], Table]] = {"people": lambda board: board.all_people}


def csv_of(name: str, board: Board) -> Iterator[bytes]:
    """Yield the table ``name`` as CSV. Tables in ``OF_A_CLIENT`` require a filter for one client application."""
    if name in OF_A_CLIENT:
        return OF_A_CLIENT[name](board).lines()
    if name == EVERYTHING:
        return usage_totals.everything(board.span, board.filters)
    return TABLES[name](board).lines()


class _Pipe:
    """A write-only file for ``zipfile``. ``taken`` returns the bytes written since the last call of ``taken``."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        pieces = b"".join(self._pieces)
        self._pieces = []
        return pieces


def zip_of(board: Board) -> Iterator[bytes]:
    """Yield a ZIP archive of all CSV files, in pieces. It is compressed while the data are read."""
    pipe = _Pipe()
    moment = board.span.now.timetuple()[:6]
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        for name in (*FILES, *(OF_A_CLIENT if board.filters.client else ())):
            about = zipfile.ZipInfo(f"{name}.csv", moment)
            about.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(about, "w") as file:
                for piece in csv_of(name, board):
                    file.write(piece)
                    yield pipe.taken()
    yield pipe.taken()
