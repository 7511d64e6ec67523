"""What each client application brings and what it costs, in ringgit, by whole months: statements are of months.

Cost is shared out by work: what speech to text cost by the audio heard, the rest by the characters spoken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Sum
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from dashboard.date_range import Span
from dashboard.filters import Filters
from dashboard.tables import Column, Form, Table, Value
from usage import cost
from usage.entry import Kind, Measure
from usage.exchange import ExchangeRate, rate_on
from usage.models import CreditNote, DailyMix, Statement
from usage.money import MICROS_PER_SEN, divide_half_up
from usage.period import day_of, month_after, month_of


@dataclass
class Margin:
    """In millionths of a ringgit."""

    revenue_micros: int = 0
    cost_micros: int = 0

    @property
    def micros(self) -> int:
        return self.revenue_micros - self.cost_micros

    @property
    def share(self) -> float | None:
        """Of the revenue."""
        return self.micros / self.revenue_micros if self.revenue_micros > 0 else None


@dataclass(frozen=True)
class Margins:
    """``by_client``: what nobody used has no client application (None). ``drafts``: some statement is not final."""

    months: tuple[date, ...]
    rate: ExchangeRate | None
    by_client: Mapping[int | None, Margin]
    drafts: bool

    @property
    def total(self) -> Margin:
        total = Margin()
        for one in self.by_client.values():
            total.revenue_micros += one.revenue_micros
            total.cost_micros += one.cost_micros
        return total


def margins(span: Span) -> Margins:
    """Of the months that the span's days are in, until now."""
    months = _months(span)
    by_client: dict[int | None, Margin] = defaultdict(Margin)
    statements = Statement.objects.filter(user="", month__in=months)
    drafts = False
    for client_id, micros, state in statements.values_list("client_id", "total_micros", "state"):
        by_client[client_id].revenue_micros += micros
        drafts = drafts or state == Statement.State.DRAFT
    notes = CreditNote.objects.filter(statement__month__in=months).order_by().values_list("statement__client_id")
    for client_id, sen in notes.annotate(Sum("amount_sen")):
        by_client[client_id].revenue_micros -= sen * MICROS_PER_SEN
    rate = rate_on(min(span.last, day_of(span.now)))
    for month in months:
        of_month = rate_on(month_after(month) - timedelta(days=1))
        if of_month is not None:
            for owner, micros in _cost(month, span).items():
                by_client[owner].cost_micros += of_month.in_ringgit(micros)
    return Margins(months, rate, dict(by_client), drafts)


def _months(span: Span) -> tuple[date, ...]:
    found = [month_of(span.start)]
    while (following := month_after(found[-1])) <= span.last:
        found.append(following)
    return tuple(found)


def _cost(month: date, span: Span) -> dict[int | None, int]:
    """Millionths of a dollar."""
    today = day_of(span.now)
    length = (min(month_after(month) - timedelta(days=1), today) - month).days + 1
    days = cost.costs_by_day([month + timedelta(days=number) for number in range(max(0, length))], span.now)
    spent = {
        Measure.AUDIO: sum(day.speech_to_text_micros for day in days),
        Measure.CHARACTERS: sum(day.text_to_speech_micros for day in days),
    }
    work: dict[Measure, dict[int, int]] = {measure: defaultdict(int) for measure in Measure}
    rows = DailyMix.objects.filter(day__gte=month, day__lt=month_after(month)).order_by()
    sums = rows.values_list("client_id", "kind").annotate(Sum("audio_ms"), Sum("characters"))
    for client_id, kind, audio_ms, characters in sums:
        measure = Kind(kind).measure
        work[measure][client_id] += audio_ms if measure is Measure.AUDIO else characters
    found: dict[int | None, int] = defaultdict(int)
    for measure, micros in spent.items():
        whole = sum(work[measure].values())
        left = micros
        for client_id, done in work[measure].items():
            part = divide_half_up(micros * done, whole) if whole > 0 else 0
            found[client_id] += part
            left -= part
        found[None] += left if whole <= 0 else 0
    return found


def table(found: Margins, filters: Filters, clients: Mapping[int, str]) -> Table:
    rows: list[tuple[Value, ...]] = []

    def add(name: str, one: Margin) -> None:
        known = found.rate is not None
        cost_micros, micros = (one.cost_micros, one.micros) if known else (None, None)
        rows.append((name, one.revenue_micros, cost_micros, micros, one.share if known else None))

    most = sorted(found.by_client.items(), key=lambda item: -item[1].revenue_micros)
    for client_id, one in most:
        if filters.client_id in (None, client_id) and (one.revenue_micros or one.cost_micros):
            add(_("(nobody's)") if client_id is None else clients.get(client_id, str(client_id)), one)
    if filters.client_id is None and len(rows) > 1:
        add(_("All together"), found.total)
    return Table(
        "margins",
        _("Revenue, cost and margin by client"),
        [
            Column("client", _("Client"), Form.TEXT),
            Column("revenue_myr", _("Revenue"), Form.MYR),
            Column("cost_myr", _("Cost"), Form.MYR),
            Column("margin_myr", _("Margin"), Form.MYR),
            Column("margin_share", _("Of revenue"), Form.SHARE),
        ],
        rows,
        note=_note(found),
        empty=_("No statement and no cost in these months (manage.py statements draft)."),
    )


def _note(found: Margins) -> str:
    first, last = (date_format(month, "F Y") for month in (found.months[0], found.months[-1]))
    parts = [_("Whole months, until now: %s.") % (first if first == last else f"{first} – {last}")]
    if found.rate is None:
        parts.append(_("No exchange rate is known, so cost is not shown in ringgit (Admin → Exchange rates)."))
    else:
        parts.append(
            _("A US dollar is RM %(rate)s (%(source)s, from %(day)s).")
            % {
                "rate": found.rate.ringgit.normalize(),
                "source": found.rate.source,
                "day": date_format(found.rate.day, "j M Y"),
            }
        )
    if found.drafts:
        parts.append(_("Some statements are drafts, which change until they are final."))
    return " ".join(parts)
