"""Fill the database with the demo quarter, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone

from capacity import phase_outlook
from capacity.models import Phase
from core.audit import acting
from tools.demo import billing, capacity, ledger, load, rollout
from tools.demo.narrative import Machines, Quarter
from tools.demo.people import crowd
from tools.demo.traffic import Traffic, limit_scale

ROWS_PER_USER_AND_DAY = 1.1


class NotEmpty(Exception):
    """The database already contains requests. The message says how to proceed."""


@dataclass(frozen=True)
class Filled:
    """What was written to the database.

    ``quarter``: the days and machines of the demo quarter.
    ``people``: number of end users.
    ``ledger``: numbers of requests, corrections and ratings.
    ``assignments``: number of plan assignments.
    ``statements``: the statements that were made.
    ``costs``: whether infrastructure costs were written; False if somebody had changed them before.
    ``changes``: number of new rows in the audit trail; None if somebody had changed the roll-out before.
    ``samples``: number of samples.
    ``peaks``: number of hourly peaks.
    ``alerts``: number of alerts.
    """

    quarter: Quarter
    people: int
    ledger: ledger.Counts
    assignments: int
    statements: billing.Statements
    costs: bool
    changes: int | None
    samples: int
    peaks: int
    alerts: int


def fill(
    *, days: int, users: int, rows: int | None = None, seed: int = 1, sure: bool = False, now: datetime | None = None
) -> Filled:
    """Fill the database with a demo quarter, and return what was written.

    ``days``: the length of the quarter in days.
    ``users``: how many end users have voice at the end of the quarter.
    ``rows``: number of requests in the ledger; by default about one per user and day.
    ``seed``: the seed of the random numbers.
    ``sure``: fill the database even if the ledger contains real requests.
    ``now``: the end of the quarter; by default the current time.

    Raise ``NotEmpty`` if the ledger contains demo requests, or contains real requests and ``sure`` is false.
    """
    _check(sure=sure)
    rows = round(ROWS_PER_USER_AND_DAY * users * days) if rows is None else rows
    quarter = Quarter(days, timezone.localtime(now), _machines(users))
    people = crowd(seed, users, quarter)
    scale = limit_scale(rows, users, days)
    traffic = Traffic(seed, rows, people, quarter, scale)
    with transaction.atomic():
        with acting(rollout.OPERATOR, "Before the pilot", quarter.moment(0, 0)):
            clients = ledger.make_clients(quarter)
            ledger.count_chat_users(quarter, clients, users)
            assignments = billing.make_plans(quarter, clients, people, scale)
            costs = billing.make_costs(quarter)
            billing.make_exchange_rate(quarter)
        changes = None
        if rollout.is_untouched():
            changes = rollout.make_rollout(quarter, people, capacity.stopping_words(quarter))
        counts = ledger.write_days(traffic, quarter, clients)
        statements = billing.make_statements(quarter)
        minutes = load.minutes(seed, phase_outlook.expected_peak(users), people, traffic, quarter)
        samples, peaks = capacity.write_load(minutes, quarter)
        capacity.write_uptime(quarter)
        alerts = capacity.write_alerts(quarter)
        phase_outlook.count_active_users(quarter.now.date())
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")  # otherwise the first queries are planned for empty tables
    return Filled(quarter, len(people), counts, assignments, statements, costs, changes, samples, peaks, alerts)


def _machines(users: int) -> Machines:
    """Return the machines of the growth phase for this many users.

    If that phase autoscales, return one GPU and one pod more than the largest phase with fixed numbers has.
    """
    phase = phase_outlook.phase_of(phase_outlook.MeasuredUse(users, phase_outlook.expected_peak(users)))
    if phase is not None and phase.gpus_from and phase.pods_from:
        return Machines(phase.gpus_from, phase.pods_from)
    most = Phase.objects.aggregate(gpus=Max("gpus_to"), pods=Max("pods_to"))
    return Machines((most["gpus"] or 0) + 1, (most["pods"] or 1) + 1)


def _check(*, sure: bool) -> None:
    elsewhere = "Use a fresh VOICE_STATE_DIR, or another DATABASE_URL: a ledger cannot be emptied."
    if ledger.own_rows():
        raise NotEmpty(f"This database has a demo quarter already. {elsewhere}")
    if ledger.foreign_rows() and not sure:
        raise NotEmpty(
            f"The ledger holds real requests. {elsewhere} With --yes, demo data is added to them permanently."
        )
