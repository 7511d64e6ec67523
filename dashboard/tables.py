"""The tables of the dashboard. The page shows them, many with a chart, and CSV files have their unformatted numbers.

The charts are drawn from the tables in the page, so that both always agree.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from django.utils.formats import date_format
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, gettext_lazy

from dashboard import definitions
from usage.money import decimal, divide_half_up, in_sen, ringgit
from usage.statement_export import escape_formula

Value = str | int | float | date | None

NOTHING = "–"
MICRO_DIGITS = 6


class Form(StrEnum):
    """How the values of a column are formatted on the page. In CSV they are not formatted."""

    TEXT = "text"
    DAY = "day"
    NUMBER = "number"  # whole
    TENTHS = "tenths"
    SCORE = "score"  # two decimals
    SECONDS = "seconds"
    SHARE = "share"  # a fraction, shown as per cent
    USD = "usd"  # millionths of a dollar, shown with cents
    USD_FINE = "usd-fine"  # with four decimals below a dollar
    MYR = "myr"  # millionths of a ringgit, shown with sen

    @property
    def is_number(self) -> bool:
        return self not in (Form.TEXT, Form.DAY)

    @property
    def is_money(self) -> bool:
        return self in (Form.USD, Form.USD_FINE, Form.MYR)


@dataclass(frozen=True)
class Column:
    """A column of a table.

    ``name``: the heading in the CSV file.
    ``label``: the heading on the page.
    ``form``: how the values are formatted.
    ``bar``: whether to show a bar beside each number.
    ``is_drawn``: whether to draw the column in the chart.
    ``plot``: name of the plot in which to draw the column.
    ``target``: a value at which the plot has a line.
    ``target_label``: label of that line.
    ``band``: names of the two columns with the ends of the confidence interval.
    ``is_ghost``: whether to draw the column faintly, because it shows the previous period.
    """

    name: str
    label: str
    form: Form = Form.NUMBER
    bar: bool = False
    is_drawn: bool = True
    plot: str = ""
    target: float | None = None
    target_label: str = ""
    band: tuple[str, str] | None = None
    is_ghost: bool = False


@dataclass(frozen=True)
class Table:
    """A table, and how to draw its chart if it has one.

    ``name``: name of the CSV file.
    ``chart``: ``line``, ``bars`` or "" for no chart.
    ``note``: a remark to show with the table.
    ``empty``: text to show if there are no rows.
    ``shown_rows``: maximum number of rows on the page; None for all.
    ``links``: for each row, the URL to which its first cell links.
    ``is_whole``: whether the table covers the whole service, regardless of the filters.
    ``unfinished``: the day or week that is not over yet; the chart separates it from the others.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Value]]
    chart: str = ""
    note: str = ""
    empty: str = gettext_lazy("Nothing in these days.")  # type: ignore[assignment]
    shown_rows: int | None = None
    links: Sequence[str] = ()
    is_whole: bool = False
    unfinished: date | None = None

    @property
    def has_data(self) -> bool:
        """True if any column except the first has a number other than zero."""
        return any(value for row in self.rows for value in row[1:] if not isinstance(value, str | date))

    @property
    def definition(self) -> str:
        return definitions.of_table(self.name)

    @property
    def plots(self) -> list[str]:
        return list(dict.fromkeys(column.plot for column in self.columns[1:] if column.is_drawn))

    @property
    def left_out(self) -> int:
        """The number of rows that the page leaves out. The CSV file has all rows."""
        return max(0, len(self.rows) - self.shown_rows) if self.shown_rows is not None else 0

    def body(self) -> SafeString:
        """Return the rows as HTML.

        A template is not used, because it would take ten times as long for a table of 365 days.
        """
        scales = [
            max((abs(row[place]) for row in self.rows if isinstance(row[place], int | float)), default=0)  # type: ignore[arg-type]
            if column.bar
            else 0
            for place, column in enumerate(self.columns)
        ]
        rows = []
        links = self.links or [""] * len(self.rows)
        for row, link in zip(self.rows[: self.shown_rows], links, strict=False):
            cells = [
                _cell(value, column, scale) for value, column, scale in zip(row, self.columns, scales, strict=True)
            ]
            is_unfinished = self.unfinished is not None and row[0] == self.unfinished
            cells[0] = _heading(row[0], self.columns[0], link, is_unfinished=is_unfinished)
            rows.append(f"<tr>{''.join(cells)}</tr>")
        return mark_safe("\n".join(rows))  # nosec B308 B703 # noqa: S308 - its texts are escaped

    def lines(self) -> Iterator[bytes]:
        """Yield the table as CSV, in pieces."""
        yield from csv_lines([column.name for column in self.columns], map(self._plain, self.rows))

    def _plain(self, row: Sequence[Value]) -> list[str]:
        return [plain(value, column.form) for value, column in zip(row, self.columns, strict=True)]


