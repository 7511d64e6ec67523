"""Decide in memory whether voice is on for an end user, by rules that are at most ``FRESH_S`` seconds old.

All rules are read from the database together, so a decision costs only a hash and a few look-ups. A change takes effect
in every process within ``FRESH_S``, which matters most for the kill switch. The lists may be long, so they are read
again only when the audit trail has grown, or after ``LISTS_FRESH_S``.

While the database is unavailable, the last rules apply for at most ``VOICE_DATABASE_OUTAGE_S`` seconds. Nobody can
change the rules during that time.

Threads: rules belong to one event loop; ``forget`` may be called from any thread.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Count, Max, Q
from django.utils.translation import gettext_lazy

from core.audit import Change
from core.db_health import UNAVAILABLE_ERRORS, ask
from core.errors import DomainError
from core.identity import Caller
from core.per_loop import PerLoop
from rollout.feature import VOICE, Feature
from rollout.models import ClientShare, CohortMember, Flag, ListedUser
from rollout.percentage import QUEUE, is_within

FRESH_S = 2.0
ACTS_WITHIN_S = 5.0  # promised to operators: reading takes time, and open streams are checked only every few seconds
LISTS_FRESH_S = 60.0  # even if the audit trail has not grown, because rows may have been changed with SQL


class VoiceNotEnabled(DomainError):
    """Raised when a feature is off for an end user."""


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
    KEPT = "kept"  # had this part by its own percentage, before voice was one flag
    OUTSIDE = "outside_percentage"


_REFUSALS = {
    Reason.KILLED: gettext_lazy("Voice is switched off at the moment."),
    Reason.OFF: gettext_lazy("Voice is switched off."),
}


@dataclass(frozen=True)
class Decision:
    """The decision whether an end user has a feature.

    ``reason``: the rule that decided.
    """

    allowed: bool
    reason: Reason

    @property
    def is_for_all(self) -> bool:
        """True if the decision would be the same for every end user."""
        return self.reason in _REFUSALS

    def refusal(self) -> VoiceNotEnabled:
        """Return the error for an end user who does not have the feature.

        The error does not reveal whether the user is on a list.
        """
        return VoiceNotEnabled(str(_REFUSALS.get(self.reason, gettext_lazy("Voice is not enabled for this user yet."))))


@dataclass(frozen=True)
class _Lists:
    """The lists of one flag.

    ``denied``, ``allowed``: pairs of a client application's id (None for any) and an end user's id.
    ``cohort``: end users in the flag's cohorts.
    ``staff``: names of the accounts for which the flag is on; an end user with such a name as id has the feature.
    """

    denied: frozenset[tuple[int | None, str]] = frozenset()
    allowed: frozenset[tuple[int | None, str]] = frozenset()
    cohort: frozenset[str] = frozenset()
    staff: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Share:
    """How far a flag reaches, in per cent of end users.

    ``percent``: in the queue that all parts of voice share.
    ``kept``: in the part's own earlier queue (``Reason.KEPT``).
    """

    percent: Decimal
    kept: Decimal = Decimal(0)


@dataclass(frozen=True)
class _Rule:
    """The rule of one flag.

    ``shares``: the percentages for single client applications, by their ids.
    """

    flag: Flag
    shares: Mapping[int, Share]
    lists: _Lists

    def share(self, client_id: int) -> Share:
        """Return how far the flag reaches among this client application's end users, without the lists."""
        if self.flag.everyone:
            return Share(Decimal(100))
        return self.shares.get(client_id) or Share(self.flag.reach, self.flag.kept_percent or Decimal(0))

    def refuses(self, client_id: int, user: str) -> Reason | None:
        """Return the rule that keeps the feature off for this end user whatever else is set; None if there is none."""
        if self.flag.killed:
            return Reason.KILLED
        if self.flag.everyone is False:
            return Reason.OFF
        return None if self.lists.denied.isdisjoint({(client_id, user), (None, user)}) else Reason.DENIED

    def names(self, client_id: int, user: str) -> Reason | None:
        """Return the rule, other than the percentage, by which this end user has the feature; None if there is none."""
        if self.flag.everyone:
            return Reason.EVERYONE
        if not self.lists.allowed.isdisjoint({(client_id, user), (None, user)}):
            return Reason.ALLOWED
        if user in self.lists.cohort:
            return Reason.COHORT
        return Reason.STAFF if user in self.lists.staff else None


