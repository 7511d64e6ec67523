"""The whole watcher, with its threads, a database, and a service that it probes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest

from capacity import watch
from capacity.concurrent_users import DatabaseStore
from capacity.leader_election import DatabaseElection
from capacity.models import ActiveUsers, Alert, ProbeDay, Rule, Sample
from capacity.presence import Presence
from inference import gpu
from rollout import ramp
from tests.capacity.world import START, Webhook, World

SECOND = timedelta(seconds=1)
CROWD = frozenset(str(number) for number in range(90))


@pytest.fixture
def quick(monkeypatch, settings) -> None:
    settings.VOICE_LEASE_S = 0.4
    for name in ("RENEW_EVERY_S", "PROBE_EVERY_S", "SEND_EVERY_S"):
        monkeypatch.setattr(watch, name, 0.05)
    monkeypatch.setattr(watch, "EVALUATE_EVERY", timedelta(seconds=0.1))
    settings.VOICE_PROBE_URL = "http://127.0.0.1:1/readyz"


@pytest.fixture
def stopping() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def started(stopping: threading.Event) -> tuple[watch.Watcher, threading.Thread]:
    watcher = watch.Watcher(stopping)
    thread = threading.Thread(target=watcher.run)
    thread.start()
    return watcher, thread


def eventually(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.django_db(transaction=True)
def test_it_works(seeded, quick, webhook: Webhook, stopping: threading.Event) -> None:
    Rule.objects.update(pending_for=timedelta(0))
    DatabaseStore().publish("p", Presence(CROWD, frozenset(), CROWD), 60)
    _watcher, thread = started(stopping)
    eventually(lambda: len(webhook.received) == 2)
    eventually(ProbeDay.objects.exists)
    assert set(webhook.texts()) == {
        "[voice] Critical: concurrent users 90 > 80",
        "[voice] Warning: concurrent users 90 > 60",
    }
    assert Sample.objects.first().asr_users == 90
    stopping.set()
    thread.join(10)
    assert not thread.is_alive()
    assert DatabaseElection("watch").renew("the next", 60)


@pytest.mark.django_db(transaction=True)
def test_only_one_of_two_watches(seeded, quick, stopping: threading.Event) -> None:
    first, first_thread = started(stopping)
    eventually(lambda: first.is_leader)
    other_stops = threading.Event()
    second, second_thread = started(other_stops)
    time.sleep(0.5)
    assert (first.is_leader, second.is_leader) == (True, False)
    stopping.set()
    first_thread.join(10)
    eventually(lambda: second.is_leader)
    other_stops.set()
    second_thread.join(10)


@pytest.mark.django_db(transaction=True)
def test_an_error_does_not_stop_the_watcher(seeded, quick, stopping: threading.Event, monkeypatch) -> None:
    evaluate = watch.evaluate
    calls = []

    def fail_first(*args) -> None:
        calls.append(args)
        if len(calls) == 1:
            raise RuntimeError("once")
        evaluate(*args)

    monkeypatch.setattr(watch, "evaluate", fail_first)
    _watcher, thread = started(stopping)
    eventually(Sample.objects.exists)
    stopping.set()
    thread.join(10)


def test_samples_every_15_seconds_include_the_busiest_moment(world: World) -> None:
    leader = watch.Watch()
    crowds = [Presence(frozenset(names), frozenset(), frozenset(names)) for names in ("ab", "abcd", "a", "")]
    evaluated = [leader.tick(START + number * 5 * SECOND, crowds[number % 4]) for number in range(7)]
    assert evaluated == [True, False, False, True, False, False, True]
    assert list(Sample.objects.order_by("at").values_list("users", flat=True)) == [2, 4, 4]


def test_old_rows_are_deleted(world: World) -> None:
    Sample.objects.create(at=START - timedelta(days=9))
    Sample.objects.create(at=START - timedelta(days=7))
    world.requests = [("speech", 100, 200)]
    world.step()
    watch.count_and_forget(START, START.date())
    assert Sample.objects.count() == 2
    assert ActiveUsers.objects.get().users == 1


def test_a_failing_ramp_does_not_stop_the_alerts(world: World, monkeypatch) -> None:
    monkeypatch.setattr(ramp, "tick", lambda *_args: 1 / 0)
    world.users = 90
    world.wait(timedelta(minutes=1))
    assert Alert.objects.filter(state="firing").count() == 2


class NvmlError(Exception):
    pass


def nvml(*percent: int, driver: bool = True) -> SimpleNamespace:
    """Return a replacement for NVIDIA's library that reports GPUs with these utilisations.

    ``driver``: if false, the library fails because there is no driver.
    """

    def initialise() -> None:
        if not driver:
            raise NvmlError("Driver Not Loaded")

    return SimpleNamespace(
        NVMLError=NvmlError,
        nvmlInit=initialise,
        nvmlDeviceGetCount=lambda: len(percent),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetUUID=lambda index: f"GPU-{index}",
        nvmlDeviceGetUtilizationRates=lambda index: SimpleNamespace(gpu=percent[index]),
        nvmlDeviceGetMemoryInfo=lambda index: SimpleNamespace(used=4 + index, total=16),
    )


@pytest.mark.parametrize(
    ("library", "expected"),
    [
        (nvml(95, 30), gpu.GpuReading("GPU-0", 95.0, 31.25)),
        (nvml(0), gpu.GpuReading("GPU-0", 0.0, 25.0)),
        (nvml(), None),
        (nvml(driver=False), None),
    ],
)
def test_the_busiest_gpu_is_read(monkeypatch, library: SimpleNamespace, expected: gpu.GpuReading | None) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynvml", library)
    monkeypatch.setattr(gpu, "_has_gpus", None)
    monkeypatch.setattr(gpu, "_read_at", float("-inf"))
    assert gpu.busiest(gpu.read()) == expected


def test_an_unreadable_gpu_hides_no_other(monkeypatch, caplog) -> None:
    library = nvml(95, 30)

    def utilisation(index: int) -> SimpleNamespace:
        if index == 0:
            raise NvmlError("Not Supported")
        return SimpleNamespace(gpu=30)

    library.nvmlDeviceGetUtilizationRates = utilisation
    monkeypatch.setitem(__import__("sys").modules, "pynvml", library)
    monkeypatch.setattr(gpu, "_has_gpus", None)
    monkeypatch.setattr(gpu, "_warned", set())
    for _ in range(2):
        monkeypatch.setattr(gpu, "_read_at", float("-inf"))
        assert gpu.read() == [gpu.GpuReading("GPU-1", 30.0, 31.25)]
    assert [record.message for record in caplog.records] == ["GPU 0 cannot be read"]
