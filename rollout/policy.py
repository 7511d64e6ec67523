"""Decide whether voice is on for an end user, by rules in memory that are at most ``FRESH_S`` seconds old.

Each process keeps all rules in memory, so a decision costs only a hash and a few look-ups. A change, such as setting
the kill switch, takes effect in every process within about ``FRESH_S`` seconds. Allow-lists, deny-lists and cohorts may
be long, so they are read again only if the audit trail has grown, or after ``LISTS_FRESH_S`` seconds.

While the database is unavailable, the last rules apply for at most ``VOICE_DATABASE_OUTAGE_S`` seconds. Nobody can
change the rules during that time.

Threads: the cached rules belong to one event loop. ``forget`` may be called in any thread.
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
ACTS_WITHIN_S = 5.0  # promised to operators; includes the time to read, and the interval of checks of open streams
LISTS_FRESH_S = 60.0  # needed because a change with plain SQL adds no row to the audit trail


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
    KEPT = "kept"  # the user had this part by the part's own percentage, before there was one flag for voice
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
        """Whether the decision is the same for every end user."""
        return self.reason in _REFUSALS

    def refusal(self) -> VoiceNotEnabled:
        """Return the error for an end user who does not have the feature.

        The error's message does not reveal whether the user is on a list.
        """
        return VoiceNotEnabled(str(_REFUSALS.get(self.reason, gettext_lazy("Voice is not enabled for this user yet."))))


@dataclass(frozen=True)
class _Lists:
    """The lists of one flag.

    ``denied``, ``allowed``: pairs of a client application's id (None for any) and an end user's id.
    ``cohort``: end users in the flag's cohorts.
    ``staff``: names of accounts of this service for which the flag is on. End users with one of these names as their id
    have the feature.
    """

    denied: frozenset[tuple[int | None, str]] = frozenset()
    allowed: frozenset[tuple[int | None, str]] = frozenset()
    cohort: frozenset[str] = frozenset()
    staff: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Share:
    """Percentages of end users whom a flag selects.

    ``percent``: percentage in the queue that all parts of voice share.
    ``kept``: percentage in the queue that the part had before all parts shared one (``Reason.KEPT``).
    """

    percent: Decimal
    kept: Decimal = Decimal(0)


@dataclass(frozen=True)
class _Rule:
    """One flag with its lists and percentages.

    ``shares``: percentages for single client applications, by id of the application.
    """

    flag: Flag
    shares: Mapping[int, Share]
    lists: _Lists

    def share(self, client_id: int) -> Share:
        """Return the percentages of this client application's end users whom the flag selects, not counting lists."""
        if self.flag.everyone:
            return Share(Decimal(100))
        return self.shares.get(client_id) or Share(self.flag.reach, self.flag.kept_percent or Decimal(0))

    def refuses(self, client_id: int, user: str) -> Reason | None:
        """Return why the feature is off for this end user regardless of all other rules; None if it may be on."""
        if self.flag.killed:
            return Reason.KILLED
        if self.flag.everyone is False:
            return Reason.OFF
        return None if self.lists.denied.isdisjoint({(client_id, user), (None, user)}) else Reason.DENIED

    def names(self, client_id: int, user: str) -> Reason | None:
        """Return why the feature is on for this end user at any percentage; None if the percentage decides."""
        if self.flag.everyone:
            return Reason.EVERYONE
        if not self.lists.allowed.isdisjoint({(client_id, user), (None, user)}):
            return Reason.ALLOWED
        if user in self.lists.cohort:
            return Reason.COHORT
        return Reason.STAFF if user in self.lists.staff else None


@dataclass(frozen=True)
class PartRules:
    """The rules for one part of voice. An end user has the part only if the rule of voice allows it as well."""

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
        """Return the percentage of this client application's end users whom the shared queue selects for the part."""
        if self.is_off:
            return Decimal(0)
        return min(self.voice.share(client_id).percent, self.part.share(client_id).percent)

    def kept(self, client_id: int) -> Decimal:
        """Return the percentage of this client application's end users whom the part's earlier queue selects.

        The result is never more than ``reach``, so lowering the percentage of voice or of the part can lower it too.
        """
        return min(self.part.share(client_id).kept, self.reach(client_id))

    @property
    def is_off(self) -> bool:
        """Whether voice or the part is off for every end user."""
        return any(rule.flag.is_off for rule in (self.voice, self.part))


