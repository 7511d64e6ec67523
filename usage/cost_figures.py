"""The month's cost formatted for display, with the launch target of each figure."""

from __future__ import annotations

from dataclasses import dataclass

from core.quantities import MICROS
from usage.cost import MonthCost
from usage.money import dollars, unit_dollars
from usage.targets import TARGETS_OF, Metric, Verdict


@dataclass(frozen=True)
class Figure:
    """One figure for display.

    ``target``: launch target in words; "" if the figure has no target.
    ``verdict``: whether the target is met; None if the figure has no target.
    """

    name: str
    value: str
    target: str = ""
    verdict: Verdict | None = None

    @property
    def is_met(self) -> bool:
        return self.verdict is Verdict.MET


def figures(cost: MonthCost) -> list[Figure]:
    """Return the month's figures: spent so far, forecast, cost per hour of audio, and cost per 1,000 characters."""
    return [
        Figure("Spent", dollars(cost.spent_micros)),
        _against(Metric.MONTH_COST, "At the month's end", dollars(cost.forecast_micros), cost.forecast_micros),
        _against_unit(Metric.AUDIO_HOUR_COST, "An hour of audio", cost.per_audio_hour_micros),
        _against_unit(Metric.THOUSAND_CHARACTERS_COST, "1,000 characters", cost.per_1000_characters_micros),
    ]


def _against_unit(metric: Metric, name: str, micros: int | None) -> Figure:
    return _against(metric, name, "–" if micros is None else unit_dollars(micros), micros)


def _against(metric: Metric, name: str, shown: str, micros: int | None) -> Figure:
    target = TARGETS_OF[metric].launch
    return Figure(name, shown, target.in_words, target.verdict(None if micros is None else micros / MICROS))
