"""Active users, adoption among chat users, adoption by client application, and retention.

All counts of active users come from ``usage.activity``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.models import ClientApplication
from dashboard.date_range import DateRange
from dashboard.filters import Filters
from dashboard.tables import Column, Form, Table, Value, shown
from rollout import policy
from rollout.feature import Feature
from rollout.policy import Reach
from usage import activity
from usage.activity import Active
from usage.models import ChatUsers
from usage.targets import ADOPTION, ADOPTION_BAND, Verdict

MIN_COHORTS = 8
MAX_COHORTS = 26
FEATURES = {
    Feature.ASR: gettext_lazy("Speech to text"),
    Feature.TTS: gettext_lazy("Text to speech"),
    Feature.REALTIME: gettext_lazy("Live speech to text"),
}


def active_by_day(span: DateRange, filters: Filters) -> Table:
    """Return the table of end users active on each day, and in the 7 and 30 days up to that day."""
    days = activity.active_by_day(span.first, span.last, filters.people)
    before = activity.active_by_day(span.before.first, span.before.last, filters.people)
    return Table(
        "active-users",
        _("Active users"),
        [
            Column("day", _("Day"), Form.DAY),
            Column("users", _("On the day")),
            Column("users_7_days", _("In 7 days")),
            Column("users_30_days", _("In 30 days")),
            Column("users_30_days_before", _("In 30 days before"), is_ghost=True),
        ],
        [
            (day, one.day, one.week, one.month, earlier.month)
            for (day, one), earlier in zip(days.items(), before.values(), strict=True)
        ],
        chart="line",
        unfinished=span.unfinished,
    )


def enabled_by_client(clients: Iterable[int]) -> dict[int, Reach]:
    """Return the current shares of end users who have voice, and each part of voice, by client application id."""
    rules = policy.load_percentages()
    return {client_id: policy.reach(rules, client_id) for client_id in clients}


@dataclass(frozen=True)
class Funnel:
    """Numbers of end users, from all chat users down to daily voice users. Each group contains the next one.

    ``eligible``: the reported number of chat users, or ``enabled`` if that is larger.
    ``enabled``: users who have any part of voice (or, with a feature filter, that feature) under the current roll-out;
    ``month`` if that is larger.
    ``month``: users active in the last 30 days.
    ``week``: users active in the last 7 days.
    ``day``: users active on the last day.
    """

    eligible: int
    enabled: int
    month: int
    week: int
    day: int

    @classmethod
    def of(cls, chat_users: int, reach: float, active: Active) -> Funnel:
        """Return the funnel of one client application.

        ``chat_users``: the reported number of chat users.
        ``reach``: share (0 to 1) of the client application's users who are enabled under the current roll-out.
        """
        enabled = max(min(round(chat_users * reach), chat_users), active.month)
        return cls(max(chat_users, enabled), enabled, active.month, active.week, active.day)

    def __add__(self, other: Funnel) -> Funnel:
        return Funnel(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Step:
    """One step of the funnel.

    ``share``: ``users`` as a fraction of the chat users; None if the number of chat users is unknown.
    """

    name: str
    users: int | None
    share: float | None
    note: str = ""

    @property
    def shown(self) -> str:
        return shown(self.users, Form.NUMBER)

    @property
    def share_shown(self) -> str:
        return shown(self.share, Form.SHARE)


@dataclass(frozen=True)
class Adoption:
    """Adoption of voice among chat users.

    ``steps``: the steps from all chat users down to daily voice users.
    ``eligible``: chat users as in ``Funnel``; None if no number has been reported.
    ``rate``: share of the chat users who used voice in the last 30 days; None if the number of chat users is unknown.
    ``verdict``: the rate compared with its target.
    ``unreported``: names of client applications with active users but no reported number of chat users.
    ``by_client``: adoption by client application.
    ``features``: pairs of a feature's name and the percentage of users who have it.
    """

    steps: tuple[Step, ...]
    eligible: int | None
    rate: float | None
    verdict: Verdict
    unreported: tuple[str, ...]
    by_client: Table
    features: tuple[tuple[str, str], ...]

    @property
    def target(self) -> str:
        """The target for the rate, as text."""
        return ADOPTION.in_words

    @property
    def gauge(self) -> dict[str, float]:
        """The target range's lower bound and width, and the rate's position, as percentages of the gauge's scale."""
        low, high = ADOPTION_BAND
        top = max(1.5 * high, 1.1 * (self.rate or 0))
        places = {"low": low / top, "width": (high - low) / top, "at": (self.rate or 0) / top}
        return {name: round(100 * place, 1) for name, place in places.items()}

    @property
    def table(self) -> Table:
        return Table(
            "adoption",
            _("From chat user to voice user"),
            [
                Column("step", _("Step"), Form.TEXT),
                Column("users", _("Users")),
                Column("share", _("Of chat users"), Form.SHARE),
            ],
            [(step.name, step.users, step.share) for step in self.steps],
        )