@dataclass(frozen=True)
class Rules:
    """The rules of all flags, as read from the database.

    ``rules``: rules by name of the flag.
    ``version``: last id and number of rows of the audit trail, which are read before the rules.
    ``lists_at``: time at which the lists were read, in seconds of ``time.monotonic()``.
    """

    rules: Mapping[str, _Rule]
    version: tuple[int, int]
    lists_at: float

    def decide(self, client_id: int, user: str, feature: str) -> Decision:
        """Return the decision whether an end user has the feature. A feature without a flag is off."""
        part = self.part(feature)
        return part.decide(client_id, user) if part else Decision(False, Reason.OFF)

    def with_percent(self, name: str, percent: Decimal) -> Rules:
        """Return a copy of these rules in which the flag ``name`` has the percentage ``percent``."""
        rules = dict(self.rules)
        if rule := rules.get(name):
            flag = copy(rule.flag)
            flag.percent = percent
            rules[name] = replace(rule, flag=flag)
        return replace(self, rules=rules)

    def part(self, feature: str) -> PartRules | None:
        """Return the rules for one part of voice; None if its flag, or the flag of voice, is missing."""
        voice = self.rules.get(VOICE)
        part = self.rules.get(feature)
        return PartRules(voice, part) if voice and part else None


@dataclass(frozen=True)
class Reach:
    """Shares (0 to 1) of a client application's end users who have voice by percentages, not counting lists.

    ``any``: share of users who have at least one part of voice.
    ``parts``: share of users who have each part, by part.
    """

    any: float
    parts: Mapping[Feature, float]


def reach(rules: Rules, client_id: int) -> Reach:
    """Return the shares of one client application's end users who have voice and each part of voice.

    A user's places in two queues are independent, so the shares of users whom the queues do not select are multiplied.
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
    """Return the current rules from the database. If the audit trail shows no change, take the lists from ``known``."""
    # Rows of the audit trail may be committed out of order, so the last id alone does not reveal every change.
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
    """Return the current rules without the lists, from two queries. This is enough for ``reach``."""
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

    ``asked_at``: time at which the reading of ``rules`` began, in seconds of ``time.monotonic()``.
    ``epoch``: value of ``_epoch`` (number of calls of ``forget``) at that time.
    ``reading``: the task that reads the rules. All tasks that need the rules wait for it.
    """

    rules: Rules | None = None
    asked_at: float = 0.0
    epoch: int = 0
    reading: asyncio.Task[Rules] | None = field(default=None, repr=False)

    async def current(self) -> Rules:
        """Return rules that are at most ``FRESH_S`` seconds old.

        While the database is unavailable, return the last rules that were read. Raise ``DatabaseError`` if there are
        none, if ``forget`` has been called since, or if they are older than ``VOICE_DATABASE_OUTAGE_S`` seconds.
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
                # The empty context separates the task from the request that starts it, so that this request can
                # neither cancel the task nor close its database connection.
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
    global _epoch  # all loops and threads share this number
    _epoch += 1


async def decide(caller: Caller, user: str, feature: Feature) -> Decision:
    """Return the decision whether an end user of the caller's client application has the feature.

    Raise ``DatabaseError`` if the database has been unavailable for too long.
    """
    return (await _memory().current()).decide(caller.client_id, user, feature)


async def require(caller: Caller, user: str, feature: Feature) -> None:
    """Raise ``VoiceNotEnabled`` unless the feature is on for this end user."""
    decision = await decide(caller, user, feature)
    if not decision.allowed:
        raise decision.refusal()


async def require_for_anybody(caller: Caller, feature: Feature) -> None:
    """Raise ``VoiceNotEnabled`` if the feature is off for every end user.

    Use this check for a call whose end user is not yet known.
    """
    decision = await decide(caller, caller.user, feature)
    if not decision.allowed and decision.is_for_all:
        raise decision.refusal()
