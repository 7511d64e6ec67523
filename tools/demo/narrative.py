"""The decisions and incidents of the demo quarter, in chronological order.

1. A pilot starts.
2. Voice is on for 1 % of end users.
3. A ramp (an automatic increase) to 5 % is stopped because answers are slow.
4. A second ramp to 5 % succeeds.
5. The full GPU is relieved: by one more GPU if the growth phase has several, otherwise by a quantised model that needs
   half the work.
6. A ramp reaches 7 %.

There are also two outages and a better speech-to-text model. Live recognition follows the same percentages, but later.

Times are given as a fraction of the quarter's length: 0 is the first day, 1 is today.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property

from rollout.feature import Feature

PILOT_USERS = 12
CLIENTS = (  # name, description, share of end users
    ("chat-web", "The chat assistant in the browser", 0.52),
    ("chat-mobile", "The chat assistant's app", 0.41),
    ("helpdesk", "A partner's help desk", 0.07),
)
MADE_BY = "made by seed_demo"  # the end of a demo client application's description; marks its ledger rows

# Percentages of end users who have voice, and the fraction of the quarter at which each percentage starts.
FIRST_PERCENT = 1
RAMP_PERCENT = 5
LAST_PERCENT = 7
STOPPED_RAMP = 0.24
STOPPED_AT = 0.255
STOPPED_HOUR = 12.75  # of the day
SLOW_BEFORE = timedelta(minutes=8)  # from the first slow answers until the ramp was stopped
SLOW_LENGTH = timedelta(minutes=52)
HELD_RAMP = 0.36
LAST_RAMP = 0.62
_SPEECH = (
    (0.03, FIRST_PERCENT),
    (STOPPED_RAMP, RAMP_PERCENT),
    (STOPPED_AT, FIRST_PERCENT),
    (HELD_RAMP, RAMP_PERCENT),
    (LAST_RAMP, LAST_PERCENT),
)
STEPS: dict[Feature, tuple[tuple[float, int], ...]] = {
    Feature.ASR: _SPEECH,
    Feature.TTS: _SPEECH,
    Feature.REALTIME: ((0.45, FIRST_PERCENT), (0.70, RAMP_PERCENT), (0.88, LAST_PERCENT)),
}

GPU_RELIEVED = 0.58
GPU_FULL = 0.555  # when the alerts fire that lead to GPU_RELIEVED
OUTAGE = 0.47
OUTAGE_LENGTH = timedelta(minutes=34)
SHORT_OUTAGE = 0.82
SHORT_OUTAGE_LENGTH = timedelta(minutes=4)

BETTER_MODEL = 0.40  # from this time on, the second of MODELS is used
MODELS = ("whisper-small", "whisper-small-ms")
SPEECH_MODEL = "coqui/suara"
VOICES = {
    "ms": ("coqui/suara/aisyah", "coqui/suara/hafiz", "coqui/suara/siti"),
    "en": ("coqui/suara/grace", "coqui/suara/daniel"),
    "zh": ("coqui/suara/meiling",),
    "ta": ("coqui/suara/kavitha",),
}
LANGUAGES = {"ms": 0.62, "en": 0.22, "zh": 0.11, "ta": 0.05}


@dataclass(frozen=True)
class DemoPlan:
    """A plan for end users.

    ``name``: the plan's name.
    ``description``: what the admin shows about the plan.
    ``minutes``: minutes of speech to text per month: the included amount, the soft limit, the hard limit.
    ``characters``: characters of text to speech per month: the included amount, the soft limit, the hard limit.
    ``micros_per_minute``: the price of a minute beyond the included amount, in millionths of a ringgit.
    ``micros_per_1000_characters``: the price of 1000 characters beyond the included amount, in millionths of a ringgit.
    """

    name: str
    description: str
    minutes: tuple[int, int, int]
    characters: tuple[int, int, int]
    micros_per_minute: int
    micros_per_1000_characters: int


BASIC = DemoPlan("basic", "For everybody", (3, 48, 60), (6_000, 96_000, 120_000), 50_000, 200_000)
PLUS = DemoPlan("plus", "For heavy users", (60, 480, 600), (100_000, 800_000, 1_000_000), 40_000, 150_000)
PLUS_SHARE = 0.08


@dataclass(frozen=True)
class Machines:
    """The GPUs and API pods that run at the end of the quarter."""

    gpus: int = 1
    pods: int = 2

    @property
    def before(self) -> Machines:
        """The machines before the full GPU was relieved.

        There was one GPU and one pod fewer, or the same number if there is only one GPU at the end.
        """
        return self if self.gpus == 1 else Machines(self.gpus - 1, self.pods - 1)


@dataclass(frozen=True)
class Quarter:
    """The demo quarter.

    ``days``: its number of days. The last day is today, the date of ``now``.
    ``now``: the end of the quarter (timezone-aware, in the service's time zone). Nothing happens after this time.
    ``machines``: the machines that run at the end of the quarter.
    """

    days: int
    now: datetime
    machines: Machines = Machines()

    @cached_property
    def first(self) -> date:
        return self.now.date() - timedelta(days=self.days - 1)

    def date(self, index: int) -> date:
        """Return the date of the day with this index."""
        return self.first + timedelta(days=index)

    def midnight(self, index: int) -> datetime:
        """Return the start of the day with this index."""
        return datetime.combine(self.date(index), time.min, tzinfo=self.now.tzinfo)

    def seconds_of(self, index: int) -> float:
        """Return how many seconds of a day have passed: 86,400 for past days, fewer for today."""
        return min(timedelta(days=1), self.now - self.midnight(index)).total_seconds()

    def index(self, place: float) -> int:
        """Return the index of a day.

        ``place``: the day, as a fraction of the quarter from 0 to 1.
        """
        return min(int(place * self.days), self.days - 1)

    def moment(self, place: float, hour: float = 10.0) -> datetime:
        """Return a time on one of the days, but not later than ``now``.

        ``place``: the day, as a fraction of the quarter from 0 to 1.
        ``hour``: the time of day, in hours since midnight.
        """
        return min(self.midnight(self.index(place)) + timedelta(hours=hour), self.now)

    def percent(self, feature: Feature, index: int) -> int:
        """Return the percentage of end users who have the feature at the end of a day."""
        return self._percents[feature][index]

    @cached_property
    def _percents(self) -> dict[Feature, list[int]]:
        return {
            feature: [
                next((percent for place, percent in reversed(steps) if self.index(place) <= index), 0)
                for index in range(self.days)
            ]
            for feature, steps in STEPS.items()
        }

    def throughput(self, index: int) -> int:
        """Return the throughput of all running GPUs on a day, relative to one GPU with the model of the first day."""
        if index < self.index(GPU_RELIEVED):
            return self.machines.before.gpus
        return max(2, self.machines.gpus)

    @property
    def relief(self) -> str:
        """A text that says how the full GPU was relieved."""
        if self.machines.gpus > 1:
            return f"GPU number {self.machines.gpus} is in"
        return "Quantised to int8: the GPU has half the work"

    @cached_property
    def slow_spell(self) -> tuple[datetime, datetime]:
        """The start and end of the period of slow answers that stopped the ramp."""
        begin = self.moment(STOPPED_AT, STOPPED_HOUR) - SLOW_BEFORE
        return begin, min(begin + SLOW_LENGTH, self.now)

    @cached_property
    def outages(self) -> tuple[tuple[datetime, datetime], ...]:
        """The start and end of each outage."""
        return tuple(
            (begin, min(begin + length, self.now))
            for begin, length in (
                (self.moment(OUTAGE, 14.3), OUTAGE_LENGTH),
                (self.moment(SHORT_OUTAGE, 3.1), SHORT_OUTAGE_LENGTH),
            )
        )
