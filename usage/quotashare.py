"""Share of the month's hard limit that is used, as a column that the admin can show and sort by."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import BigIntegerField, Case, F, FloatField, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import Cast, Coalesce, NullIf, TruncMonth

from usage.entry import Measure
from usage.models import Consumption
from usage.plans import MS_PER_MINUTE, Plan, PlanAssignment


def with_share_of_limit(rows: QuerySet[Consumption]) -> QuerySet[Consumption]:
    """Annotate ``share_of_limit``: 1.0 is the whole hard limit of the month's plan; None if there is no limit."""
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
