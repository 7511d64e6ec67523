"""The batcher's estimates: backlog, pace and utilisation."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from inference.batcher import Batcher
from tests.inference.doubling_model import Model, Number, blocked, submit


async def test_the_backlog_excludes_units_that_are_not_urgent_yet(batcher: Batcher[Number, int], model: Model) -> None:
    running = await blocked(batcher, model)
    batcher._seconds_per_cost = 10.0  # set by hand, because these batches are too short to measure
    assert 9.0 < batcher.stats().backlog_s <= 10.0
    [patient] = await submit(batcher, Number(value=1, slack_s=60.0))
    assert 9.0 < batcher.stats().backlog_s <= 10.0  # this unit can be done in 20 s but has 60 s, so it does not count
    [waiting] = await submit(batcher, Number(value=2))
    assert 19.0 < batcher.stats().backlog_s <= 20.0
    model.free.set()
    await asyncio.gather(running, patient, waiting)
    assert batcher.stats().backlog_s == 0


@pytest.mark.parametrize(("fastest", "pace"), [(0.02, 0.02), (0.0, 10.0)])
async def test_a_slow_moment_is_forgotten_if_the_fastest_speed_is_known(
    model: Model, monkeypatch: pytest.MonkeyPatch, fastest: float, pace: float
) -> None:
    batcher: Batcher[Number, int] = Batcher("numbers", model.run)
    batcher.start(fastest=fastest)
    monkeypatch.setattr(batcher, "_note_pace", lambda per_cost: None)
    await batcher.submit(Number(value=1))
    batcher._seconds_per_cost = 10.0
    later = time.monotonic() + 60
    with monkeypatch.context() as patch:
        patch.setattr("inference.scheduler.time.monotonic", lambda: later)
        assert batcher.stats().seconds_per_cost == pytest.approx(pace, rel=0.01)
    await asyncio.to_thread(batcher.close)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_utilisation_is_the_recent_share_of_busy_time(
    model: Model, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    batcher: Batcher[Number, int] = Batcher("numbers", model.run, workers=workers)
    assert batcher.stats().utilisation == 0
    now = 1000.0
    monkeypatch.setattr("inference.scheduler.time", SimpleNamespace(monotonic=lambda: now))
    for _ in range(60):  # one second of work in every two
        now += 2
        batcher._note_work(seconds=1.0)
    assert batcher.stats().utilisation == pytest.approx(0.5 / workers, rel=0.15)
    now += 60
    assert batcher.stats().utilisation < 0.01
    for _ in range(workers):
        batcher._note_work(seconds=30.0)
    assert batcher.stats().utilisation == pytest.approx(0.95, abs=0.01)
    now += 10
    assert batcher.stats().utilisation == pytest.approx(0.35, abs=0.01)


async def test_a_batch_that_is_running_counts_in_the_utilisation(
    batcher: Batcher[Number, int], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await blocked(batcher, model)
    began = time.monotonic()
    for seconds, utilisation in ((0.0, 0.0), (10.0, 0.63), (30.0, 0.95)):
        with monkeypatch.context() as patch:
            patch.setattr("inference.scheduler.time.monotonic", lambda seconds=seconds: began + seconds)
            assert batcher.stats().utilisation == pytest.approx(utilisation, abs=0.01)
    model.free.set()
    await running
    assert batcher.stats().utilisation < 0.1  # in fact the batch took only a moment


async def test_a_failure_does_not_change_the_measured_speed() -> None:
    def run(units: list[Number]) -> list[int | Exception]:
        if units[0].value == 1:
            raise RuntimeError("no memory")
        if units[0].value == 2:
            return [ValueError("unlucky")]
        time.sleep(0.05)
        return [0]

    batcher: Batcher[Number, int] = Batcher("numbers", run)
    batcher.start(fastest=0.05)
    await batcher.submit(Number(value=0))
    pace = batcher._seconds_per_cost
    for value in (1, 2):
        with pytest.raises((RuntimeError, ValueError)):
            await batcher.submit(Number(value=value))
    stats = batcher.stats()
    assert stats.seconds_per_cost == pytest.approx(pace, rel=0.05)
    assert stats.fastest_seconds_per_cost == pytest.approx(0.05)
    await asyncio.to_thread(batcher.close)
