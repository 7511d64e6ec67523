"""Plans with included usage, limits and prices, and the history of plan assignments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import BigIntegerField, Case, F, FloatField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Cast, Coalesce, NullIf, TruncMonth
from django.utils import timezone

from core.audit import Audited
from core.models import ClientApplication
from usage.entry import Measure
from usage.rollups import Consumption

MS_PER_MINUTE = 60_000
CHARACTERS_PER_PRICE = 1000


@dataclass(frozen=True)
class Terms:
    """Terms of a plan for one measure, per end user and month. Units are milliseconds or characters.

    ``included``: number of units that are free of charge.
    ``soft``: number of used units from which responses carry a warning; None: no warning.
    ``hard``: maximum number of used units; None: no limit.
    ``price_micros``: price of ``per`` units beyond ``included``, in millionths of a ringgit.
    ``per``: number of units that ``price_micros`` pays for.
    """

    included: int
    soft: int | None
    hard: int | None
    price_micros: int
    per: int


UNLIMITED = {
    Measure.AUDIO: Terms(0, None, None, 0, MS_PER_MINUTE),
    Measure.CHARACTERS: Terms(0, None, None, 0, CHARACTERS_PER_PRICE),
}


class Plan(Audited):
    """A plan: the included usage, the limits and the prices that apply to each end user in each month.

    The fields for audio apply to speech to text, and the fields for characters to text to speech.
    """

    recorded = (
        "name",
        "description",
        "is_default",
        "included_audio_minutes",
        "soft_audio_minutes",
        "hard_audio_minutes",
        "micros_per_audio_minute",
        "included_characters",
        "soft_characters",
        "hard_characters",
        "micros_per_1000_characters",
    )

    name = models.SlugField(max_length=64, unique=True)
    description = models.CharField(max_length=200, blank=True)
    is_default = models.BooleanField(
        default=False, help_text="For everyone who has no other plan. Without a default plan, they are not limited."
    )
    included_audio_minutes = models.PositiveIntegerField(default=0)
    soft_audio_minutes = models.PositiveIntegerField(
        null=True, blank=True, help_text="From this amount on, responses carry a warning."
    )
    hard_audio_minutes = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Beyond this amount, requests are refused until the month ends. Empty: no limit.",
    )
    micros_per_audio_minute = models.PositiveBigIntegerField(
        default=0, verbose_name="price per minute beyond", help_text="Millionths of a ringgit: 50000 is 5 sen."
    )
    included_characters = models.PositiveIntegerField(default=0)
    soft_characters = models.PositiveIntegerField(
        null=True, blank=True, help_text="From this amount on, responses carry a warning."
    )
    hard_characters = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Beyond this amount, requests are refused until the month ends. Empty: no limit.",
    )
    micros_per_1000_characters = models.PositiveBigIntegerField(
        default=0, verbose_name="price per 1,000 characters beyond", help_text="Millionths of a ringgit."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"],
                condition=Q(is_default=True),
                name="one_default_plan",
                violation_error_message="Another plan is already the default.",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        for what in ("audio_minutes", "characters"):
            included, soft, hard = (getattr(self, f"{part}_{what}") for part in ("included", "soft", "hard"))
            if hard is not None and included is not None and hard < included:
                raise ValidationError({f"hard_{what}": "The hard limit is below the included amount."})
            if hard is not None and soft is not None and hard < soft:
                raise ValidationError({f"soft_{what}": "The soft limit is above the hard limit."})

    @property
    def terms(self) -> dict[Measure, Terms]:
        minute = MS_PER_MINUTE
        return {
            Measure.AUDIO: Terms(
                self.included_audio_minutes * minute,
                None if self.soft_audio_minutes is None else self.soft_audio_minutes * minute,
                None if self.hard_audio_minutes is None else self.hard_audio_minutes * minute,
                self.micros_per_audio_minute,
                minute,
            ),
            Measure.CHARACTERS: Terms(
                self.included_characters,
                self.soft_characters,
                self.hard_characters,
                self.micros_per_1000_characters,
                CHARACTERS_PER_PRICE,
            ),
        }


class PlanAssignment(Audited):
    """Assignment of a plan to an end user, or to all end users of a client application, from a given time.

    The latest assignment that has started applies. An end user's own assignment takes precedence over that of the
    client application. To keep a history, rows are never edited. Only the erasure of an end user changes them: it
    replaces the id and empties the note (``usage.personal_data``).
    """

    recorded = ("plan", "starts_at", "note")

    client = models.ForeignKey(ClientApplication, on_delete=models.PROTECT, related_name="+")
    user = models.CharField(
        "end user",
        max_length=200,
        blank=True,
        help_text="Empty: everyone of this client application who has no plan of their own.",
    )
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="assignments")
    starts_at = models.DateTimeField(
        default=timezone.now,
        help_text="The plan applies to the whole month in which it starts. So a smaller plan should start on the 1st.",
    )
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-starts_at", "-id"]
        indexes = [models.Index(fields=["client", "user", "-starts_at"], name="plan_of_user")]

    def __str__(self) -> str:
        return f"{self.client}{f': {self.user}' if self.user else ''}: {self.plan}"


class EffectivePlans:
    """The plans that apply to a client application's end users at a given time."""

    def __init__(self, client_id: int, moment: datetime, *, user: str | None = None) -> None:
        """Load the assignments of all end users; if ``user`` is given, only those that apply to this end user."""
        started = PlanAssignment.objects.filter(client_id=client_id, starts_at__lte=moment)
        if user is not None:
            started = started.filter(user__in=[user, ""])
        rows = started.select_related("plan").order_by("starts_at", "id")
        self._plans: dict[str, Plan] = {row.user: row.plan for row in rows}
        self._default = self._plans.get("") or Plan.objects.filter(is_default=True).first()

    def plan_of(self, user: str) -> Plan | None:
        return self._plans.get(user) or self._default

    def terms_of(self, user: str) -> Mapping[Measure, Terms]:
        plan = self.plan_of(user)
        return plan.terms if plan else UNLIMITED


