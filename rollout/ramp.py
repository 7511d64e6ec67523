"""Guarded ramps: raise a flag's percentage step by step, as long as no critical alert fires.

The process that evaluates the alert rules calls ``tick`` after each evaluation, with the critical alerts that are
firing. A step's hold time elapses only while this process is running, because at other times no alert would show that
the step does harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from core.audit import acting, actor
from core.errors import DomainError
from core.quantities import span
from rollout.models import Flag, Ramp, RampStep
from rollout.percentage import shown

# Default steps of a new ramp, which staff can change before the ramp starts.
USUAL_STEPS = (
    (Decimal(1), timedelta(hours=24)),
    (Decimal(5), timedelta(hours=48)),
    (Decimal(10), timedelta(hours=72)),
)
LONGEST_TICK_S = 300.0  # maximum time between two ticks that counts towards the hold time

State = Ramp.State


class RampError(DomainError):
    """Raised when the ramp's current state does not allow an action. The message tells the operator the reason."""


def create(flag: Flag, steps: Iterable[tuple[Decimal, timedelta]] = USUAL_STEPS) -> Ramp:
    """Create and return a draft ramp. Each step consists of a percentage and the time for which it is held."""
    with transaction.atomic():
        ramp = Ramp.objects.create(flag=flag)
        RampStep.objects.bulk_create([RampStep(ramp=ramp, percent=percent, hold=hold) for percent, hold in steps])
    return ramp


def start(ramp_id: int, now: datetime, why: str = "") -> Ramp:
    """Start the ramp at its first step above the flag's current percentage, and return the ramp.

    Raise ``RampError`` if the ramp is not a draft, if it would have no effect, or if another ramp of the flag is
    running or paused.
    """
    with transaction.atomic():
        ramp, flag = _locked(ramp_id)
        _expect(ramp, State.DRAFT)
        if flag.killed or flag.everyone is not None:
            raise RampError(f"A ramp would have no effect: {flag.name} is {flag.in_words()}.")
        if Ramp.objects.filter(flag=flag, state__in=(State.RUNNING, State.PAUSED)).exists():
            raise RampError(f"Another ramp of {flag.name} is under way.")
        ramp.base_percent = flag.reach
        first = ramp.steps.filter(percent__gt=ramp.base_percent).first()
        if first is None:
            raise RampError(f"No step is above the {shown(ramp.base_percent)} that {flag.name} has now.")
        ramp.started_at = now
        ramp.started_by = actor().who
        _move(ramp, State.RUNNING, why)
        _take(ramp, flag, first, now)
    return ramp


def pause(ramp_id: int, why: str = "") -> Ramp:
    """Pause a ramp, and return it. The flag keeps its percentage. Raise ``RampError`` if the ramp is not running."""
    with transaction.atomic():
        ramp, _flag = _locked(ramp_id)
        _expect(ramp, State.RUNNING)
        _move(ramp, State.PAUSED, why)
        ramp.save()
    return ramp


def resume(ramp_id: int, now: datetime, why: str = "") -> Ramp:
    """Resume a paused ramp, and return it. The hold time of the current step starts again from zero.

    Raise ``RampError`` if the ramp is not paused, or if the flag has been changed by hand.
    """
    with transaction.atomic():
        ramp, flag = _locked(ramp_id)
        _expect(ramp, State.PAUSED)
        if not _is_unchanged(ramp, flag):
            raise RampError(f"{flag.name} was changed by hand meanwhile. Abort this ramp and start another.")
        _move(ramp, State.RUNNING, why)
        ramp.watched_s = 0.0
        ramp.ticked_at = now
        ramp.save()
    return ramp


def abort(ramp_id: int, now: datetime, why: str = "") -> Ramp:
    """End a ramp before its last step is done, and return it. The flag keeps its percentage.

    Raise ``RampError`` if the ramp has already ended.
    """
    with transaction.atomic():
        ramp, _flag = _locked(ramp_id)
        _expect(ramp, State.DRAFT, State.RUNNING, State.PAUSED)
        _move(ramp, State.ABORTED, why)
        ramp.ended_at = now
        ramp.save()
    return ramp


