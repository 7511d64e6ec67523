"""Data for the admin's home page: each feature's percentage, and the ramp that raises it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from core.quantities import span
from rollout.models import Flag, Ramp, RampStep
from rollout.percentage import shown

LATELY = timedelta(days=30)
UNDER_WAY = (Ramp.State.RUNNING, Ramp.State.PAUSED)


@dataclass(frozen=True)
class RunningRamp:
    """A ramp that is running or paused.

    ``step``: the current step.
    ``following``: the next step; None if ``step`` is the last step.
    """

    ramp: Ramp
    step: RampStep
    following: RampStep | None

    @property
    def held_percent(self) -> float:
        """The elapsed part of the current step's hold time, in per cent (0 to 100)."""
        whole = self.step.hold.total_seconds()
        return min(100.0, 100 * self.ramp.watched_s / whole) if whole else 100.0

    @property
    def held(self) -> str:
        return span(timedelta(seconds=min(self.ramp.watched_s, self.step.hold.total_seconds())))

    @property
    def hold(self) -> str:
        return span(self.step.hold)

    @property
    def is_paused(self) -> bool:
        return self.ramp.state == Ramp.State.PAUSED


@dataclass(frozen=True)
class FeatureState:
    """The state of the roll-out of one feature.

    ``percent``: percentage of end users who have the feature. It is 0 if the kill switch is on, and 0 or 100 if
    ``Flag.everyone`` is set. For a part of voice, it is at most the percentage of voice.
    ``ramp``: the ramp that is running or paused, or None.
    ``ended``: the last ramp that ended within ``LATELY``, or None.
    """

    flag: Flag
    percent: Decimal
    ramp: RunningRamp | None
    ended: Ramp | None = None

    @property
    def name(self) -> str:
        return self.flag.label

    @property
    def percent_in_words(self) -> str:
        return shown(self.percent)

    @property
    def in_words(self) -> str:
        return self.flag.in_words()


def features() -> list[FeatureState]:
    """Return the state of voice, and then the state of each of its parts. This takes four database queries."""
    ramps = Ramp.objects.filter(state__in=UNDER_WAY).select_related("step").prefetch_related("steps")
    running = {ramp.flag_id: _running(ramp) for ramp in ramps}
    flags = list(Flag.objects.all())
    voice = next((flag.effective_percent for flag in flags if flag.is_voice), Decimal(0))
    ended: dict[int, Ramp] = {}
    lately = Ramp.objects.filter(ended_at__gte=timezone.now() - LATELY).exclude(state=Ramp.State.DRAFT)
    for ramp in lately.select_related("flag").order_by("ended_at"):
        ended[ramp.flag_id] = ramp
    return [
        FeatureState(flag, min(voice, flag.effective_percent), running.get(flag.pk), ended.get(flag.pk))
        for flag in flags
    ]


def _running(ramp: Ramp) -> RunningRamp | None:
    if ramp.step is None:
        return None
    return RunningRamp(ramp, ramp.step, _after(ramp.step, ramp.steps.all()))


def _after(step: RampStep, steps: Iterable[RampStep]) -> RampStep | None:
    return next((other for other in steps if other.percent > step.percent), None)