def plan_at(client_id: int, user: str, moment: datetime) -> QuerySet[Plan]:
    """Return a query set with the end user's plan at ``moment``; it is empty if the end user has no plan."""
    newest = PlanAssignment.objects.filter(client_id=client_id, starts_at__lte=moment).order_by("-starts_at", "-id")
    own, clients = (Subquery(newest.filter(user=whose).values("plan")[:1]) for whose in (user, ""))
    default = Subquery(Plan.objects.filter(is_default=True).values("pk")[:1])
    return Plan.objects.filter(pk=Coalesce(own, clients, default))


def with_share_of_limit(rows: QuerySet[Consumption]) -> QuerySet[Consumption]:
    """Annotate each row with ``share_of_limit``, the used share of the month's hard limit.

    The share is at least 1.0 once the limit has been reached, and None if there is no limit or it is 0.
    """
    until_then = PlanAssignment.objects.annotate(starts_in=TruncMonth("starts_at")).filter(
        client=OuterRef("client"), starts_in__date__lte=OuterRef("month")
    )
    newest = until_then.order_by("-starts_at", "-id").values("plan")
    default = Plan.objects.filter(is_default=True).values("pk")
    plan = Coalesce(
        Subquery(newest.filter(user=OuterRef("user"))[:1]),
        Subquery(newest.filter(user="")[:1]),
        Subquery(default[:1]),
        output_field=BigIntegerField(),
    )
    with_plan: Any = rows.annotate(plan_of_month=plan)
    limits = Plan.objects.filter(pk=OuterRef("plan_of_month"))
    limit = Case(
        When(measure=Measure.AUDIO, then=Subquery(limits.values("hard_audio_minutes")[:1]) * Value(MS_PER_MINUTE)),
        default=Subquery(limits.values("hard_characters")[:1]),
        output_field=FloatField(),
    )
    used = Cast(F("used"), FloatField()) / NullIf(limit, Value(0.0))
    return cast("QuerySet[Consumption]", with_plan.annotate(share_of_limit=used))


def current_plan(client_id: int, user: str, moment: datetime | None = None) -> Plan | None:
    return plan_at(client_id, user, moment or timezone.now()).first()


def as_json(plan: Plan | None) -> dict[str, Any] | None:
    return {"id": plan.name, "description": plan.description} if plan else None
