"""Enforce monthly quotas: reserve quota before the work, and count the actual usage when its ledger row is written.

    await quota.check(caller, user, Kind.SPEECH)            # raises QuotaExceeded if the quota is used up
    held = quota.Reservation(Kind.SPEECH)
    await held.reserve(caller, user, units=len(text))       # before the work, and again if more units are needed
    Entry(..., reservation=held.key)                        # writing the entry frees the reservation and counts usage

Quotas are counted in units: milliseconds of audio or characters of text. A quota is full when the used and the reserved
units together reach the plan's hard limit. If the amount of work is not known in advance, as for a stream, reserve a
few units at first, and more as the work goes on.

``check`` uses the plan and the usage that this process has cached for at most ``REMEMBERED_S`` seconds. ``reserve``
queries the database (``usage.reservations``) and is exact. ``gateway.error_mapping`` turns ``QuotaExceeded`` into a
response with HTTP status 429.

While the database is unavailable, the process uses the last usage that it has read, for at most
``VOICE_DATABASE_OUTAGE_S`` seconds. ``OfflineQuota`` counts the units that are granted during this time.
"""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial

from cachetools import TTLCache
from django.conf import settings
from django.db.models import QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.cached_lookups import SharedLookup
from core.context import current
from core.db_health import UNAVAILABLE_ERRORS
from core.errors import DomainError
from core.identity import Caller
from core.per_loop import PerLoop
from usage.entry import Kind, Measure
from usage.ledger_writer import ledger
from usage.models import Consumption
from usage.period import end_of_month, month_of
from usage.plans import UNLIMITED, Plan, Terms, plan_at
from usage.reservations import Claim, free_stale, release

REMEMBERED_S = 2.0
REMEMBERED_ACCOUNTS = 20_000
MARGIN_S = 60.0  # time from the work's deadline to the expiry of its reservation; expiry means that the process died
RETRY_WHEN_HELD_S = 2.0  # Retry-After if other requests have reserved the missing units and will soon release them

_NAMES = {Measure.AUDIO: ("Audio-Seconds", 1000), Measure.CHARACTERS: ("Characters", 1)}
_WORDS = {Measure.AUDIO: gettext_lazy("speech-to-text"), Measure.CHARACTERS: gettext_lazy("text-to-speech")}
_HEADER_WORDS = {Measure.AUDIO: "speech-to-text", Measure.CHARACTERS: "text-to-speech"}


class QuotaExceeded(DomainError):
    """Raised when too little of an end user's monthly quota is left for the work."""