@dataclass(frozen=True)
class PartRules:
    """The rules of voice and of one of its parts. The part's rule can only restrict what the rule of voice allows."""

    voice: _Rule
    part: _Rule

    def decide(self, client_id: int, user: str) -> Decision:
        for rule in (self.voice, self.part):
            if reason := rule.refuses(client_id, user):
                return Decision(False, reason)
        reason = self.voice.names(client_id, user) or self._by_percentage(client_id, user)
        if reason is None or not self._is_in_part(client_id, user):
            return Decision(False, Reason.OUTSIDE)
        return Decision(True, reason)

    def _by_percentage(self, client_id: int, user: str) -> Reason | None:
        if is_within(user, self.voice.share(client_id).percent):
            return Reason.CLIENT if client_id in self.voice.shares else Reason.PERCENTAGE
        return Reason.KEPT if self._is_kept(client_id, user) else None

    def _is_in_part(self, client_id: int, user: str) -> bool:
        if self.part.names(client_id, user) or is_within(user, self.part.share(client_id).percent):
            return True
        return self._is_kept(client_id, user)

    def _is_kept(self, client_id: int, user: str) -> bool:
        kept = self.kept(client_id)
        return kept > 0 and is_within(user, kept, self.part.flag.name)

    def reach(self, client_id: int) -> Decimal:
        """Return the percentage of this client application's end users who have the part by the shared queue."""
        if self.is_off:
            return Decimal(0)
        return min(self.voice.share(client_id).percent, self.part.share(client_id).percent)

    def kept(self, client_id: int) -> Decimal:
        """Return the percentage of this client application's end users who have the part by its earlier queue.

        It is never more than ``reach``. So lowering the percentage of voice or of the part removes these users too.
        """
        return min(self.part.share(client_id).kept, self.reach(client_id))

    @property
    def is_off(self) -> bool:
        """True if voice or the part is off for every end user."""
        return any(rule.flag.killed or rule.flag.everyone is False for rule in (self.voice, self.part))


@dataclass(frozen=True)
class Rules:
    """The rules of all flags, as read from the database.

    ``rules``: by the flag's name.
    ``version``: last id and number of rows of the audit trail, read before everything else.
    ``lists_at``: ``time.monotonic()`` when the lists were read.
    """

    rules: Mapping[str, _Rule]
    version: tuple[int, int]
    lists_at: float

    def decide(self, client_id: int, user: str, feature: str) -> Decision:
        """Decide whether one end user has the feature. A feature without a flag is off."""
        part = self.part(feature)
        return part.decide(client_id, user) if part else Decision(False, Reason.OFF)

    def with_percent(self, name: str, percent: Decimal) -> Rules:
        """Return a copy of these rules in which the flag ``name`` has another percentage."""
        rules = dict(self.rules)
        if rule := rules.get(name):
            flag = copy(rule.flag)
            flag.percent = percent
            rules[name] = replace(rule, flag=flag)
        return replace(self, rules=rules)

    def part(self, feature: str) -> PartRules | None:
        """Return the rules that decide about one part of voice; None if a flag is missing."""
        voice = self.rules.get(VOICE)
        part = self.rules.get(feature)
        return PartRules(voice, part) if voice and part else None


@dataclass(frozen=True)
class Reach:
    """Shares (0 to 1) of a client application's end users who have voice by percentages, without the lists.

    ``any``: share that has at least one part of voice.
    ``parts``: share that has each part.
    """

    any: float
    parts: Mapping[Feature, float]


