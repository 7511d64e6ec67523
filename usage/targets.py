"""The targets that the service's owners have set, except response times (``capacity.latency_targets``)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from django.utils.translation import gettext_noop


class Metric(StrEnum):
    WORD_ERROR_RATE = "word_error_rate"
    AUDIO_HOUR_COST = "audio_hour_cost"
    OPINION_SCORE = "opinion_score"
    THOUSAND_CHARACTERS_COST = "thousand_characters_cost"
    PEAK_USERS = "peak_users"
    CONCURRENT_USERS = "concurrent_users"
    UPTIME = "uptime"
    ACTIVE_USERS = "active_users"
    MONTH_COST = "month_cost"


class Verdict(StrEnum):
    MET = gettext_noop("met")
    NOT_MET = gettext_noop("not met")
    NOT_ENOUGH_DATA = gettext_noop("not enough data")
    NOT_JUDGED = gettext_noop("not judged")


@dataclass(frozen=True)
class Target:
    """The target for a metric. It is met if the value satisfies all bounds that are not None.

    A metric without bounds is shown without a judgement.

    ``in_words``: the target in the agreed wording.
    ``below``: the value must be less than this bound.
    ``above``: the value must be greater than this bound.
    ``at_least``: the value must be greater than or equal to this bound.
    """

    in_words: str
    below: float | None = None
    above: float | None = None
    at_least: float | None = None

    def verdict(self, value: float | None, *, is_enough: bool = True) -> Verdict:
        if self.below is None and self.above is None and self.at_least is None:
            return Verdict.NOT_JUDGED
        if value is None or not is_enough:
            return Verdict.NOT_ENOUGH_DATA
        is_met = (
            (self.below is None or value < self.below)
            and (self.above is None or value > self.above)
            and (self.at_least is None or value >= self.at_least)
        )
        return Verdict.MET if is_met else Verdict.NOT_MET


@dataclass(frozen=True)
class MetricTargets:
    """The targets for one metric. Costs are in US dollars.

    ``launch``: target for the launch.
    ``growth``: target for the growth phase, or None.
    """

    metric: Metric
    name: str
    launch: Target
    growth: Target | None


TARGETS = (
    MetricTargets(
        Metric.WORD_ERROR_RATE, "ASR word error rate", Target("< 15 %", below=0.15), Target("< 13 %", below=0.13)
    ),
    MetricTargets(
        Metric.AUDIO_HOUR_COST,
        "ASR cost per hour of audio, USD",
        Target("< 0.01", below=0.01),
        Target("< 0.008", below=0.008),
    ),
    MetricTargets(
        Metric.OPINION_SCORE, "TTS mean opinion score", Target("> 4.0", above=4.0), Target("> 4.2", above=4.2)
    ),
    MetricTargets(
        Metric.THOUSAND_CHARACTERS_COST,
        "TTS cost per 1,000 characters, USD",
        Target("< 0.10", below=0.10),
        Target("< 0.08", below=0.08),
    ),
    MetricTargets(Metric.PEAK_USERS, "Peak concurrent users: demand", Target("–"), None),
    MetricTargets(
        Metric.CONCURRENT_USERS,
        "Concurrent users: proven capacity",
        Target("50–100", at_least=50),
        Target("100–200", at_least=100),
    ),
    MetricTargets(Metric.UPTIME, "Uptime", Target("> 99.0 %", above=0.990), Target("> 99.5 %", above=0.995)),
    MetricTargets(
        Metric.ACTIVE_USERS,
        "Active voice users",
        Target("500–2,000", at_least=500),
        Target("5,000–10,000", at_least=5000),
    ),
    MetricTargets(Metric.MONTH_COST, "Monthly cost, USD", Target("< 1,000", below=1000), None),
)

# Target range for the share of chat users who use voice.
ADOPTION_BAND = (0.05, 0.10)
ADOPTION = Target("5–10 %", at_least=ADOPTION_BAND[0])

TARGETS_OF = {each.metric: each for each in TARGETS}
