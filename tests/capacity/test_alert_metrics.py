"""The measurements on which alert rules are evaluated."""

from __future__ import annotations

from datetime import timedelta

from capacity import alert_metrics
from capacity.alert_metrics import Readings, Responses, Traffic
from capacity.models import HourlyPeak, Metric, Rule, Sample
from capacity.presence import Presence
from tests.capacity.world import START, World
from usage.models import LedgerEntry

MINUTE = timedelta(minutes=1)


def add(world: World, *requests: tuple[str, int, int], at=START) -> None:
    LedgerEntry.objects.bulk_create(
        LedgerEntry(request_id="r", kind=kind, client=world.client, user="u", total_ms=ms, status=status, created_at=at)
        for kind, ms, status in requests
    )


def test_it_works(world: World) -> None:
    add(world, *(("transcription", 100 * number, 200) for number in range(1, 101)))
    add(world, ("translation", 20_000, 200), ("speech", 700, 200), ("speech", 900, 500), ("speech", 900, 503))
    seen = alert_metrics.traffic(START)
    assert (seen.requests, seen.failures) == (104, 2)
    assert seen.asr == Responses(101, 9.6)  # the nearest rank: the 96th of 101
    assert seen.tts == Responses(1, 0.7)


def test_refusals_and_callers_errors_are_not_counted(world: World) -> None:
    add(world, *(("speech", 10, status) for status in (403, 429, 499)))
    add(world, ("realtime", 600_000, 200), ("speech", 50, 400))
    seen = alert_metrics.traffic(START)
    assert (seen.requests, seen.failures, seen.asr, seen.tts) == (2, 0, Responses(), Responses())


def test_a_live_stream_has_no_response_time(world: World) -> None:
    add(world, ("speech", 700, 200))
    row = LedgerEntry.objects.get()
    row.pk = None
    row.is_live = True
    row.total_ms = 600_000
    row.save()
    seen = alert_metrics.traffic(START)
    assert (seen.requests, seen.tts) == (2, Responses(1, 0.7))


def test_only_the_last_five_minutes(world: World) -> None:
    add(world, ("speech", 1, 500), at=START - 5 * MINUTE)
    add(world, ("speech", 1, 500), at=START + MINUTE)
    add(world, ("speech", 1, 200), at=START - 4 * MINUTE)
    assert alert_metrics.traffic(START).error_percent == 0


def test_each_metric_reads_its_value() -> None:
    def value(metric: Metric, readings: Readings, least: int = 20) -> float | None:
        return readings.of(Rule(metric=metric, least_requests=least))

    busy = Readings(users=7, traffic=Traffic(100, 3, asr=Responses(60, 1.5), tts=Responses(19, 9.0)))
    assert value(Metric.P95, busy) == 1.5  # text to speech has too few requests
    assert value(Metric.P95, busy, least=19) == 9.0
    assert value(Metric.ERRORS, busy) == 3
    assert value(Metric.ERRORS, busy, least=101) is None
    assert value(Metric.USERS, busy) == 7
    assert value(Metric.GPU, busy) is None
    assert value(Metric.COST, busy) is None
    assert Readings().of(Rule(metric=Metric.P95, least_requests=0)) is None


def test_a_sample_updates_the_hourly_peaks(world: World) -> None:
    for minute, number in enumerate((3, 9, 4)):
        people = frozenset(str(person) for person in range(number))
        readings = alert_metrics.take_sample(
            START + minute * MINUTE, Presence(people, frozenset("0"), people, 10.0 * number)
        )
    assert readings.users == 9
    assert readings.gpu_percent == (30 + 90 + 40) / 3
    assert Sample.objects.latest("at").users == 4
    (peak,) = HourlyPeak.objects.all()
    assert (peak.hour, peak.users, peak.asr_users, peak.tts_users) == (START, 9, 9, 1)
    assert alert_metrics.take_sample(START + 60 * MINUTE, None).users is None
    assert HourlyPeak.objects.count() == 1