def adoption(span: DateRange, filters: Filters, clients: Mapping[int, str], active: Mapping[int, Active]) -> Adoption:
    """Compute the adoption on the last day of the range.

    ``clients``: names of all client applications by id.
    ``active``: active users on the last day, by client application id.

    With a language filter the number of chat users is unknown, because it is not reported by language.
    """
    reported = {} if filters.language else ChatUsers.known_on(span.last)
    if filters.client_id is not None:
        clients = {client: name for client, name in clients.items() if client == filters.client_id}
        reported = {client: row for client, row in reported.items() if client == filters.client_id}
    enabled = enabled_by_client(clients)
    shares = {
        client: one.parts[Feature(filters.feature)] if filters.feature else one.any for client, one in enabled.items()
    }
    in_funnel = {client: reach for client, reach in enabled.items() if not reported or client in reported}
    funnels = [Funnel.of(row.users, shares[client], active.get(client, Active())) for client, row in reported.items()]
    if reported:
        found = sum(funnels, Funnel(0, 0, 0, 0, 0))
    else:
        month, week, day = (sum(getattr(one, name) for one in active.values()) for name in ("month", "week", "day"))
        found = Funnel(0, 0, month, week, day)
    eligible, having = (found.eligible, found.enabled) if reported else (None, None)

    def of_eligible(users: int | None) -> float | None:
        return users / eligible if eligible and users is not None else None

    rate = of_eligible(found.month)
    steps = (
        Step(_("Chat users"), eligible, of_eligible(eligible), _("as entered, or more where more users have voice")),
        Step(_("Have voice switched on"), having, of_eligible(having), _("as the roll-out is now, or used it")),
        Step(_("Used it in 30 days"), found.month, of_eligible(found.month)),
        Step(_("Used it in 7 days"), found.week, of_eligible(found.week)),
        Step(
            _("Used it today, so far") if span.includes_today else _("Used it on the last day"),
            found.day,
            of_eligible(found.day),
        ),
    )
    unreported = tuple(
        sorted(clients[client] for client, one in active.items() if one.month and client not in reported)
    )
    return Adoption(
        steps,
        eligible,
        rate,
        ADOPTION.verdict(rate),
        tuple(unreported),
        _by_client(clients, reported, enabled, active),
        tuple((str(FEATURES[one]), _percents(in_funnel, one)) for one in Feature),
    )


def _percents(enabled: Mapping[int, Reach], feature: Feature) -> str:
    """Return the percentage of users who have a feature, as text: ``7 %``, or ``5–10 %`` if clients differ.

    ``enabled``: result of ``enabled_by_client``.
    """
    found = sorted({round(100 * one.parts[feature], 2) for one in enabled.values()}) or [0.0]
    low = f"{found[0]:g}"
    high = f"{found[-1]:g}"
    return f"{low} %" if low == high else f"{low}–{high} %"


