"""The weekly summary as HTML, plain text and PDF. Its numbers are those of the dashboard.

``dashboard.weekly_mail`` mails it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from dashboard.board import Board, Tile
from dashboard.date_range import BadQuery, DateRange, day_from_text
from dashboard.scorecard import Score
from dashboard.tables import Table, Value, shown
from usage.activity import week_of
from usage.period import day_of

SHOWN_ROWS = 10


@dataclass(frozen=True)
class Section:
    """A table of the summary. All cells are formatted text."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def last_whole_week(now: datetime) -> date:
    """Return the Monday of the last week that is over."""
    return week_of(day_of(now)) - timedelta(weeks=1)


def week_from_text(text: str, now: datetime) -> date:
    """Return the Monday of the requested week. Raise ``BadQuery`` if ``text`` is invalid or the week is in the future.

    ``text``: any day of the week, such as 2026-11-24; "" means the last week that is over.
    """
    if not text:
        return last_whole_week(now)
    week = week_of(day_from_text(text, "week"))
    if week > day_of(now):
        raise BadQuery(_("There is no summary of the week of %s.") % week, "week")
    return week


class Summary:
    """The summary of one week. ``week`` is its Monday."""

    def __init__(self, week: date, now: datetime) -> None:
        self.board = Board(DateRange(week, min(week + timedelta(days=6), day_of(now)), now))
        self.week = week

    @property
    def title(self) -> str:
        return _("Voice in the week of %s") % self.board.span.in_words()

    @property
    def query(self) -> str:
        return self.board.query

    @property
    def tiles(self) -> list[Tile]:
        return self.board.tiles

    @property
    def scores(self) -> list[Score]:
        return self.board.scores

    @cached_property
    def sections(self) -> list[Section]:
        scores = [
            (_(one.targets.name), one.shown, one.targets.launch.in_words, _(str(one.launch)), one.basis)
            for one in self.scores
        ]
        return [
            Section(_("Scorecard"), [_("Metric"), _("Measured"), _("Target"), _("Verdict"), _("Basis")], scores),
            *(_section(table) for table in (self.board.event_table, self.board.clients, self.board.margins)),
        ]

    @property
    def figures(self) -> list[tuple[str, str, str]]:
        """The headline figures, each as name, value and remark."""
        found = []
        for tile in self.tiles:
            change = _("%s on the week before") % tile.change_in_words if tile.change_in_words else ""
            found.append((tile.name, tile.value, ", ".join(filter(None, [tile.note, change]))))
        return found

    def html(self) -> str:
        return render_to_string("dashboard/weekly_mail.html", {"summary": self})

    def text(self) -> str:
        lines = [self.title, "", *(f"{name}: {value} ({note})" for name, value, note in self.figures)]
        for section in self.sections:
            lines += ["", section.title, *("  " + " | ".join(row) for row in section.rows)]
        return "\n".join(lines)

    def pdf(self) -> bytes:
        from dashboard import weekly_pdf  # ReportLab is slow to import, so it is imported for the first PDF

        return weekly_pdf.render(self.title, self.figures, self.sections)


def _section(table: Table) -> Section:
    def words(row: Sequence[Value]) -> list[str]:
        return [shown(value, column.form) for value, column in zip(row, table.columns, strict=True)]

    rows = [words(row) for row in table.rows[:SHOWN_ROWS]]
    return Section(table.title, [column.label for column in table.columns], rows, table.note if rows else table.empty)
