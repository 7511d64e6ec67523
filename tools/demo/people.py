"""Who uses voice: end users whom the roll-out reaches by their places in the flags' queues, and how long they stay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from random import Random

from rollout.feature import Feature
from rollout.share import PLACES, place
from tools.demo.narrative import CLIENTS, LANGUAGES, LAST_PERCENT, PILOT_USERS, PLUS_SHARE, Quarter

DAYS_TO_FIRST_USE = 26.0  # on average, after voice has appeared
WEEKLY_LOSS = (0.30, 0.12, 0.06, 0.02)  # share of users who do not come back, week by week; the last one holds on
RATE_SPREAD = 0.85  # sigma of the lognormal of how much people talk


@dataclass(frozen=True, slots=True)
class Person:
    """``client``: its number in ``CLIENTS``. ``places``: up to which percentage a feature is still not theirs.
    ``joined`` and ``left`` are days of the quarter; ``left`` is the first without use. ``rate`` is relative."""

    user: str
    client: int
    places: dict[Feature, float]
    is_pilot: bool
    joined: int
    left: int
    rate: float
    language: str
    plus_from: date | None

    def has(self, feature: Feature, percent: int) -> bool:
        return self.is_pilot or self.places[feature] < percent


def crowd(seed: int, users: int, quarter: Quarter) -> list[Person]:
    """So many end users who have speech to text or text to speech at the end, in the order of their first use. Some of
    them have not tried it yet, and are not there."""
    rng = Random(f"{seed} people")
    found = 0
    people = []
    while found < users:
        user = f"u{rng.getrandbits(44):011x}"
        places = {feature: 100 * place(feature, user) / PLACES for feature in Feature}
        is_pilot = found < PILOT_USERS
        if is_pilot or min(places[Feature.ASR], places[Feature.TTS]) < LAST_PERCENT:
            found += 1
            person = _person(rng, user, places, quarter, is_pilot=is_pilot)
            if person.joined < quarter.days:
                people.append(person)
    return sorted(people, key=lambda person: person.joined)


def population(users: int) -> int:
    """How many the chat has, of whom so many have speech to text or text to speech at the end."""
    return round(users / (1 - (1 - LAST_PERCENT / 100) ** 2))


def _person(rng: Random, user: str, places: dict[Feature, float], quarter: Quarter, *, is_pilot: bool) -> Person:
    enabled = (
        0 if is_pilot else min(_enabled(quarter, feature, places[feature]) for feature in (Feature.ASR, Feature.TTS))
    )
    joined = enabled + int(rng.expovariate(1 / (2 if is_pilot else DAYS_TO_FIRST_USE)))
    language = rng.choices(list(LANGUAGES), list(LANGUAGES.values()))[0]
    plus_from = quarter.date(min(joined, quarter.days - 1)).replace(day=1) if rng.random() < PLUS_SHARE else None
    return Person(
        user=user,
        client=rng.choices(range(len(CLIENTS)), [share for _name, _words, share in CLIENTS])[0],
        places=places,
        is_pilot=is_pilot,
        joined=joined,
        left=joined + _stay(rng),
        plus_from=plus_from,
        language=language,
        rate=rng.lognormvariate(0, RATE_SPREAD) * (2.5 if plus_from else 1.0),
    )


def _enabled(quarter: Quarter, feature: Feature, at: float) -> int:
    """The first day from which on they have it for good; the quarter's length when never."""
    days = range(quarter.days)
    return next((day + 1 for day in reversed(days) if not at < quarter.percent(feature, day)), 0)


def _stay(rng: Random) -> int:
    """Days from the first use until they are gone."""
    week = 0
    while rng.random() >= WEEKLY_LOSS[min(week, len(WEEKLY_LOSS) - 1)] and week < 60:
        week += 1
    return 7 * week + rng.randint(1, 7)