@dataclass(frozen=True)
class QuotaStatus:
    """The state of an end user's quota for one measure in a month. Units are milliseconds of audio, or characters.

    ``used``: number of used units.
    ``reserved``: number of units reserved by work under way.
    """

    terms: Terms
    measure: Measure
    used: int
    reserved: int

    @property
    def remaining(self) -> int | None:
        """The number of units that are neither used nor reserved; None without a limit."""
        return None if self.terms.hard is None else max(0, self.terms.hard - self.used - self.reserved)

    @property
    def is_near(self) -> bool:
        """Whether the used and reserved units have reached the plan's soft limit."""
        return self.terms.soft is not None and self.used + self.reserved >= self.terms.soft

    def headers(self) -> dict[str, str]:
        """Return the response headers: limit, remaining amount, and a warning if the soft limit has been reached.

        Amounts of audio are in seconds. Without a hard limit, there are no headers.
        """
        name, per = _NAMES[self.measure]
        if self.terms.hard is None or self.remaining is None:
            return {}
        headers = {
            f"X-Voice-Quota-Limit-{name}": str(self.terms.hard // per),
            f"X-Voice-Quota-Remaining-{name}": str(self.remaining // per),
        }
        if self.is_near:
            share = 100 * (self.used + self.reserved) // max(1, self.terms.hard)
            headers["X-Voice-Quota-Warning"] = f"{share} % of this month's {_HEADER_WORDS[self.measure]} quota is used"
        return headers

    def refusal(
        self, units: int = 1, *, held: int = 0, held_in_used: int = 0, now: datetime | None = None
    ) -> QuotaExceeded:
        """Return the error for work that needs ``units`` units in total, but cannot reserve them.

        Its ``retry_after_s`` is short if only other requests' reservations are in the way. Otherwise it lasts until the
        month's end.

        ``held``: how many of the units are already reserved for this work.
        ``held_in_used``: how many of the held units are included in ``used``.
        """
        now = now or timezone.now()
        if self.terms.hard is not None and self.used - held_in_used + units <= self.terms.hard:
            message = _("Your other requests hold the rest of this month's {kind} quota. Try again.")
            return QuotaExceeded(message.format(kind=_WORDS[self.measure]), retry_after_s=RETRY_WHEN_HELD_S)
        month = month_of(now)
        ends_in_s = (end_of_month(month) - now).total_seconds()
        return QuotaExceeded(self._shortage(units - held), retry_after_s=ends_in_s)

    def _shortage(self, needed: int) -> str:
        """Return a message that says how much is needed and how much is left, or that nothing is left."""
        left = self.remaining or 0
        if self.measure is Measure.AUDIO:
            left_s = math.floor(left / 100) / 10
            if left_s:
                message = _(
                    "This request needs {needed} s of audio, "
                    "but this month's speech-to-text quota has only {left} s left."
                )
                return message.format(needed=f"{math.ceil(needed / 100) / 10:,}", left=f"{left_s:,}")
        elif left:
            message = _(
                "This request needs {needed} characters, but this month's text-to-speech quota has only {left} left."
            )
            return message.format(needed=f"{needed:,}", left=f"{left:,}")
        return _("This month's {kind} quota is used up.").format(kind=_WORDS[self.measure])


@dataclass(frozen=True)
class Account:
    """The plan and the quotas of an end user in a month."""

    plan: Plan | None
    month: date
    quotas: Mapping[Measure, QuotaStatus]


def load(client_id: int, user: str) -> Account:
    """Return an end user's account from the database. If a quota is full, free its expired reservations first."""
    now = timezone.now()
    month = month_of(now)
    consumption = Consumption.objects.filter(client_id=client_id, user=user, month=month)
    plan, counted = _plan_and_counts(plan_at(client_id, user, now), consumption)
    quotas = {}
    for measure, terms in (plan.terms if plan else UNLIMITED).items():
        used, reserved = counted[measure]
        if reserved and terms.hard is not None and used + reserved >= terms.hard:
            reserved -= free_stale(consumption.get(measure=measure.value))
        quotas[measure] = QuotaStatus(terms, measure, used, reserved)
    return Account(plan, month, quotas)


def _plan_and_counts(
    plans: QuerySet[Plan], consumption: QuerySet[Consumption]
) -> tuple[Plan | None, Mapping[Measure, tuple[int, int]]]:
    """Return the plan, and the used and reserved units by measure.

    This function runs for every request, so it makes only one query if the end user has a plan.
    """
    names = [(measure, column) for measure in Measure for column in ("used", "reserved")]
    columns = {
        f"{measure.value}_{column}": Coalesce(Subquery(consumption.filter(measure=measure.value).values(column)[:1]), 0)
        for measure, column in names
    }
    plan = plans.annotate(**columns).first()
    if plan is None:
        counts = {Measure(row.measure): (row.used, row.reserved) for row in consumption}
        return None, {measure: counts.get(measure, (0, 0)) for measure in Measure}
    return plan, {
        measure: (getattr(plan, f"{measure.value}_used"), getattr(plan, f"{measure.value}_reserved"))
        for measure in Measure
    }


class OfflineQuota:
    """Grants units while the database is unavailable, up to the number that remained in the last account read."""

    def __init__(self) -> None:
        self._granted: TTLCache[tuple[int, str, Measure], tuple[QuotaStatus, int]]
        self._granted = TTLCache(REMEMBERED_ACCOUNTS, settings.VOICE_DATABASE_OUTAGE_S)

    def forget(self) -> None:
        self._granted.clear()

    def grant(self, client_id: int, user: str, status: QuotaStatus, units: int) -> bool:
        """Grant ``units`` if enough units remain. Return True if they were granted.

        Earlier grants are subtracted only if they were based on the same ``status`` object. A newer object was read
        from the database, so its numbers include those grants.

        ``status``: the last status that was read from the database.
        """
        counted = self.counted(client_id, user, status)
        if counted.remaining is not None and units > counted.remaining:
            return False
        self._granted[client_id, user, status.measure] = status, counted.used - status.used + units
        return True

    def counted(self, client_id: int, user: str, status: QuotaStatus) -> QuotaStatus:
        """Return ``status`` with the earlier grants counted as used."""
        known, granted = self._granted.get((client_id, user, status.measure), (status, 0))
        return replace(status, used=status.used + granted) if known is status else status


_accounts: PerLoop[SharedLookup[Account]] = PerLoop(lambda: SharedLookup(REMEMBERED_ACCOUNTS, REMEMBERED_S))
_offline_quota: PerLoop[OfflineQuota] = PerLoop(OfflineQuota)


async def account(caller: Caller, user: str) -> Account:
    """Return the end user's account, cached for at most ``REMEMBERED_S`` seconds.

    While the database is unavailable, return the last known account. Raise ``DatabaseError`` if no account is known.
    """
    return await _accounts().get(f"{caller.client_id} {user}", partial(load, caller.client_id, user))


def forget() -> None:
    """Clear this event loop's cache, so that the next call reads the database."""
    _accounts().forget()
    _offline_quota().forget()


async def refusal(caller: Caller, user: str, kind: Kind) -> QuotaExceeded | None:
    """Return the error that a request of this kind would get now; None if its quota is not used up."""
    status = (await account(caller, user)).quotas[kind.measure]
    return status.refusal() if status.remaining == 0 else None


async def check(caller: Caller, user: str, kind: Kind) -> None:
    """Raise ``QuotaExceeded`` if the quota is full. Otherwise add the quota's headers to the current response."""
    error = await refusal(caller, user, kind)
    if error is not None:
        raise error
    _tell((await account(caller, user)).quotas[kind.measure])


class Reservation:
    """Quota reserved for one piece of work.

    ``key``: id of the reservation; "" while nothing is reserved, for example because the plan has no limit.
    """

    def __init__(self, kind: Kind) -> None:
        self._measure = kind.measure
        self._holder: tuple[int, str] | None = None
        self._units = 0
        self._granted_offline = 0  # the part of ``_units`` that ``OfflineQuota`` granted
        self._month: date | None = None  # month of the first claim; all units are reserved and freed in this month
        self._expires_at: datetime | None = None
        self.key = ""

    async def reserve(self, caller: Caller, user: str, *, units: int) -> None:
        """Reserve ``units`` units in total, including the units that this reservation already holds.

        Do nothing if the plan has no limit, or if the reservation already holds enough units and does not expire soon.
        Raise ``QuotaExceeded`` if too few units are left; the reservation then keeps the units that it holds. Raise
        ``DatabaseError`` if the database is unavailable and the end user's account is not known.
        """
        if self._holder not in (None, (caller.client_id, user)):
            await self.let_go()
        if units <= self._units and not self._is_short_lived():
            return
        known = await account(caller, user)
        status = known.quotas[self._measure]
        if status.terms.hard is None:
            return
        self._month = self._month or known.month
        await self._claim(caller, user, max(units, self._units), self._month, status)

    async def let_go(self) -> None:
        """Free the reserved units without writing a ledger row."""
        key = self.key
        self.key = ""
        self._units = self._granted_offline = 0
        self._holder = None
        self._month = None
        if key:
            await ledger().run(lambda: release(key))

    async def _claim(self, caller: Caller, user: str, units: int, month: date, status: QuotaStatus) -> None:
        hard = status.terms.hard
        assert hard is not None
        lasts = timedelta(seconds=settings.VOICE_DEADLINE_S + MARGIN_S)
        key = self.key or uuid.uuid4().hex
        expires_at = timezone.now() + lasts
        claim = Claim(caller.client_id, user, month, self._measure, key, units, hard, expires_at, is_first=not self.key)
        # Set the key before the outcome is known, so that the ledger row frees the units if the client disconnects now.
        self.key = key
        self._holder = (caller.client_id, user)
        try:
            outcome = await asyncio.shield(asyncio.ensure_future(ledger().reserve(claim)))
        except UNAVAILABLE_ERRORS:
            if not _offline_quota().grant(caller.client_id, user, status, units - self._units):
                counted = _offline_quota().counted(caller.client_id, user, status)
                raise counted.refusal(units, held=self._units, held_in_used=self._granted_offline) from None
            self._granted_offline += units - self._units
            self._units = units
            self._expires_at = expires_at
            return
        status = QuotaStatus(status.terms, self._measure, outcome.used, outcome.reserved)
        if not outcome.granted:
            raise status.refusal(units, held=self._units)
        self._units = units
        self._expires_at = expires_at
        _tell(status)

    def _is_short_lived(self) -> bool:
        """Return True if less than half of the reservation's lifetime is left, so that long work renews it in time."""
        half = timedelta(seconds=(settings.VOICE_DEADLINE_S + MARGIN_S) / 2)
        return self._expires_at is not None and timezone.now() > self._expires_at - half


def _tell(status: QuotaStatus) -> None:
    current().headers.update(status.headers())