def tick(now: datetime, critical_alerts: Sequence[str]) -> list[Ramp]:
    """Advance the running ramps, or roll all of them back if critical alerts are firing. Return the ramps that changed.

    A ramp whose hold time is over takes its next step or, after the last step, ends. A ramp whose flag was changed by
    hand is paused. One process is enough to call this function, but calls by several do no harm.

    ``critical_alerts``: descriptions of the critical alerts that are firing.
    """
    if critical_alerts:
        return roll_back("Critical: " + "; ".join(critical_alerts), now)
    moved = []
    for ramp_id in _running():
        with transaction.atomic():
            ramp, flag = _locked(ramp_id)
            if ramp.state == State.RUNNING and _tick(ramp, flag, now):
                moved.append(ramp)
    return moved


def roll_back(reason: str, now: datetime | None = None) -> list[Ramp]:
    """Set the flag of each running ramp back to the percentage ``last_good``, and end the ramp. Return these ramps.

    ``reason``: text to record with each ramp.
    """
    rolled_back = []
    for ramp_id in _running():
        with transaction.atomic(), _as(ramp_id, reason):
            ramp, flag = _locked(ramp_id)
            if ramp.state != State.RUNNING:
                continue
            good = last_good(ramp)
            if flag.reach > good:  # never raise the percentage, because an operator may have lowered it by hand
                flag.percent = good
                flag.save()
            _move(ramp, State.ROLLED_BACK, f"Back to {shown(good)}. {reason}")
            ramp.ended_at = now or timezone.now()
            ramp.save()
            rolled_back.append(ramp)
    return rolled_back


def last_good(ramp: Ramp) -> Decimal:
    """Return the last percentage that the ramp held for its full time, or else the percentage before the ramp."""
    base = ramp.base_percent or Decimal(0)
    if ramp.step is None:
        return base
    done = ramp.steps.filter(percent__gt=base, percent__lt=ramp.step.percent).last()
    return done.percent if done else base


def _tick(ramp: Ramp, flag: Flag, now: datetime) -> bool:
    step = ramp.step
    assert step is not None  # a running ramp has a step
    if not _is_unchanged(ramp, flag):
        with _as(ramp.pk, "changed by hand"):
            _move(ramp, State.PAUSED, f"{flag.name} was changed by hand while the ramp held {step}.")
            ramp.save()
        return True
    since = (now - ramp.ticked_at).total_seconds() if ramp.ticked_at else 0.0
    if since > 0:
        ramp.watched_s += min(since, LONGEST_TICK_S)
        ramp.ticked_at = now
    if ramp.watched_s < step.hold.total_seconds():
        ramp.save()
        return False
    following = ramp.steps.filter(percent__gt=step.percent).first()
    held = f"{step} held for {span(step.hold)} without a critical alert."
    with _as(ramp.pk, held):
        if following is None:
            _move(ramp, State.FINISHED, held)
            ramp.ended_at = now
            ramp.save()
        else:
            ramp.reason = held
            _take(ramp, flag, following, now)
    return True


def _take(ramp: Ramp, flag: Flag, step: RampStep, now: datetime) -> None:
    ramp.step = step
    ramp.watched_s = 0.0
    ramp.ticked_at = now
    ramp.save()
    flag.percent = step.percent
    flag.save()


def _is_unchanged(ramp: Ramp, flag: Flag) -> bool:
    """Return True if nobody has changed the flag by hand since the ramp set the percentage."""
    return ramp.step is not None and flag.percent == ramp.step.percent and not flag.killed and flag.everyone is None


def _running() -> list[int]:
    return list(Ramp.objects.filter(state=State.RUNNING).order_by("id").values_list("id", flat=True))


def _locked(ramp_id: int) -> tuple[Ramp, Flag]:
    """Load the ramp and its flag from the database, lock both until the transaction ends, and return them."""
    ramp = Ramp.objects.select_for_update().get(pk=ramp_id)
    return ramp, Flag.objects.select_for_update().get(pk=ramp.flag_id)


def _expect(ramp: Ramp, *states: State) -> None:
    if ramp.state not in states:
        raise RampError(f"This ramp is {ramp.get_state_display().lower()}.")


def _move(ramp: Ramp, state: State, reason: str) -> None:
    ramp.state = state
    ramp.reason = reason


def _as(ramp_id: int, why: str) -> AbstractContextManager[None]:
    return acting(f"ramp {ramp_id}", why)
