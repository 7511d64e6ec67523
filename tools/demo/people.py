"""Draw at random the end users of the demo quarter: when the roll-out reaches them, and how long they stay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from random import Random

from rollout.feature import Feature
from rollout.percentage import QUEUE_LENGTH, queue_position
from tools.demo.narrative import CLIENTS, LANGUAGES, LAST_PERCENT, PILOT_USERS, PLUS_SHARE, Quarter

DAYS_TO_FIRST_USE = 26.0  # mean time from getting voice to first using it
WEEKLY_LOSS = (0.30, 0.12, 0.06, 0.02)  # share of users lost in each week of use; the last is for all later weeks
RATE_SPREAD = 0.85  # sigma of the lognormal distribution of ``Person.rate``


@dataclass(frozen=True, slots=True)
class Person:
    """An end user.

    ``user``: the end user's id.
    ``client``: the index of the client application in ``CLIENTS``.
    ``place``: the user's position in the roll-out, from 0 to 100: the user has voice once the roll-out's percentage is
    higher.
    ``is_pilot``: whether the user is in the pilot. Users in the pilot always have voice.
    ``joined``: index of the day on which the user first uses voice.
    ``left``: index of the first day after the user's last use.
    ``rate``: how many requests the user makes, relative to other users.
    ``language``: the user's language.
    ``plus_from``: the day from which the user has the plan ``plus``; None if the user never has it.
    """

    user: str
    client: int
    place: float
    is_pilot: bool
    joined: int
    left: int
    rate: float
    language: str
    plus_from: date | None

    def has(self, percent: int) -> bool:
        """Return True if the user has voice when the roll-out is at this percentage."""
        return self.is_pilot or self.place < percent


def crowd(seed: int, users: int, quarter: Quarter) -> list[Person]:
    """Draw the end users who have used voice by the end of the quarter, in the order of their first use.

    ``users``: how many end users have voice at the end. Those who have not used it yet are not in the result.
    """
    rng = Random(f"{seed} people")
    found = 0
    people = []
    while found < users:
        user = f"u{rng.getrandbits(44):011x}"
        at = 100 * queue_position(user) / QUEUE_LENGTH
        is_pilot = found < PILOT_USERS
        if is_pilot or at < LAST_PERCENT:
            found += 1
            person = _person(rng, user, at, quarter, is_pilot=is_pilot)
            if person.joined < quarter.days:
                people.append(person)
    return sorted(people, key=lambda person: person.joined)


def population(users: int) -> int:
    """Return how many chat users there are if ``users`` of them have voice at the end of the quarter."""
    return round(users / (LAST_PERCENT / 100))


def _person(rng: Random, user: str, at: float, quarter: Quarter, *, is_pilot: bool) -> Person:
    enabled = 0 if is_pilot else _enabled(quarter, at)
    joined = enabled + int(rng.expovariate(1 / (2 if is_pilot else DAYS_TO_FIRST_USE)))
    language = rng.choices(list(LANGUAGES), list(LANGUAGES.values()))[0]
    plus_from = quarter.date(min(joined, quarter.days - 1)).replace(day=1) if rng.random() < PLUS_SHARE else None
    return Person(
        user=user,
        client=rng.choices(range(len(CLIENTS)), [share for _name, _words, share in CLIENTS])[0],
        place=at,
        is_pilot=is_pilot,
        joined=joined,
        left=joined + _stay(rng),
        plus_from=plus_from,
        language=language,
        rate=rng.lognormvariate(0, RATE_SPREAD) * (2.5 if plus_from else 1.0),
    )


def _enabled(quarter: Quarter, at: float) -> int:
    """Return the index of the day from which a user permanently has voice.

    If the user does not have voice at the end, return the number of days in the quarter.

    ``at``: the user's position in the roll-out, as in ``Person.place``.
    """
    days = range(quarter.days)
    return next((day + 1 for day in reversed(days) if not at < quarter.percent(Feature.ASR, day)), 0)


def _stay(rng: Random) -> int:
    """Draw the number of days from a user's first use to the end of use."""
    week = 0
    while rng.random() >= WEEKLY_LOSS[min(week, len(WEEKLY_LOSS) - 1)] and week < 60:
        week += 1
    return 7 * week + rng.randint(1, 7)
