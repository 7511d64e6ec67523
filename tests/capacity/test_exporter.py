"""/metrics exports the newest sample."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone

from capacity import exporter, figures
from capacity.models import Sample
from rollout.models import Flag

pytestmark = pytest.mark.django_db(transaction=True)


def read(collector: exporter.SampleCollector) -> dict[tuple[str, ...], float]:
    return {
        (one.name.removeprefix("voice_capacity_"), *one.labels.values()): one.value
        for family in collector.collect()
        for one in family.samples
    }


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[exporter.SampleCollector]:
    monkeypatch.setattr(exporter, "WAIT_S", 30.0)
    collector = exporter.SampleCollector()
    yield collector
    collector.close()


def test_it_works(collector: exporter.SampleCollector) -> None:
    Sample.objects.create(at=timezone.now() - timedelta(seconds=15), users=1)
    Sample.objects.create(
        at=timezone.now(),
        users=61,
        asr_users=40,
        tts_users=30,
        asr_p95_s=1.5,
        tts_p95_s=2.5,
        error_percent=0.5,
        gpu_percent=70.0,
        gpu_memory_percent=40.0,
        month_cost_usd=612.5,
    )
    readings = {
        key: value for key, value in read(collector).items() if key[0] not in ("threshold", "voice_rollout_percent")
    }
    assert 0 <= readings.pop(("sample_age_seconds",)) < 60
    assert readings == {
        ("users", "asr"): 40,
        ("users", "tts"): 30,
        ("users", "together"): 61,
        ("p95_seconds", "asr"): 1.5,
        ("p95_seconds", "tts"): 2.5,
        ("error_percent",): 0.5,
        ("gpu_percent",): 70.0,
        ("gpu_memory_percent",): 40.0,
        ("month_cost_usd",): 612.5,
    }


def test_the_rollout_is_the_percentage_that_applies(collector: exporter.SampleCollector) -> None:
    for name, fields in {
        "voice": {"percent": 20},
        "asr": {"percent": 20, "everyone": True},
        "tts": {"percent": 20, "everyone": False},
        "realtime": {"everyone": True, "killed": True},
    }.items():
        Flag.objects.update_or_create(name=name, defaults=fields)
    found = {key[1]: value for key, value in read(collector).items() if key[0] == "voice_rollout_percent"}
    expected = {"voice": 20, "asr": 100, "tts": 0, "realtime": 0}
    assert {name: found[name] for name in expected} == expected


def test_unknown_values_are_left_out(collector: exporter.SampleCollector) -> None:
    assert read(collector) == {}
    Sample.objects.create(at=timezone.now(), users=0, asr_users=0, tts_users=0)
    collector.forget()
    assert set(read(collector)) == {("users", "asr"), ("users", "tts"), ("users", "together"), ("sample_age_seconds",)}


def test_only_the_age_of_an_old_sample_is_exported(collector: exporter.SampleCollector) -> None:
    Sample.objects.create(at=timezone.now() - figures.FRESH - timedelta(seconds=5), users=61)
    assert set(read(collector)) == {("sample_age_seconds",)}


def test_simultaneous_scrapes_share_a_query(
    collector: exporter.SampleCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[None] = []

    def nothing() -> exporter.Stored:
        asked.append(None)
        return None, {}, {}

    monkeypatch.setattr(exporter, "_read", nothing)
    for _ in range(10):
        read(collector)
    assert len(asked) == 1


def test_a_database_that_fails_or_hangs(collector: exporter.SampleCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(exporter, "_read", fails)
    assert read(collector) == {}

    released = threading.Event()
    asked: list[float] = []

    def hangs() -> None:
        asked.append(time.monotonic())
        released.wait()

    monkeypatch.setattr(exporter, "_read", hangs)
    monkeypatch.setattr(exporter, "WAIT_S", 0.01)
    collector.forget()
    for _ in range(5):
        assert read(collector) == {}
    released.set()
    assert len(asked) <= 1, "nobody queues behind the one who hangs"


def test_describing_the_metrics_needs_no_database(django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        names = [family.name for family in exporter.SampleCollector().describe()]
    assert "voice_capacity_users" in names
    assert "voice_capacity_threshold" in names
