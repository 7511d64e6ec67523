"""Usage tables: the append-only ledger with one row per request, open streams, users' feedback, and chat users.

The app's other models are in separate modules, for example ``usage.plans`` and ``usage.rollups``.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Count, Q, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from core.append_only import AppendOnlyModel, AppendOnlyQuerySet
from core.errors import DomainError
from core.identity import Caller
from core.models import ClientApplication
from usage.cost import InfrastructureCost
from usage.entry import CHARGED_STATUSES, Kind, Measure
from usage.exchange_rates import ExchangeRate
from usage.fields import DayOfRequest
from usage.plans import Plan, PlanAssignment
from usage.rollups import (
    CohortWeek,
    Consumption,
    DailyActive,
    DailyLatency,
    DailyMix,
    DailyUse,
    ReservedQuota,
    UserWeek,
)
from usage.statements import CreditNote, Statement, StatementLine

__all__ = [
    "KINDS",
    "ChatUsers",
    "CohortWeek",
    "Consumption",
    "Correction",
    "CreditNote",
    "DailyActive",
    "DailyLatency",
    "DailyMix",
    "DailyUse",
    "ExchangeRate",
    "InfrastructureCost",
    "LedgerEntry",
    "OpenStream",
    "Plan",
    "PlanAssignment",
    "Rating",
    "ReservedQuota",
    "Statement",
    "StatementLine",
    "UserWeek",
]

KINDS = [(kind.value, kind.name.capitalize()) for kind in Kind]


class NoSuchRequest(DomainError):
    """Raised when there is no successful request with the given id and kind."""


class RequestOfAnotherUser(DomainError):
    """Raised when the request was made by another end user."""


class LedgerQuerySet(AppendOnlyQuerySet["LedgerEntry"]):
    async def found(self, request_id: str, *kinds: Kind, caller: Caller) -> LedgerEntry:
        """Return the newest successful request of the caller's end user that has this id and one of these kinds.

        Raise ``RequestOfAnotherUser`` if only other end users have made a successful request with this id and kind, and
        ``NoSuchRequest`` if nobody has.
        """
        rows = self.filter(request_id=request_id, kind__in=kinds, status=200)
        mine = await rows.of(caller).afirst()
        if mine is not None:
            return mine
        if await rows.aexists():
            raise RequestOfAnotherUser(_("This request was made by somebody else."))
        raise NoSuchRequest(_("There is no such request: {request_id}.").format(request_id=request_id))

    def since(self, moment: datetime) -> LedgerQuerySet:
        return self.filter(created_at__gte=moment)

    def totals_by_kind(self) -> models.QuerySet[LedgerEntry, Any]:
        """Return the number of requests, the number of failed requests and the charged amounts, by kind."""
        charged = Q(status__in=CHARGED_STATUSES)
        request = Q(counters=None)
        return (
            self.order_by("kind")
            .values("kind")
            .annotate(
                requests=Count("id", filter=request),
                failed=Count("id", filter=request & ~Q(status=200)),
                audio_ms=Sum("audio_ms", filter=charged, default=0),
                characters=Sum("characters", filter=charged, default=0),
            )
        )

    def of(self, caller: Caller) -> LedgerQuerySet:
        """Return the rows of the caller's end user.

        Two client applications may use the same id for different end users, so the client application must match too.
        """
        return self.filter(client_id=caller.client_id, user=caller.user)


class LedgerEntry(AppendOnlyModel):
    """One request for speech recognition or synthesis, whatever its outcome. For the fields, see ``usage.entry.Entry``.

    The amounts of a row are never changed. To correct a mistake, staff add a counter-entry (``usage.counter_entry``): a
    row with a negative amount, whose ``counters`` field refers to the original row. Both rows have the same time, so
    the totals of every period are correct.
    """

    # The id is not unique, because a caller may send the same id twice.
    request_id = models.CharField(max_length=128, db_index=True)
    kind = models.CharField(max_length=16, choices=KINDS)
    client = models.ForeignKey(ClientApplication, on_delete=models.PROTECT, related_name="+")
    user = models.CharField(max_length=200)
    model = models.CharField(max_length=200, blank=True)
    voice = models.CharField(max_length=200, blank=True)
    language = models.CharField(max_length=35, blank=True)
    audio_ms = models.BigIntegerField(default=0)
    characters = models.IntegerField(default=0)
    queue_ms = models.PositiveIntegerField(default=0)
    total_ms = models.PositiveIntegerField(default=0)
    status = models.PositiveSmallIntegerField()
    error_code = models.CharField(max_length=64, blank=True)
    is_live = models.BooleanField(
        default=False, help_text="A stream over a socket, whose total time is not a response time."
    )
    created_at = models.DateTimeField(default=timezone.now, db_index=True, editable=False)
    counters = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="counter_entries",
        help_text="The row that this one takes back, in part or in full.",
    )
    note = models.CharField(
        max_length=300, blank=True, help_text="For a counter-entry: the day, who wrote it, and why."
    )
    settlement = models.CharField(  # noqa: DJ001 - NULL, unlike "", may occur often in a unique column
        max_length=32,
        null=True,
        editable=False,
        help_text="The ledger has at most one row with this id.",
    )

    objects = LedgerQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["client", "user", "created_at"], name="ledger_user_month")]
        constraints = [models.UniqueConstraint(fields=["settlement"], name="ledger_settled_once")]
        verbose_name_plural = "ledger entries"

    def __str__(self) -> str:
        return f"{self.kind} {self.request_id}"

    @property
    def is_charged(self) -> bool:
        return self.status in CHARGED_STATUSES

    @property
    def measure(self) -> Measure:
        return Kind(self.kind).measure

    @property
    def units(self) -> int:
        """The milliseconds or characters that quotas and statements count for this row; 0 if the row is not charged."""
        if not self.is_charged:
            return 0
        return self.characters if self.measure is Measure.CHARACTERS else self.audio_ms


class OpenStream(models.Model):
    """A checkpoint: the usage so far of a stream that is still open (see ``usage.checkpoints``).

    ``entry``: this usage, as the fields of ``usage.entry.Entry``.
    """

    key = models.CharField(max_length=32, primary_key=True)
    entry = models.JSONField()
    noted_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key


class Correction(models.Model):
    """A user's correction of a transcript. Only the word error rate is stored; neither of the two texts is."""

    entry = models.OneToOneField(LedgerEntry, on_delete=models.PROTECT, related_name="correction")
    day = DayOfRequest()
    word_error_rate = models.FloatField(validators=[MinValueValidator(0.0)])
    reference_words = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.entry}: {self.word_error_rate:.1%}"