def reach(rules: Rules, client_id: int) -> Reach:
    """Return the shares of one client application's end users who have voice and each part of it.

    A user's places in different queues are independent. So the share of end users outside two queues is the product of
    the shares outside each of them.
    """
    parts = {}
    widest = 0.0
    without_kept = 1.0
    for feature in Feature:
        rule = rules.part(feature)
        within = float(rule.reach(client_id)) / 100 if rule else 0.0
        kept = float(rule.kept(client_id)) / 100 if rule and feature != QUEUE else 0.0
        parts[feature] = 1 - (1 - within) * (1 - kept)
        widest = max(widest, within)
        without_kept *= 1 - kept
    return Reach(1 - (1 - widest) * without_kept, parts)


def load(known: Rules | None = None) -> Rules:
    """Load the current rules from the database. If no list can have changed, the lists are taken from ``known``."""
    # Rows of the audit trail may be committed out of order, so the last id alone does not show all changes.
    trail = Change.objects.aggregate(last=Max("id"), number=Count("id"))
    version = (trail["last"] or 0, trail["number"])
    flags = list(Flag.objects.all())
    now = time.monotonic()
    if known is not None and known.version == version and now - known.lists_at < LISTS_FRESH_S:
        lists = {name: rule.lists for name, rule in known.rules.items()}
        lists_at = known.lists_at
    else:
        lists = {flag.name: _load_lists(flag) for flag in flags}
        lists_at = now
    return Rules(_rules(flags, lists), version, lists_at)


def load_percentages() -> Rules:
    """Load the rules without the lists, in two queries. They are sufficient for ``reach``."""
    return Rules(_rules(list(Flag.objects.all()), {}), (0, 0), 0.0)


def _rules(flags: Sequence[Flag], lists: Mapping[str, _Lists]) -> dict[str, _Rule]:
    shares: dict[int, dict[int, Share]] = defaultdict(dict)
    for row in ClientShare.objects.all():
        shares[row.flag_id][row.client_id] = Share(row.percent, row.kept_percent)
    return {flag.name: _Rule(flag, shares[flag.pk], lists.get(flag.name, _Lists())) for flag in flags}


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
class _RulesCache:
    """Rules cached for one event loop.

    ``asked_at``: ``time.monotonic()`` when the read of ``rules`` began.
    ``epoch``: value of ``_epoch`` (number of calls of ``forget``) when the read of ``rules`` began.
    ``reading``: the task that reads the rules, shared by all tasks that wait for them.
    """

    rules: Rules | None = None
    asked_at: float = 0.0
    epoch: int = 0
    reading: asyncio.Task[Rules] | None = field(default=None, repr=False)

    async def current(self) -> Rules:
        """Return rules that were read at most ``FRESH_S`` ago or, in an outage of the database, the last known rules.

        Raise ``DatabaseError`` if the last known rules are too old as well.
        """
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
                # In an empty context it belongs to no request, so no request can cancel it or close its connection.
                self.reading = asyncio.create_task(self._read(), context=contextvars.Context())
            await asyncio.shield(self.reading)
        return self.rules

    async def _read(self) -> Rules:
        epoch = _epoch
        asked_at = time.monotonic()
        known = self.rules if self.epoch == epoch else None
        self.rules = await ask(load, known)
        self.epoch = epoch
        self.asked_at = asked_at
        return self.rules


_epoch = 0
_memory = PerLoop(_RulesCache)


def forget() -> None:
    """Make this process read the rules again before its next decision."""
    global _epoch  # one number for all loops and threads
    _epoch += 1


async def decide(caller: Caller, user: str, feature: Feature) -> Decision:
    """Decide whether an end user of the caller's client application has the feature. Raise ``DatabaseError``."""
    return (await _memory().current()).decide(caller.client_id, user, feature)


async def require(caller: Caller, user: str, feature: Feature) -> None:
    """Raise ``VoiceNotEnabled`` unless the feature is on for this end user."""
    decision = await decide(caller, user, feature)
    if not decision.allowed:
        raise decision.refusal()


async def require_for_anybody(caller: Caller, feature: Feature) -> None:
    """Raise ``VoiceNotEnabled`` if the feature is off for every end user.

    This is the check for a call whose end user is not known yet.
    """
    decision = await decide(caller, caller.user, feature)
    if not decision.allowed and decision.is_for_all:
        raise decision.refusal()
