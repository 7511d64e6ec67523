from __future__ import annotations

import random
from datetime import timedelta
from statistics import mean, stdev

import pytest
from django.utils import timezone

from tests.usage.ledgers import Fill
from usage.entry import Kind
from usage.models import Correction, Rating
from usage.quality import opinion_score, word_error_rate

NOW = timezone.now()
SINCE = NOW - timedelta(days=7)
UNTIL = NOW + timedelta(days=1)


def correct(fill: Fill, rate: float, words: int, **fields: object) -> None:
    entry = fill(1000, Kind.TRANSCRIPTION, **fields)
    Correction.objects.create(entry=entry, word_error_rate=rate, reference_words=words)


def rate(fill: Fill, score: int, **fields: object) -> None:
    Rating.objects.create(entry=fill(10, **fields), score=score)


class TestWordErrorRate:
    def test_the_rate_is_weighted_by_words(self, fill: Fill) -> None:
        correct(fill, 1.0, 1)
        correct(fill, 0.1, 99)
        found = word_error_rate(SINCE, UNTIL)
        assert found.value == pytest.approx((1 + 9.9) / 100)
        assert (found.count, found.words, found.is_enough) == (2, 100, False)

    def test_the_interval_contains_the_true_rate_in_95_percent(self, fill: Fill) -> None:
        chance = random.Random(3)
        for number in range(40):
            for _ in range(40):
                words = chance.randrange(5, 30)
                wrong = sum(chance.random() < 0.2 for _ in range(words))
                correct(fill, wrong / words, words, model=f"m{number}")
        found = [word_error_rate(SINCE, UNTIL, model=f"m{number}") for number in range(40)]
        hits = sum(one.low <= 0.2 <= one.high for one in found)
        assert 33 <= hits <= 40
        assert all(one.is_enough and one.low < one.value < one.high for one in found)

    def test_filtered_by_model_language_and_time(self, fill: Fill) -> None:
        correct(fill, 0.5, 10, model="small", language="ms")
        correct(fill, 0.1, 10, model="large", language="ms")
        correct(fill, 0.9, 10, model="small", at=NOW - timedelta(days=30))
        assert word_error_rate(SINCE, UNTIL, model="small").value == 0.5
        assert word_error_rate(SINCE, UNTIL, language="ms").value == pytest.approx(0.3)

    def test_without_data(self, db) -> None:
        found = word_error_rate(SINCE, UNTIL)
        assert (found.value, found.low, found.high, found.count) == (None, None, None, 0)

    def test_one_observation_has_no_interval(self, fill: Fill) -> None:
        correct(fill, 0.5, 10)
        found = word_error_rate(SINCE, UNTIL)
        assert (found.value, found.low) == (0.5, None)


class TestOpinionScore:
    def test_mean_and_interval(self, fill: Fill) -> None:
        scores = [5, 4, 4, 3, 5, 2]
        for score in scores:
            rate(fill, score)
        found = opinion_score(SINCE, UNTIL)
        margin = 1.96 * stdev(scores) / len(scores) ** 0.5
        assert (found.value, found.count) == (pytest.approx(mean(scores)), 6)
        assert (found.low, found.high) == (pytest.approx(mean(scores) - margin), pytest.approx(mean(scores) + margin))

    def test_the_interval_stays_on_the_scale(self, fill: Fill) -> None:
        for score in (5, 5, 3):
            rate(fill, score)
        assert opinion_score(SINCE, UNTIL).high == 5.0

    def test_filtered_by_voice(self, fill: Fill) -> None:
        rate(fill, 5, voice="a")
        rate(fill, 1, voice="b")
        assert opinion_score(SINCE, UNTIL, voice="a").value == 5.0
        assert opinion_score(SINCE, UNTIL, voice="c").value is None
