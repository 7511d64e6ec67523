from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from core.models import ClientApplication
from usage.entry import Measure
from usage.models import Plan, PlanAssignment
from usage.plans import current_plan


def test_the_newest_assignment_that_has_started_applies(chat: ClientApplication, small_plan: Plan) -> None:
    now = timezone.now()
    clients, own, later = (Plan.objects.create(name=name) for name in ("clients", "own", "later"))
    assert current_plan(chat.pk, "aminah") == small_plan
    PlanAssignment.objects.create(client=chat, plan=clients, starts_at=now - timedelta(days=9))
    PlanAssignment.objects.create(client=chat, user="aminah", plan=own, starts_at=now - timedelta(days=5))
    PlanAssignment.objects.create(client=chat, user="aminah", plan=later, starts_at=now + timedelta(days=5))
    history = [(-20, small_plan), (-7, clients), (-3, own), (7, later)]
    for days, plan in history:
        assert current_plan(chat.pk, "aminah", now + timedelta(days=days)) == plan
    assert current_plan(chat.pk, "bala") == clients
    assert current_plan(chat.pk + 1, "aminah") == small_plan


def test_terms_are_converted_to_units(small_plan: Plan) -> None:
    audio, characters = (small_plan.terms[measure] for measure in Measure)
    assert (audio.included, audio.soft, audio.hard, audio.per) == (300_000, 480_000, 600_000, 60_000)
    assert (characters.included, characters.soft, characters.hard, characters.per) == (500, 800, 1000, 1000)


def test_there_can_be_only_one_default_plan(small_plan: Plan) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Plan.objects.create(name="another", is_default=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"included_characters": 10, "hard_characters": 9},
        {"soft_audio_minutes": 10, "hard_audio_minutes": 9},
    ],
)
def test_invalid_limits_are_refused(db, wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Plan(name="wrong", **wrong).full_clean()
