"""Is voice on for this end user? Decided in this process's memory, from rules that are at most ``FRESH_S`` old.

All rules are read together: a decision costs a hash and a few look-ups, and a change by anybody, the kill switch above
all, acts in every process within ``FRESH_S``. The lists, which may be long, are read again only when the audit trail
has grown. Rules belong to one event loop; ``forget`` may be called from any thread. While the database is gone the last
rules stand, for at most ``VOICE_DATABASE_OUTAGE_S``: nobody can have changed them.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Count, Max, Q
from django.utils.translation import gettext_lazy

from core.db_health import UNAVAILABLE_ERRORS, ask
from core.errors import DomainError
from core.identity import Caller
from core.perloop import PerLoop
from rollout import share
from rollout.audit import Change
from rollout.feature import Feature
from rollout.models import ClientShare, CohortMember, Flag, ListedUser

FRESH_S = 2.0
ACTS_WITHIN_S = 5.0  # what is promised of a change: the reading takes its time, and open streams ask now and then
LISTS_FRESH_S = 60.0  # also when the audit trail has not grown: somebody may have used SQL


class VoiceNotEnabled(DomainError):
    """The feature is off for this end user."""


class Reason(StrEnum):
    KILLED = "kill_switch"
    OFF = "off"
    DENIED = "deny_list"
    EVERYONE = "everyone"
    ALLOWED = "allow_list"
    COHORT = "cohort"
    STAFF = "staff"
    CLIENT = "client"
    PERCENTAGE = "percentage"
    OUTSIDE = "outside_percentage"


_REFUSALS = {
    Reason.KILLED: gettext_lazy("Voice is switched off at the moment."),
    Reason.OFF: gettext_lazy("Voice is switched off."),
}


@dataclass(frozen=True)
class Decision:
    """``reason``: the rule that decided."""

    allowed: bool
    reason: Reason

    @property
    def is_for_all(self) -> bool:
        """It would be the same for any other end user."""
        return self.reason in _REFUSALS

    def refusal(self) -> VoiceNotEnabled:
        """What is told a caller who is not let in. It does not tell an end user what list they are on."""
        return VoiceNotEnabled(str(_REFUSALS.get(self.reason, gettext_lazy("Voice is not enabled for this user yet."))))


@dataclass(frozen=True)
class _Lists:
    """Of one flag: end users with the client that they are listed for, None for any."""

    denied: frozenset[tuple[int | None, str]] = frozenset()
    allowed: frozenset[tuple[int | None, str]] = frozenset()
    cohort: frozenset[str] = frozenset()
    staff: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Rule:
    flag: Flag
    shares: Mapping[int, Decimal]
    lists: _Lists

    def decide(self, client_id: int, user: str) -> Decision:
        both = {(client_id, user), (None, user)}
        if self.flag.killed:
            return Decision(False, Reason.KILLED)
        if self.flag.everyone is False:
            return Decision(False, Reason.OFF)
        if not self.lists.denied.isdisjoint(both):
            return Decision(False, Reason.DENIED)
        if self.flag.everyone:
            return Decision(True, Reason.EVERYONE)
        if not self.lists.allowed.isdisjoint(both):
            return Decision(True, Reason.ALLOWED)
        if user in self.lists.cohort:
            return Decision(True, Reason.COHORT)
        if user in self.lists.staff:
            return Decision(True, Reason.STAFF)
        percent, reason = self.flag.percent, Reason.PERCENTAGE
        if client_id in self.shares:
            percent, reason = self.shares[client_id], Reason.CLIENT
        if share.is_within(self.flag.name, user, percent or Decimal(0)):
            return Decision(True, reason)
        return Decision(False, Reason.OUTSIDE)


@dataclass(frozen=True)
class Rules:
    """``version``: how long the audit trail was, before the rest was read. ``lists_at``: monotonic seconds."""

    rules: Mapping[str, _Rule]
    version: tuple[int, int]
    lists_at: float

    def decide(self, client_id: int, user: str, feature: str) -> Decision:
        """A feature without a flag is off."""
        rule = self.rules.get(feature)
        return rule.decide(client_id, user) if rule else Decision(False, Reason.OFF)


def load(known: Rules | None = None) -> Rules:
    """The rules in the database now. Unchanged lists are taken from ``known``."""
    # Rows of the audit trail may be committed in another order than numbered, so their number counts too.
    trail = Change.objects.aggregate(last=Max("id"), number=Count("id"))
    version = (trail["last"] or 0, trail["number"])
    flags = list(Flag.objects.all())
    shares: dict[int, dict[int, Decimal]] = defaultdict(dict)
    for row in ClientShare.objects.all():
        shares[row.flag_id][row.client_id] = row.percent
    now = time.monotonic()
    if known is not None and known.version == version and now - known.lists_at < LISTS_FRESH_S:
        lists = {name: rule.lists for name, rule in known.rules.items()}
        lists_at = known.lists_at
    else:
        lists, lists_at = {flag.name: _load_lists(flag) for flag in flags}, now
    rules = {flag.name: _Rule(flag, shares[flag.pk], lists.get(flag.name, _Lists())) for flag in flags}
    return Rules(rules, version, lists_at)


def _load_lists(flag: Flag) -> _Lists:
    listed: dict[str, set[tuple[int | None, str]]] = defaultdict(set)
    for client_id, user, kind in ListedUser.objects.filter(flag=flag).values_list("client_id", "user", "list"):
        listed[kind].add((client_id, user))
    members = CohortMember.objects.filter(cohort__in=flag.cohorts.all()).values_list("user", flat=True)
    accounts = Q(pk__in=flag.users.values("pk")) | Q(groups__in=flag.groups.values("pk"))
    if flag.staff:
        accounts |= Q(is_staff=True)
    if flag.superusers:
        accounts |= Q(is_superuser=True)
    people = get_user_model().objects.filter(accounts, is_active=True).values_list("username", flat=True)
    return _Lists(
        frozenset(listed[ListedUser.List.DENY]),
        frozenset(listed[ListedUser.List.ALLOW]),
        frozenset(members),
        frozenset(people),
    )


@dataclass
class _Memory:
    """The rules that this event loop knows. ``epoch``: how often ``forget`` had been called when they were read."""

    rules: Rules | None = None
    asked_at: float = 0.0
    epoch: int = 0
    reading: asyncio.Task[Rules] | None = field(default=None, repr=False)

    async def current(self) -> Rules:
        """Rules that were read from the database at most ``FRESH_S`` ago. Raises ``DatabaseError``."""
        try:
            return await self._fresh()
        except UNAVAILABLE_ERRORS:
            age_s = time.monotonic() - self.asked_at
            if self.rules is None or self.epoch != _epoch or age_s > settings.VOICE_DATABASE_OUTAGE_S:
                raise
            return self.rules

    async def _fresh(self) -> Rules:
        while self.rules is None or self.epoch != _epoch or time.monotonic() - self.asked_at > FRESH_S:
            if self.reading is None or self.reading.done():
                # An empty context: the reading belongs to no request, so none can cancel it or close its connection.
                self.reading = asyncio.create_task(self._read(), context=contextvars.Context())
            await asyncio.shield(self.reading)
        return self.rules

    async def _read(self) -> Rules:
        epoch, asked_at = _epoch, time.monotonic()
        known = self.rules if self.epoch == epoch else None
        self.rules = await ask(load, known)
        self.epoch, self.asked_at = epoch, asked_at
        return self.rules


_epoch = 0
_memory = PerLoop(_Memory)


def forget() -> None:
    """Make the next decision of this process ask the database again."""
    global _epoch  # one number for all loops and threads
    _epoch += 1


async def decide(caller: Caller, user: str, feature: Feature) -> Decision:
    """Is the feature on for this end user of this caller's client application? Raises ``DatabaseError``."""
    return (await _memory().current()).decide(caller.client_id, user, feature)


async def require(caller: Caller, user: str, feature: Feature) -> None:
    """Raises ``VoiceNotEnabled`` unless the feature is on for this end user."""
    decision = await decide(caller, user, feature)
    if not decision.allowed:
        raise decision.refusal()


async def require_for_anybody(caller: Caller, feature: Feature) -> None:
    """Raises ``VoiceNotEnabled`` when the feature is off for every end user, whomever this call may be for."""
    decision = await decide(caller, caller.user, feature)
    if not decision.allowed and decision.is_for_all:
        raise decision.refusal()
