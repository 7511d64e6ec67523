"""Write the roll-out of the demo quarter (flags, ramps, audit trail) through the functions of the rollout app."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from django.db import models

from core.audit import acting
from core.models import ClientApplication
from rollout import ramp as ramps
from rollout.feature import VOICE, Feature
from rollout.models import Change, ClientShare, Cohort, Flag, ListedUser, Ramp
from tools.demo import narrative
from tools.demo.narrative import FIRST_PERCENT, LAST_PERCENT, RAMP_PERCENT, Quarter
from tools.demo.people import Person
from voiceproject import demo

OPERATOR = "siti"
PRODUCT = "farid"
FIRST_HOLD = timedelta(hours=48)
LAST_HOLD = timedelta(hours=72)


def is_untouched() -> bool:
    """Return True if the roll-out has not been changed yet. Changes by ``make run`` and by migrations do not count."""
    by_people = Change.objects.exclude(who__in=[demo.STARTED_BY, "migrate"])
    return not Ramp.objects.exists() and not by_people.filter(subject__in=[VOICE, *Feature]).exists()


def make_rollout(quarter: Quarter, people: list[Person], stopped_by: str) -> int:
    """Write the roll-out, and return the number of new rows in the audit trail.

    ``stopped_by``: a text that describes the critical alert that stopped the ramp.
    """
    before = Change.objects.count()
    for _at, happen in sorted(_events(quarter, people, stopped_by), key=lambda event: event[0]):
        happen()
    with _then(quarter.now, PRODUCT, "To be started after the next review"):  # for trying it on the pages
        ramps.create(Flag.objects.get(name=VOICE), [(Decimal(10), LAST_HOLD)])
    return Change.objects.count() - before


def _events(quarter: Quarter, people: list[Person], stopped_by: str) -> Iterator[tuple[datetime, Callable[[], None]]]:
    """Yield the changes to the roll-out in any order, each as its time and a function that makes it."""
    begin = quarter.moment(0, 0)
    yield begin, partial(_begin, begin, people)
    opted_out = quarter.moment(0.1, 16)
    yield opted_out, partial(_leave_out, opted_out)
    launch = quarter.moment(narrative.STEPS[Feature.ASR][0][0], 10)
    yield launch, partial(_set, VOICE, launch, FIRST_PERCENT, "Launch")
    for place, percent in narrative.STEPS[Feature.REALTIME]:
        at = quarter.moment(place, 10.5)
        wanted = None if percent == LAST_PERCENT else percent  # None: all who have voice
        yield at, partial(_set, Feature.REALTIME, at, wanted, "Live captions, with the app's new version")
    first, second, third = (
        quarter.moment(place, 10) for place in (narrative.STOPPED_RAMP, narrative.HELD_RAMP, narrative.LAST_RAMP)
    )
    stopped = quarter.moment(narrative.STOPPED_AT, narrative.STOPPED_HOUR)
    yield first, partial(_ramp, first, RAMP_PERCENT, FIRST_HOLD, "The pilot and the first per cent went well")
    yield stopped, partial(_stop, stopped, stopped_by)
    yield second, partial(_ramp, second, RAMP_PERCENT, FIRST_HOLD, "Smaller batches: latency is back to normal")
    yield second + FIRST_HOLD, partial(_held, second + FIRST_HOLD, FIRST_HOLD)
    yield third, partial(_ramp, third, LAST_PERCENT, LAST_HOLD, quarter.relief)
    yield third + LAST_HOLD, partial(_held, third + LAST_HOLD, LAST_HOLD)


def _begin(at: datetime, people: list[Person]) -> None:
    with _then(at, OPERATOR, "Whoever tries the service with the demo's key has everything"):
        client, _is_new = ClientApplication.objects.get_or_create(
            name=demo.CLIENT, defaults={"description": demo.DESCRIPTION}
        )
        for flag in Flag.objects.all():
            ClientShare.objects.get_or_create(flag=flag, client=client, defaults={"percent": Decimal(100)})
    with _then(at, OPERATOR, "Nothing is on before the pilot"):
        for flag in Flag.objects.filter(name__in=[VOICE, Feature.REALTIME]):
            flag.percent = Decimal(0)
            flag.everyone = None
            flag.save()
    with _then(at, OPERATOR, "Pilot with our own people"):
        cohort, _is_new = Cohort.objects.get_or_create(name="pilot", defaults={"note": "Colleagues who agreed to try"})
        cohort.add(person.user for person in people if person.is_pilot)
        for flag in Flag.objects.all():
            flag.cohorts.add(cohort)


def _leave_out(at: datetime) -> None:
    with _then(at, OPERATOR, "Asked to be left out"):
        flag = Flag.objects.get(name=VOICE)
        ListedUser.objects.get_or_create(
            flag=flag, user="u0leftout", client=None, defaults={"list": ListedUser.List.DENY, "note": "Ticket 118"}
        )


def _set(name: str, at: datetime, percent: int | None, why: str) -> None:
    with _then(at, OPERATOR, why):
        flag = Flag.objects.get(name=name)
        flag.percent = None if percent is None else Decimal(percent)
        flag.save()


def _ramp(at: datetime, percent: int, hold: timedelta, why: str) -> None:
    with _then(at, PRODUCT, "Proposed"):
        ramp = ramps.create(Flag.objects.get(name=VOICE), [(Decimal(percent), hold)])
    Ramp.objects.filter(pk=ramp.pk).update(created_at=at)
    with _then(at, OPERATOR, why):
        ramps.start(ramp.pk, at, why)


def _stop(at: datetime, why: str) -> None:
    with _then(at):
        ramps.roll_back(f"Critical: {why}", at)


def _held(at: datetime, hold: timedelta) -> None:
    """Complete the current step of the running ramp.

    One check (tick) records that the metrics were watched during the whole step. The watcher process would have made
    thousands of checks.
    """
    Ramp.objects.filter(state=Ramp.State.RUNNING).update(watched_s=hold.total_seconds(), ticked_at=at)
    with _then(at):
        ramps.tick(at, [])


@contextmanager
def _then(at: datetime, who: str = "watcher", why: str = "") -> Iterator[None]:
    """Record everything within this context as if it happened at the time ``at``.

    ``who``, ``why``: the author and the reason to record in the audit trail.
    """
    with acting(who, why, at):
        yield
    models.QuerySet(Flag).update(modified=at)  # Django's own QuerySet, because Flag's would write to the audit trail
