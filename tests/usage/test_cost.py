from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError

from core.quantities import MICROS
from tests.usage.ledgers import Fill
from usage.cost import InfrastructureCost, month_cost
from usage.entry import Kind
from usage.targets import TARGETS, TARGETS_OF, Metric, Verdict

KL = ZoneInfo("Asia/Kuala_Lumpur")
JUNE = datetime(2026, 6, 1, tzinfo=KL)  # has 30 days
MIDDLE = datetime(2026, 6, 16, tzinfo=KL)
MAY = datetime(2026, 5, 1, tzinfo=KL)


@pytest.fixture(autouse=True)
def no_costs(db) -> None:
    InfrastructureCost.objects.all().delete()


def add(resource: str, price_micros: int, per: str, **fields: object) -> InfrastructureCost:
    values = {"quantity": 1, "starts_at": MAY, **fields}
    return InfrastructureCost.objects.create(resource=resource, price_micros=price_micros, per=per, **values)


def test_hourly_and_monthly_prices() -> None:
    add("t4", 500_000, "hour", quantity=2, speech_to_text_percent=75)
    add("api_pod", 60 * MICROS, "month", quantity=3)
    cost = month_cost(MIDDLE)
    gpu = 2 * 500_000 * 24 * 15
    pods = 3 * 60 * MICROS // 2
    assert cost.spent_micros == gpu + pods
    assert cost.forecast_micros == 2 * cost.spent_micros
    assert cost.run_rate_micros_per_day * 15 == cost.spent_micros
    assert cost.speech_to_text_micros == gpu * 3 // 4 + pods // 2
    assert cost.text_to_speech_micros == gpu // 4 + pods // 2


def test_costs_that_start_or_end_within_the_month() -> None:
    add("t4", MICROS, "hour", ends_at=datetime(2026, 6, 6, tzinfo=KL))
    add("t4", MICROS, "hour", quantity=2, starts_at=datetime(2026, 6, 6, tzinfo=KL))
    add("other", MICROS, "hour", ends_at=JUNE)
    add("other", 30 * MICROS, "month", starts_at=datetime(2026, 6, 29, tzinfo=KL))
    cost = month_cost(MIDDLE)
    assert cost.spent_micros == MICROS * 24 * (5 + 2 * 10)
    assert cost.forecast_micros == MICROS * 24 * (5 + 2 * 25) + 2 * MICROS
    assert cost.run_rate_micros_per_day == 2 * 24 * MICROS


def test_costs_per_unit_of_work(fill: Fill) -> None:
    add("other", 20 * MICROS, "month", starts_at=JUNE)
    cost = month_cost(MIDDLE)
    assert (cost.per_audio_hour_micros, cost.per_1000_characters_micros) == (None, None)
    fill(36_000_000, Kind.TRANSCRIPTION, at=datetime(2026, 6, 3, tzinfo=KL))
    fill(36_000_000, Kind.REALTIME, at=datetime(2026, 6, 30, 23, 59, tzinfo=KL))
    fill(10_000, at=JUNE, audio_ms=999_999)
    fill(10_000, at=MAY)
    cost = month_cost(MIDDLE)
    assert cost.per_audio_hour_micros == 5 * MICROS // 20
    assert cost.per_1000_characters_micros == 5 * MICROS // 10


def test_a_cost_cannot_end_before_it_starts() -> None:
    with pytest.raises(ValidationError):
        add("t4", 1, "hour", ends_at=MAY).clean()


class TestScorecard:
    def test_each_metric_has_targets(self) -> None:
        assert {targets.metric for targets in TARGETS} == set(Metric)

    @pytest.mark.parametrize(
        ("metric", "value", "launch", "growth"),
        [
            (Metric.WORD_ERROR_RATE, 0.14, Verdict.MET, Verdict.NOT_MET),
            (Metric.AUDIO_HOUR_COST, 0.01, Verdict.NOT_MET, Verdict.NOT_MET),
            (Metric.OPINION_SCORE, 4.1, Verdict.MET, Verdict.NOT_MET),
            (Metric.ACTIVE_USERS, 500, Verdict.MET, Verdict.NOT_MET),
            (Metric.UPTIME, 0.996, Verdict.MET, Verdict.MET),
            (Metric.UPTIME, None, Verdict.NOT_ENOUGH_DATA, Verdict.NOT_ENOUGH_DATA),
        ],
    )
    def test_verdicts(self, metric: Metric, value: float | None, launch: Verdict, growth: Verdict) -> None:
        targets = TARGETS_OF[metric]
        assert (targets.launch.verdict(value), targets.growth.verdict(value)) == (launch, growth)

    def test_no_verdict_without_enough_data(self) -> None:
        assert TARGETS_OF[Metric.OPINION_SCORE].launch.verdict(4.9, is_enough=False) == "not enough data"