def _by_client(
    clients: Mapping[int, str],
    reported: Mapping[int, ChatUsers],
    enabled: Mapping[int, Reach],
    active: Mapping[int, Active],
) -> Table:
    rows: list[Sequence[Value]] = []
    for client, name in sorted(clients.items(), key=lambda one: (-active.get(one[0], Active()).month, one[1])):
        row = reported.get(client)
        users = active.get(client, Active()).month
        if row is None and not users:
            continue
        shares = [enabled[client].parts[feature] for feature in Feature]
        chat_users, as_of, rate = (row.users, row.day, users / row.users) if row else (None, None, None)
        rows.append((name, chat_users, as_of, *shares, users, rate))
    short = {Feature.ASR: "ASR", Feature.TTS: "TTS", Feature.REALTIME: _("Live")}
    features = [
        Column(f"{feature}_enabled", _("{feature} on").format(feature=short[feature]), Form.SHARE)
        for feature in Feature
    ]
    return Table(
        "adoption-by-client",
        _("Adoption by client application"),
        [
            Column("client", _("Client"), Form.TEXT),
            Column("chat_users", _("Chat users")),
            Column("chat_users_as_of", _("As of"), Form.DAY),
            *features,
            Column("active_30_days", _("Active, 30 days")),
            Column("adoption", _("Adoption"), Form.SHARE),
        ],
        rows,
    )


def names_of_clients() -> dict[int, str]:
    """Return the names of all client applications by id."""
    return dict(ClientApplication.objects.values_list("pk", "name"))


@dataclass(frozen=True)
class CohortCell:
    """The end users of one cohort who used voice in one week.

    ``users``: number of these end users.
    ``share``: these end users as a fraction of the cohort.
    ``heat``: 0 to 10, for the colour of the cell.
    ``is_partial``: whether the week is not over yet.
    """

    users: int
    share: float
    heat: int
    is_partial: bool

    @property
    def shown(self) -> str:
        return f"{100 * self.share:.0f}"


@dataclass(frozen=True)
class Cohort:
    """The end users who first used voice in one week.

    ``week``: the Monday of the week.
    ``size``: number of end users in the cohort.
    ``cells``: the cohort's use of voice in that week and in each later week.
    """

    week: date
    size: int
    cells: tuple[CohortCell, ...]

    @property
    def size_shown(self) -> str:
        return shown(self.size, Form.NUMBER)


@dataclass(frozen=True)
class Retention:
    """The cohorts of new voice users by week, with their use of voice in later weeks."""

    cohorts: tuple[Cohort, ...]

    @property
    def offsets(self) -> range:
        """The numbers of weeks since the first use, from 0, for which any cohort has data."""
        return range(max((len(cohort.cells) for cohort in self.cohorts), default=0))

    @property
    def table(self) -> Table:
        rows = [
            (cohort.week, cohort.size, offset, cell.users, cell.share, "no" if cell.is_partial else "yes")
            for cohort in self.cohorts
            for offset, cell in enumerate(cohort.cells)
        ]
        return Table(
            "retention",
            _("Retention by week of first use"),
            [
                Column("week_of_first_use", _("Week of first use"), Form.DAY),
                Column("cohort", _("New users")),
                Column("weeks_later", _("Weeks later")),
                Column("users", _("Users")),
                Column("share", _("Share"), Form.SHARE),
                Column("week_is_over", _("Week is over"), Form.TEXT),
            ],
            rows,
        )


def retention(span: DateRange, filters: Filters) -> Retention:
    """Compute the retention by week of first use, for the weeks of the range.

    A short range is extended backwards to ``MIN_COHORTS`` weeks. A long range is cut to its last ``MAX_COHORTS`` weeks.
    """
    last = activity.week_of(span.last)
    first = max(
        min(activity.week_of(span.first), last - timedelta(weeks=MIN_COHORTS - 1)),
        last - timedelta(weeks=MAX_COHORTS - 1),
    )
    found = activity.cohorts(first, last, filters.people)
    is_running = span.last - last < timedelta(days=6) or span.includes_today
    cohorts = []
    for week, by_week in sorted(found.items()):
        size = by_week.get(week, 0)
        cells = []
        for offset in range((last - week).days // 7 + 1):
            later = week + timedelta(weeks=offset)
            users = by_week.get(later, 0)
            share = users / size if size else 0.0
            cells.append(CohortCell(users, share, round(10 * share), is_running and later == last))
        cohorts.append(Cohort(week, size, tuple(cells)))
    return Retention(tuple(cohorts))
