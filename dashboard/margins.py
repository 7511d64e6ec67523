"""Revenue, cost and margin of each client application, in ringgit.

The figures cover whole months, as statements do. The cost of speech to text is divided among the client applications in
proportion to the audio recognised, and the cost of text to speech in proportion to the characters spoken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Sum
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from dashboard.date_range import DateRange
from dashboard.filters import Filters
from dashboard.tables import Column, Form, Table, Value
from usage import cost
from usage.entry import Kind, Measure
from usage.exchange_rates import ExchangeRate, rate_of
from usage.models import CreditNote, DailyMix, Statement
from usage.money import MICROS_PER_SEN, divide_half_up
from usage.period import day_of, month_after, month_of


@dataclass
class Margin:
    """The revenue from one client application, and its share of the cost, in millionths of a ringgit."""

    revenue_micros: int = 0
    cost_micros: int = 0

    @property
    def micros(self) -> int:
        """The margin in millionths of a ringgit."""
        return self.revenue_micros - self.cost_micros

    @property
    def share(self) -> float | None:
        """The margin as a fraction of the revenue; None without revenue."""
        return self.micros / self.revenue_micros if self.revenue_micros > 0 else None


@dataclass(frozen=True)
class Margins:
    """The margins of all client applications.

    ``months``: first days of the months covered.
    ``rate``: exchange rate on the last day of the range; None if no rate is known.
    ``by_client``: margin by client application id. The key None has the costs that cannot be divided: those of speech
    to text, or of text to speech, in a month in which nobody used it.
    ``drafts``: whether any statement is still a draft.
    """

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


def margins(span: DateRange) -> Margins:
    """Return the margins of all months that overlap the range, up to now."""
    months = _months(span)
    by_client: dict[int | None, Margin] = defaultdict(Margin)
    statements = Statement.objects.filter(user="", month__in=months)
    drafts = False
    for client_id, micros, state in statements.values_list("client_id", "total_micros", "state"):
        by_client[client_id].revenue_micros += micros
        drafts = drafts or state == Statement.State.DRAFT
    # Count only credit notes on the statements of client applications, because revenue is read from these statements.
    # These statements include those of the end users.
    credited = CreditNote.objects.filter(statement__user="", statement__month__in=months)
    notes = credited.order_by().values_list("statement__client_id")
    for client_id, sen in notes.annotate(Sum("amount_sen")):
        by_client[client_id].revenue_micros -= sen * MICROS_PER_SEN
    rates = list(ExchangeRate.objects.all())  # the newest first
    for (month, owner), micros in _cost(months, span).items():
        of_month = rate_of(rates, month_after(month) - timedelta(days=1))
        if of_month is not None:
            by_client[owner].cost_micros += of_month.in_ringgit(micros)
    rate = rate_of(rates, min(span.last, day_of(span.now)))
    return Margins(months, rate, dict(by_client), drafts)


def _months(span: DateRange) -> tuple[date, ...]:
    found = [month_of(span.start)]
    while (following := month_after(found[-1])) <= span.last:
        found.append(following)
    return tuple(found)


def _cost(months: Sequence[date], span: DateRange) -> dict[tuple[date, int | None], int]:
    """Return the cost in millionths of a US dollar, by month and client application id.

    The id None has the costs that cannot be divided: those of speech to text, or of text to speech, in a month in which
    nobody used it.
    """
    last = min(month_after(months[-1]) - timedelta(days=1), day_of(span.now))
    days = [months[0] + timedelta(days=number) for number in range((last - months[0]).days + 1)]
    spent: dict[tuple[date, Measure], int] = defaultdict(int)
    for day in cost.costs_by_day(days, span.now):
        spent[month_of_day(day.day), Measure.AUDIO] += day.speech_to_text_micros
        spent[month_of_day(day.day), Measure.CHARACTERS] += day.text_to_speech_micros
    work: dict[tuple[date, Measure], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    rows = DailyMix.objects.filter(day__range=(months[0], last)).order_by().values_list("day", "client_id", "kind")
    for day, client_id, kind, audio_ms, characters in rows.annotate(Sum("audio_ms"), Sum("characters")):
        measure = Kind(kind).measure
        work[month_of_day(day), measure][client_id] += audio_ms if measure is Measure.AUDIO else characters
    found: dict[tuple[date, int | None], int] = defaultdict(int)
    for (month, measure), micros in spent.items():
        done = work[month, measure]
        whole = sum(done.values())
        if whole <= 0:
            found[month, None] += micros
        for client_id, part in done.items() if whole > 0 else ():
            found[month, client_id] += divide_half_up(micros * part, whole)
    return found


def month_of_day(day: date) -> date:
    return day.replace(day=1)


def table(found: Margins, filters: Filters, clients: Mapping[int, str]) -> Table:
    rows: list[tuple[Value, ...]] = []

    def add(name: str, one: Margin) -> None:
        known = found.rate is not None
        cost_micros, micros = (one.cost_micros, one.micros) if known else (None, None)
        rows.append((name, one.revenue_micros, cost_micros, micros, one.share if known else None))

    most = sorted(found.by_client.items(), key=lambda item: -item[1].revenue_micros)
    for client_id, one in most:
        if filters.client_id in (None, client_id) and (one.revenue_micros or one.cost_micros):
            add(_("(unallocated)") if client_id is None else clients.get(client_id, str(client_id)), one)
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
