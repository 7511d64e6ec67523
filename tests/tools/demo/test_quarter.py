"""The demo quarter before it is written: it follows from a seed, and its usage is plausible for Malaysia."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from rollout.feature import Feature
from rollout.percentage import is_within
from tools.demo import load, narrative
from tools.demo.narrative import Quarter
from tools.demo.people import Person, crowd
from tools.demo.rhythm import DAY_S, Rhythm, holiday
from tools.demo.traffic import Request, Traffic, hard_limit, plan_of
from usage.entry import Measure

NOW = datetime(2026, 11, 24, 20, 30, tzinfo=ZoneInfo("Asia/Kuala_Lumpur"))
ROWS = 12_000
USERS = 300


@pytest.fixture(scope="module")
def quarter() -> Quarter:
    return Quarter(90, NOW)


@pytest.fixture(scope="module")
def people(quarter: Quarter) -> list[Person]:
    return crowd(1, USERS, quarter)


@pytest.fixture(scope="module")
def requests(quarter: Quarter, people: list[Person]) -> list[Request]:
    traffic = Traffic(1, ROWS, people, quarter)
    return [request for index in range(quarter.days) for request in traffic.day(index)]


def test_it_works(requests: list[Request]) -> None:
    assert len(requests) == ROWS
    assert len({request.request_id for request in requests}) == ROWS


def test_the_same_seed_gives_the_same_data(quarter: Quarter, people: list[Person], requests: list[Request]) -> None:
    assert crowd(1, USERS, quarter) == people
    again = Traffic(1, ROWS, people, quarter)
    assert [request for index in range(quarter.days) for request in again.day(index)] == requests
    assert crowd(2, USERS, quarter) != people


def test_nothing_is_in_the_future_or_before_the_quarter(quarter: Quarter, requests: list[Request]) -> None:
    assert all(quarter.midnight(0) <= request.at <= NOW for request in requests)
    assert [request.at for request in requests] == sorted(request.at for request in requests)
    assert requests[-1].at.date() == NOW.date()


def test_only_users_with_a_feature_use_it(quarter: Quarter, requests: list[Request]) -> None:
    """Each user has the feature at the time of each drawn request, by percentage or as a pilot user."""
    for request in requests:
        feature = {"speech": Feature.TTS, "realtime": Feature.REALTIME}.get(request.kind.value, Feature.ASR)
        percent = quarter.percent(feature, (request.at.date() - quarter.first).days)
        assert request.person.is_pilot or is_within(request.person.user, Decimal(percent)), request


def test_adoption_grows_with_the_roll_out(quarter: Quarter, requests: list[Request]) -> None:
    users: dict[int, set[str]] = defaultdict(set)
    for request in requests:
        users[(request.at.date() - quarter.first).days // 30].add(request.person.user)
    assert len(users[0]) < len(users[1]) < len(users[2])
    assert len(users[0]) < len(users[2]) / 3


def test_lunch_and_evening_are_busy_nights_and_weekends_quiet(requests: list[Request]) -> None:
    hours = Counter(request.at.hour for request in requests)
    assert min(hours[12], hours[21]) > hours[16] > 3 * hours[4]
    later = [request.at for request in requests if request.at.date() > date(2026, 10, 23)]
    weekdays = Counter("weekend" if at.weekday() >= 5 else "week" for at in later)
    assert weekdays["week"] / 5 > weekdays["weekend"] / 2


def test_a_holiday_is_quiet() -> None:
    assert holiday(date(2026, 9, 16)) == "Malaysia Day"
    assert Rhythm(date(2026, 9, 16)).weight < Rhythm(date(2026, 9, 23)).weight


@pytest.mark.parametrize("day", [date(2026, 11, 24), date(2026, 11, 27), date(2026, 11, 28)])
def test_moments_are_the_inverse_of_the_days_shares(day: date) -> None:
    rhythm = Rhythm(day)
    assert (rhythm.share_before(0), round(rhythm.share_before(DAY_S), 6)) == (0, 1)
    for second in (0.0, 1800.0, 45_000.0, 86_000.0):
        assert rhythm.moment(rhythm.share_before(second)) == pytest.approx(second)


def test_nobody_is_beyond_a_hard_limit(requests: list[Request]) -> None:
    used: dict[tuple[str, str, Measure], int] = defaultdict(int)
    for request in requests:
        measure = request.kind.measure
        key = (request.person.user, f"{request.at:%Y-%m}", measure)
        used[key] += request.characters if measure is Measure.CHARACTERS else request.audio_ms
        assert used[key] <= hard_limit(plan_of(request.person, request.at), measure)


def test_heavy_users_are_refused(quarter: Quarter) -> None:
    traffic = Traffic(1, ROWS, crowd(1, 15, quarter), quarter)
    codes = Counter(request.error_code for index in range(quarter.days) for request in traffic.day(index))
    assert codes["quota_exceeded"] > 100


def test_errors_are_rare_except_in_the_outage(quarter: Quarter, requests: list[Request]) -> None:
    failed = sum(request.status >= 500 for request in requests)
    assert 0 < failed < 0.01 * ROWS
    (begin, end), _short = quarter.outages
    during = [request.status for request in requests if begin <= request.at < end]
    assert during and 200 not in during


def test_responses_are_slow_during_the_latency_alert(quarter: Quarter, people: list[Person]) -> None:
    traffic = Traffic(1, 60_000, people, quarter, scale=9)
    begin, end = quarter.slow_spell
    index = (begin.date() - quarter.first).days
    took: dict[bool, list[int]] = {True: [], False: []}
    for request in traffic.day(index):
        if request.status == 200 and not request.is_live:
            took[begin <= request.at < end].append(request.total_ms)
    assert sorted(took[True])[len(took[True]) // 2] > 3 * sorted(took[False])[len(took[False]) // 2]


def test_feedback_is_near_the_targets(quarter: Quarter, people: list[Person]) -> None:
    traffic = Traffic(1, 60_000, people, quarter, scale=9)
    late = [request for index in range(45, quarter.days) for request in traffic.day(index)]
    wers = [request.wer for request in late if request.wer]
    assert 0.08 < sum(rate * words for rate, words in wers) / sum(words for _rate, words in wers) < 0.15
    scores = [request.score for request in late if request.score]
    assert 4.0 < sum(scores) / len(scores) < 4.5


def test_the_load_follows_the_day_and_the_phase(quarter: Quarter, people: list[Person]) -> None:
    traffic = Traffic(1, ROWS, people, quarter)
    minutes = list(load.minutes(1, 40.0, people, traffic, quarter))
    assert len({minute.at for minute in minutes}) == len(minutes)
    assert minutes[-1].at <= NOW < minutes[-1].at + timedelta(minutes=2)
    assert 30 <= max(minute.users for minute in minutes) <= 70
    for minute in minutes:
        assert max(minute.asr_users, minute.tts_users) <= minute.users <= minute.asr_users + minute.tts_users


@pytest.mark.parametrize("days", [14, 31, 200])
def test_any_length(days: int) -> None:
    quarter = Quarter(days, NOW)
    people = crowd(3, 60, quarter)
    traffic = Traffic(3, 900, people, quarter)
    assert sum(len(traffic.day(index)) for index in range(days)) == 900
    assert quarter.percent(Feature.ASR, days - 1) == narrative.LAST_PERCENT


def test_just_after_midnight() -> None:
    quarter = Quarter(14, NOW.replace(hour=0, minute=0, second=5))
    people = crowd(1, 60, quarter)
    traffic = Traffic(1, 500, people, quarter)
    assert all(request.at <= quarter.now for index in range(14) for request in traffic.day(index))