def csv_lines(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow(row)
        if buffer.tell() > 16_384:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def plain(value: Value, form: Form) -> str:
    """Return a value as text for CSV, without thousands separators and units.

    Days have the form 2026-11-24, shares are fractions, and money is a decimal number. None is "".
    """
    if value is None:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    if form.is_money:
        return decimal(int(value), MICRO_DIGITS)
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return escape_formula(value) if isinstance(value, str) else str(value)


def shown(value: Value, form: Form) -> str:
    """Return a value as text for the page."""
    if value is None:
        return NOTHING
    if isinstance(value, date):
        return date_format(value, "j M Y")
    if isinstance(value, str):
        return value
    match form:
        case Form.NUMBER:
            return f"{value:,.0f}"
        case Form.TENTHS:
            return f"{value:,.1f}"
        case Form.SCORE:
            return f"{value:.2f}"
        case Form.SECONDS:
            return f"{value:.2f} s"
        case Form.SHARE:
            return f"{100 * value:.1f} %"
        case Form.USD:
            return usd(int(value), 2)
        case Form.MYR:
            return ringgit(in_sen(int(value)))
        case Form.USD_FINE:
            return usd(int(value), 2 if abs(value) >= 10**MICRO_DIGITS else 4)
    return str(value)


def usd(micros: int, places: int) -> str:
    """Return an amount as text, for example ``USD 1,234.56``.

    ``micros``: millionths of a US dollar.
    ``places``: number of decimals.
    """
    rounded = divide_half_up(micros, 10 ** (MICRO_DIGITS - places))
    sign, (whole, part) = "-" if rounded < 0 else "", divmod(abs(rounded), 10**places)
    return f"{sign}USD {whole:,}.{part:0{places}d}"


def _heading(value: Value, column: Column, link: str, *, is_unfinished: bool) -> str:
    text: str = escape(shown(value, column.form))
    raw = f' data-v="{value.isoformat()}"' if isinstance(value, date) else ""
    if is_unfinished:
        so_far = escape(gettext("so far"))
        text += f", {so_far}"
        raw += f' data-unfinished="{so_far}"'
    return f'<th scope="row"{raw}>{f"""<a href="{escape(link)}">{text}</a>""" if link else text}</th>'


def _cell(value: Value, column: Column, scale: float) -> str:
    text: str = escape(shown(value, column.form))
    label = f' data-label="{escape(column.label)}"'  # for phones, where each row is a block
    if not column.form.is_number:
        return f"<td{label}>{text}</td>"
    raw = "" if value is None else f' data-v="{plain(value, column.form)}"'
    bar = ""
    if column.bar and scale and isinstance(value, int | float):
        bar = (
            '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
            f'<rect width="{100 * abs(value) / scale:.1f}" height="8"/></svg>'
        )
        text = f'<span class="beside">{text}</span>'
    return f'<td class="number"{label}{raw}>{bar}{text}</td>'
