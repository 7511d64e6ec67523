"""Draw at random the load of the service in the demo quarter, as the service's watcher would have recorded it.

The demo ledger has only a few hundred end users, so hardly any two of them are active at the same time. Therefore, the
number of concurrent users is not counted from the ledger but drawn at random. Its peak is that of a real service in the
same phase of growth, and it rises and falls with the days and hours of use in the demo quarter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from tools.demo.narrative import Quarter
from tools.demo.people import Person
from tools.demo.rhythm import BUSIEST, Rhythm
from tools.demo.traffic import Traffic

STEP = timedelta(minutes=1)
COARSE_STEP = timedelta(minutes=10)
FINE_DAYS = 10  # the last days, with one value for each STEP; of earlier days only hourly peaks are kept
PER_USER_5_MIN = 11  # requests in five minutes for each concurrent user
ASR_SHARE = 0.62  # the two shares sum to more than 1, because some users do both
TTS_SHARE = 0.47
STEADY = 0.93  # correlation of the random deviation from one step to the next


class Minute(NamedTuple):
    """The load at one step of the quarter, with the fields of ``capacity.models.Sample``.

    Latencies and error rate are None if there were no requests. Latencies are also None during an outage.
    """

    at: datetime
    users: int
    asr_users: int
    tts_users: int
    requests: int
    asr_p95_s: float | None
    tts_p95_s: float | None
    error_percent: float | None
    gpu_percent: float


def reach(people: list[Person], quarter: Quarter) -> list[float]:
    """Return for each day how many people use voice, as a fraction of the highest number on any day."""
    using = [sum(person.joined <= index < person.left for person in people) for index in range(quarter.days)]
    return [number / max(1, *using) for number in using]


def minutes(seed: int, peak: float, people: list[Person], traffic: Traffic, quarter: Quarter) -> Iterator[Minute]:
    """Yield the load at each step of the quarter.

    ``peak``: the highest number of concurrent end users, which is reached near the end of the quarter.
    """
    reached = reach(people, quarter)
    surprise = 0.0
    for index in range(quarter.days):
        rng = Random(f"{seed} load {index}")
        rhythm = Rhythm(quarter.date(index))
        midnight = quarter.midnight(index)
        step = STEP if index >= quarter.days - FINE_DAYS else COARSE_STEP
        for number in range(int(quarter.seconds_of(index) // step.total_seconds())):
            at = midnight + number * step
            second = step.total_seconds() * number
            surprise = STEADY * surprise + math.sqrt(1 - STEADY**2) * rng.gauss(0, 1)
            expected = 0.85 * peak * reached[index] * rhythm.intensity(second) / BUSIEST
            users = max(0, round(expected + surprise * math.sqrt(expected)))
            yield _minute(rng, at, users, traffic.busy(index, second), quarter)


def _minute(rng: Random, at: datetime, users: int, busy: float, quarter: Quarter) -> Minute:
    asr, tts = (sum(rng.random() < share for _ in range(users)) for share in (ASR_SHARE, TTS_SHARE))
    asr = max(asr, users - tts)  # every concurrent user does at least one of the two
    requests = round(PER_USER_5_MIN * users * rng.uniform(0.85, 1.15))
    gpu = min(99.0, max(2.0, 6 + 78 * busy**0.8 + rng.gauss(0, 3)))
    if any(begin <= at < end for begin, end in quarter.outages):
        return Minute(
            at, users, asr, tts, requests, None, None, round(rng.uniform(70, 95), 1) if requests else None, 0.0
        )
    if not requests:
        return Minute(at, users, asr, tts, 0, None, None, None, round(gpu, 1))
    slow = (1 + 1.1 * busy**3) * rng.lognormvariate(0, 0.12)
    errors = max(0.0, rng.gauss(0.3 + 0.9 * busy**4, 0.25))
    return Minute(
        at, users, asr, tts, requests, round(0.95 * slow, 3), round(1.35 * slow, 3), round(errors, 2), round(gpu, 1)
    )
