"""Draw at random the requests of the demo quarter: the user, time, kind, duration, error and feedback of each."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from rollout.feature import Feature
from tools.demo import narrative
from tools.demo.narrative import DemoPlan, Quarter
from tools.demo.outcomes import Outcome, draw_outcome, draw_rating, word_errors
from tools.demo.people import Person
from tools.demo.rhythm import BUSIEST, Rhythm
from usage.entry import CHARGED_STATUSES, Kind, Measure

FEATURES = {Feature.ASR: 0.52, Feature.TTS: 0.36, Feature.REALTIME: 0.12}  # shares of requests when all three are on
OTHER_LANGUAGE = 0.12  # share of requests that may be in another language than the user's
TRANSLATIONS = 0.04  # share of uploaded recordings
VOICE_NOTES = 0.02  # share of uploaded recordings that are long
READ_ALOUD_LIVE = 0.15  # share of text-to-speech requests that are live
GOES_ON = 0.72  # probability that a user's next request follows soon, after PAUSE_S on average
PAUSE_S = 40.0
DAILY_NOISE = 0.07  # sigma of the lognormal factor of a day's requests


class Request(NamedTuple):
    """A request that will become a row of the ledger.

    ``at``: when the request was made.
    ``person``: the end user.
    ``wer``: word error rate and number of reference words of the user's correction; None if there is none.
    ``score``: the user's rating from 1 to 5; None if there is none.

    The other fields are those of ``LedgerEntry``.
    """

    at: datetime
    person: Person
    request_id: str
    kind: Kind
    model: str
    voice: str
    language: str
    audio_ms: int
    characters: int
    queue_ms: int
    total_ms: int
    status: int
    error_code: str
    is_live: bool
    wer: tuple[float, int] | None
    score: int | None


def limit_scale(rows: int, users: int, days: int) -> int:
    """Return the factor by which the plans' amounts are multiplied.

    It grows with the number of requests per user and day. With constant amounts, most requests of a busy demo would
    exceed the plans' limits.
    """
    return max(1, round(30 * rows / max(1, users * days) / 40))


class Traffic:
    """Draws the requests of the quarter at random: exactly ``rows`` requests, made by ``people``.

    Call ``day`` for each day in order, because quotas are used up in the course of a month.

    ``scale``: the factor by which the plans' limits are multiplied.
    """

    def __init__(self, seed: int, rows: int, people: list[Person], quarter: Quarter, scale: int = 1) -> None:
        self._seed = seed
        self._people = people
        self._quarter = quarter
        self._scale = scale
        self._rhythms = [Rhythm(quarter.date(index)) for index in range(quarter.days)]
        self._used: dict[tuple[str, str, Measure], int] = defaultdict(int)
        sizes = [sum(weight for _person, weight in self._cells(index)) for index in range(quarter.days)]
        self._per_weight = rows / sum(sizes) if any(sizes) else 0.0
        self._carried = [0.5 + self._per_weight * sum(sizes[:index]) for index in range(quarter.days)]
        self._growth = growth(sizes, [rhythm.weight for rhythm in self._rhythms], quarter)

    def busy(self, index: int, second: float) -> float:
        """Return the load at a time of a day: 0 if idle, about 1 at the peak of the busiest day.

        ``index``: the index of the day.
        ``second``: seconds since midnight.
        """
        return self._growth[index] * self._rhythms[index].intensity(second) / BUSIEST

    def day(self, index: int) -> list[Request]:
        """Draw the requests of a day, in the order of their times."""
        rng = Random(f"{self._seed} requests {index}")
        carried = self._carried[index]
        requests: list[Request] = []
        for person, weight in self._cells(index):
            following = carried + weight * self._per_weight
            number = math.floor(following) - math.floor(carried)
            carried = following
            requests += [self._request(rng, index, second, person) for second in self._seconds(rng, index, number)]
        requests.sort(key=lambda request: (request.at, request.request_id))
        return self._within_quotas(requests)

    def _cells(self, index: int) -> Iterator[tuple[Person, float]]:
        """Yield each person who uses voice on a day, with a weight that is proportional to their number of requests."""
        rng = Random(f"{self._seed} day {index}")
        quarter = self._quarter
        rhythm = self._rhythms[index]
        of_day = rhythm.weight * rng.lognormvariate(0, DAILY_NOISE) * rhythm.share_before(quarter.seconds_of(index))
        for person in self._people:
            if person.joined > index:
                break
            if index < person.left:
                yield person, of_day * person.rate * rng.expovariate(1.0)

    def _seconds(self, rng: Random, index: int, number: int) -> Iterator[float]:
        rhythm = self._rhythms[index]
        end = self._quarter.seconds_of(index)
        until = rhythm.share_before(end)
        second = math.inf
        for _ in range(number):
            second += rng.expovariate(1 / PAUSE_S) if rng.random() < GOES_ON else math.inf
            if second >= end:
                second = min(rhythm.moment(rng.random() * until), end)
            yield second

    def _request(self, rng: Random, index: int, second: float, person: Person) -> Request:
        quarter = self._quarter
        features = self._features(index, person)
        at = quarter.midnight(index) + timedelta(seconds=second)
        feature = rng.choices(features, [FEATURES[one] for one in features])[0] if len(features) > 1 else features[0]
        language = person.language if rng.random() >= OTHER_LANGUAGE else rng.choice(("ms", "en"))
        kind = Kind.SPEECH
        audio_ms = 0
        characters = 0
        model = narrative.SPEECH_MODEL
        voice = ""
        is_live = feature is Feature.REALTIME
        if feature is Feature.TTS:
            characters = min(4096, max(2, round(rng.lognormvariate(math.log(170), 0.75))))
            of_language = narrative.VOICES[language]
            voice = of_language[hash_of(person) % len(of_language)]
            is_live = rng.random() < READ_ALOUD_LIVE
        else:
            kind = Kind.REALTIME if is_live else Kind.TRANSLATION if rng.random() < TRANSLATIONS else Kind.TRANSCRIPTION
            model = narrative.MODELS[at >= quarter.moment(narrative.BETTER_MODEL, 0)]
            audio_ms = spoken_ms(rng, kind)
        busy = self.busy(index, second)
        in_outage = any(begin <= at < end for begin, end in quarter.outages)
        slow_from, slow_until = quarter.slow_spell
        is_slow = slow_from <= at < slow_until
        outcome = draw_outcome(
            rng, kind, audio_ms, characters, busy, is_live=is_live, in_outage=in_outage, is_slow=is_slow
        )
        wer = None
        score = None
        if outcome.status == 200 and kind is Kind.TRANSCRIPTION:
            wer = word_errors(rng, audio_ms, language, is_better=model == narrative.MODELS[1])
        elif outcome.status == 200 and kind is Kind.SPEECH:
            score = draw_rating(rng, language)
        return Request(
            at,
            person,
            f"req_{rng.getrandbits(128):032x}",
            kind,
            model,
            voice,
            language,
            outcome.audio_ms,
            outcome.characters,
            outcome.queue_ms,
            outcome.total_ms,
            outcome.status,
            outcome.error_code,
            is_live,
            wer,
            score,
        )

    def _features(self, index: int, person: Person) -> list[Feature]:
        return [one for one in Feature if person.has(self._quarter.percent(one, index))] or [Feature.ASR]

    def _within_quotas(self, requests: list[Request]) -> list[Request]:
        """Replace each request that exceeds the monthly hard limit of its user with a refusal."""
        return [self._within_quota(request) for request in requests]

    def _within_quota(self, request: Request) -> Request:
        measure = request.kind.measure
        units = request.characters if measure is Measure.CHARACTERS else request.audio_ms
        if request.status not in CHARGED_STATUSES or not units:
            return request
        key = (request.person.user, f"{request.at:%Y-%m}", measure)
        if self._used[key] + units > self._scale * hard_limit(plan_of(request.person, request.at), measure):
            nothing = Outcome.refused(429, "quota_exceeded")
            return request._replace(
                audio_ms=0,
                characters=0,
                queue_ms=0,
                total_ms=nothing.total_ms,
                status=nothing.status,
                error_code=nothing.error_code,
                wer=None,
                score=None,
            )
        self._used[key] += units
        return request


def growth(sizes: list[float], weights: list[float], quarter: Quarter) -> list[float]:
    """Return the use per GPU on each day, scaled so that the highest value is 1.

    Each value is the mean of the seven days up to that day. The effects of weekdays and holidays are removed.

    ``sizes``: the total weight of each day's requests.
    ``weights``: the weight that ``Rhythm`` gives to each day.
    """
    levels = []
    for index in range(quarter.days):
        week = range(max(0, index - 6), index + 1)
        levels.append(sum(sizes[day] / weights[day] for day in week) / len(week) / quarter.throughput(index))
    highest = max(levels) or 1.0
    return [level / highest for level in levels]


def plan_of(person: Person, at: datetime) -> DemoPlan:
    """Return the plan that the user had at this time."""
    return narrative.PLUS if person.plus_from is not None and at.date() >= person.plus_from else narrative.BASIC


def hard_limit(plan: DemoPlan, measure: Measure) -> int:
    """Return the monthly hard limit of a plan, in milliseconds of audio or in characters."""
    return plan.characters[2] if measure is Measure.CHARACTERS else plan.minutes[2] * 60_000


def hash_of(person: Person) -> int:
    """Return a hash of the user's id, by which the user's TTS voice is chosen.

    Unlike Python's ``hash``, this value is the same in every process, so each user keeps the same voice.
    """
    return int(person.user[1:], 16)


def spoken_ms(rng: Random, kind: Kind) -> int:
    """Draw the length of a recording or of a live stream in milliseconds."""
    if kind is Kind.REALTIME:
        return min(900_000, round(rng.lognormvariate(math.log(28_000), 0.8)))
    if rng.random() < VOICE_NOTES:
        return rng.randint(45_000, 240_000)
    return min(60_000, max(400, round(rng.lognormvariate(math.log(4_300), 0.65))))