class Rating(models.Model):
    """A listener's rating of synthesised speech, from 1 to 5. The mean of all ratings is the mean opinion score."""

    entry = models.OneToOneField(LedgerEntry, on_delete=models.PROTECT, related_name="rating")
    day = DayOfRequest()
    score = models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(5)])
    created_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(score__range=(1, 5)), name="rating_score_1_to_5")]

    def __str__(self) -> str:
        return f"{self.entry}: {self.score}"


class ChatUsers(models.Model):
    """The number of a client application's chat users on one day, as entered by staff.

    The service cannot count all chat users itself, because it sees only those who use voice. Rows are never changed, to
    keep a history. A wrong row is deleted.
    """

    client = models.ForeignKey(ClientApplication, on_delete=models.PROTECT, related_name="+")
    day = models.DateField("as of", default=timezone.localdate)
    users = models.PositiveIntegerField("chat users", validators=[MinValueValidator(1)])
    note = models.CharField(max_length=200, blank=True, help_text="Where the number comes from.")

    class Meta:
        ordering = ["-day", "client"]
        constraints = [models.UniqueConstraint(fields=["client", "day"], name="chat_users_once_a_day")]
        verbose_name_plural = "chat users"

    def __str__(self) -> str:
        return f"{self.client}: {self.users:,}"

    @classmethod
    def known_on(cls, day: date) -> dict[int, ChatUsers]:
        """Return each client application's newest row on or before ``day``, keyed by the application's id."""
        rows = cls.objects.filter(day__lte=day).select_related("client").order_by("day", "pk")
        return {row.client_id: row for row in rows}
