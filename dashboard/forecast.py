"""Forecast the effects of changing a flag's percentage: end users, peak of concurrent users, machines and cost.

The forecast peak is proportional to the peak measured in the last 30 days. If there are no measurements, or nobody has
voice yet, it is taken from the growth phases (``capacity.phases``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils import timezone

from capacity import figures, hardware, loadtests, phase_outlook
from capacity.hardware import Hardware
from capacity.models import Phase
from core.models import ClientApplication
from core.quantities import MICROS
from rollout import policy
from rollout.models import Flag
from rollout.percentage import shown
from rollout.preview import Effect
from usage import cost
from usage.cost import InfrastructureCost
from usage.models import ChatUsers

Resource = InfrastructureCost.Resource


@dataclass(frozen=True)
class Population:
    """The end users who have voice, or one part of voice, at given percentages.

    ``share``: their fraction of all chat users.
    ``people``: their number; None if the number of chat users is unknown.
    """

    share: float
    people: int | None


def effects(flag: Flag, percent: Decimal) -> list[Effect]:
    """Return the effects of setting a flag to ``percent``.

    ``flag``: the flag as stored in the database.
    """
    now = timezone.now()
    rules = policy.load_percentages()
    reported = {client: row.users for client, row in ChatUsers.known_on(timezone.localdate(now)).items()}
    clients = reported or dict.fromkeys(ClientApplication.objects.values_list("pk", flat=True), 1) or {0: 1}
    before = _population(rules, flag, clients, is_reported=bool(reported))
    after = _population(rules.with_percent(flag.name, percent), flag, clients, is_reported=bool(reported))
    use = phase_outlook.measured_use(now)
    peak_before, peak, basis = _peaks(use, before, after)
    phase = phase_outlook.phase_of(phase_outlook.MeasuredUse(after.people if not use.active_users else None, peak))
    return [
        _people(flag, before, after),
        _peak(peak_before, peak, basis),
        *(_machines(phase, hardware.running(now), now) if phase else []),
    ]


def _population(rules: policy.Rules, flag: Flag, clients: Mapping[int, int], *, is_reported: bool) -> Population:
    reaches = {client: policy.reach(rules, client) for client in clients}
    shares = {
        client: reach.any if flag.is_voice else next(of for part, of in reach.parts.items() if part == flag.name)
        for client, reach in reaches.items()
    }
    people = sum(users * shares[client] for client, users in clients.items())
    return Population(people / (sum(clients.values()) or 1), round(people) if is_reported else None)


def _people(flag: Flag, before: Population, after: Population) -> Effect:
    change = after.share - before.share
    what = "voice" if flag.is_voice else flag.label.lower()
    if flag.killed or flag.everyone is not None:
        return Effect("Adds", "nobody now", f"{flag.label} is {flag.in_words()}")
    name = "Takes it from" if change < 0 else "Adds"
    share = shown(100 * abs(change))
    if before.people is None or after.people is None:
        return Effect(name, f"{share} of end users", "the number of chat users has not been entered", change < 0)
    have = f"{after.people:,} would have {what}, {before.people:,} have it now"
    return Effect(name, f"{abs(after.people - before.people):,} end users ({share})", have, change < 0)


def _peaks(use: phase_outlook.MeasuredUse, before: Population, after: Population) -> tuple[int | None, int, str]:
    """Return the current peak of concurrent users, the expected peak, and the basis of the forecast as text."""
    if use.peak_concurrent and before.share > 0:
        at = math.ceil(use.peak_concurrent * after.share / before.share)
        return use.peak_concurrent, at, "in proportion to the last 30 days"
    at = phase_outlook.expected_peak(after.people or 0)
    return use.peak_concurrent, at, "by the phases of growth: nothing is measured yet"


def _peak(before: int | None, after: int, basis: str) -> Effect:
    levels = figures.levels()
    run = loadtests.proven()
    value = f"about {after:,}" if before is None else f"{before:,} → about {after:,}"
    if levels.critical is not None and after > levels.critical:
        why = f"above the critical alert ({levels.critical:,.0f}): a ramp would be rolled back"
        return Effect("Peak concurrent users", value, f"{basis}; {why}", is_warning=True)
    if run is not None and after > run.concurrent_users:
        why = f"load tests have proven {run.concurrent_users:,}"
        return Effect("Peak concurrent users", value, f"{basis}; {why}", is_warning=True)
    return Effect("Peak concurrent users", value, basis)


def _machines(phase: Phase, runs: Hardware, now: datetime) -> list[Effect]:
    gpus = max(0, (phase.gpus_from or 0) - runs.gpus) if runs.is_known else 0
    pods = max(0, (phase.pods_from or 0) - runs.pods) if runs.is_known else 0
    missing = [f"{number} {what}" for number, what in ((gpus, "T4 GPU"), (pods, "API pod")) if number]
    note = f"phase {phase.number} {phase.name}; {runs.in_words()} now"
    if missing:
        note += f"; add {' and '.join(missing)} first"
    return [
        Effect("Needs", phase.machines(), note, is_warning=bool(missing)),
        _cost(phase, gpus, pods, now),
    ]


def _cost(phase: Phase, gpus: int, pods: int, now: datetime) -> Effect:
    rates = cost.monthly_rates(now)
    total = rates.total_micros / MICROS
    of_phase = f"phase {phase.number}: {phase.needs().rpartition(', ')[2]}"
    if not total:
        return Effect("Cost", of_phase, "nobody has entered what anything costs")
    added = (gpus * rates.of(Resource.T4) + pods * rates.of(Resource.API_POD)) / MICROS
    if not added:
        return Effect("Cost", f"stays about USD {total:,.0f} a month", f"at what runs; {of_phase}")
    return Effect("Cost", f"USD {total:,.0f} → {total + added:,.0f} a month", f"at the rates of what runs; {of_phase}")
