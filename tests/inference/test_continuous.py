"""A unit joins the units that already run, and whatever fails or is cancelled leaves the others alone."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from inference.continuous import ContinuousBatcher
from inference.engine import Unit
from inference.errors import DeadlineExceeded, EngineUnavailable, OverCapacity
from tests.inference.doubling_model import until


@dataclass(kw_only=True)
class Sum(Unit):
    """Add up 1, 2, 3 and so on, one number a step. ``steps``: how many numbers."""

    steps: int
    price: float = 1.0

    @property
    def cost(self) -> float:
        return self.price


@dataclass
class Adder:
    """A session that adds up numbers. It fails where a unit has 13 steps, and as a whole where one has 666.

    ``may_step``: each step takes one permit, as if the test were the processor.
    ``together``: the steps of the units in each step so far.
    """

    may_step: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    together: list[list[int]] = field(default_factory=list)
    running: dict[int, tuple[int, int]] = field(default_factory=dict)  # steps of a unit, and steps done

    def join(self, key: int, unit: Sum) -> None:
        self.running[key] = (unit.steps, 0)

    def leave(self, key: int) -> None:
        del self.running[key]

    def step(self) -> list[tuple[int, int | BaseException]]:
        assert self.may_step.acquire(timeout=10)
        self.together.append([steps for steps, _ in self.running.values()])
        if any(steps == 666 for steps, _ in self.running.values()):
            raise ArithmeticError("the processor is on fire")
        ended: list[tuple[int, int | BaseException]] = []
        for key, (steps, done) in list(self.running.items()):
            self.running[key] = (steps, done + 1)
            if steps == 13:
                ended.append((key, ValueError("unlucky")))
            elif done + 1 == steps:
                ended.append((key, steps * (steps + 1) // 2))
        for key, _ in ended:
            del self.running[key]
        return ended


@dataclass
class Machine:
    """A batcher and the sessions of its workers."""

    batcher: ContinuousBatcher[Sum, int]
    sessions: list[Adder]

    async def submit(self, *units: Sum) -> list[asyncio.Task[int]]:
        tasks = [asyncio.create_task(self.batcher.submit(unit)) for unit in units]
        await asyncio.sleep(0.01)
        return tasks

    def go(self, steps: int = 100) -> None:
        """Let each worker do this many steps."""
        for session in self.sessions:
            session.may_step.release(steps)

    async def steps(self, number: int) -> None:
        """Let the only worker do its next steps, and wait for them."""
        (session,) = self.sessions
        wanted = len(session.together) + number
        self.go(number)
        await until(lambda: len(session.together) == wanted)
        await asyncio.sleep(0.01)


@asynccontextmanager
async def started(**options: Any) -> AsyncIterator[Machine]:
    """Start a batcher whose steps need permits, and close it at the end."""
    sessions: list[Adder] = []

    def open_session() -> Adder:
        sessions.append(Adder())
        return sessions[-1]

    batcher: ContinuousBatcher[Sum, int] = ContinuousBatcher("sums", open_session, **options)
    batcher.start()
    machine = Machine(batcher, sessions)
    await until(lambda: len(sessions) == options.get("workers", 1))
    try:
        yield machine
    finally:
        machine.go(10_000)
        await asyncio.to_thread(batcher.close)


async def test_it_works() -> None:
    async with started() as machine:
        machine.go()
        unit = Sum(steps=4)
        assert await machine.batcher.submit(unit) == 10
        assert 0 <= unit.queued_ms < 1000


async def test_a_unit_joins_those_that_run_and_a_short_one_ends_first() -> None:
    async with started() as machine:
        (long,) = await machine.submit(Sum(steps=5))
        await machine.steps(2)
        (short,) = await machine.submit(Sum(steps=2))
        await machine.steps(3)  # the worker is already in the first of these
        assert await asyncio.wait_for(short, 5) == 3
        assert await asyncio.wait_for(long, 5) == 15
        assert machine.sessions[0].together == [[5], [5], [5], [5, 2], [5, 2]]
        stats = machine.batcher.stats()
        assert (stats.units, stats.running, stats.queue_length, stats.largest_batch) == (2, 0, 0, 2)


async def test_live_units_join_first() -> None:
    async with started(limit=lambda unit: 1) as machine:
        (first,) = await machine.submit(Sum(steps=1))
        tasks = await machine.submit(Sum(steps=2), Sum(steps=3, live=True))
        machine.go()
        await asyncio.gather(first, *tasks)
        assert machine.sessions[0].together == [[1], [3], [3], [3], [2], [2]]


async def test_two_workers_share_the_units() -> None:
    async with started(workers=2) as machine:
        tasks = await machine.submit(*(Sum(steps=7) for _ in range(6)))
        while not all(task.done() for task in tasks):
            machine.go(1)
            await asyncio.sleep(0.005)
        assert await asyncio.gather(*tasks) == [28] * 6
        largest = [max(map(len, session.together), default=0) for session in machine.sessions]
        assert largest == [3, 3]


async def test_no_more_units_run_together_than_the_limit_allows() -> None:
    async with started(limit=lambda unit: 3) as machine:
        tasks = await machine.submit(*(Sum(steps=6) for _ in range(8)))
        assert machine.batcher.stats().queue_length == 7  # the worker is in its first step
        machine.go()
        assert await asyncio.gather(*tasks) == [21] * 8
        assert max(map(len, machine.sessions[0].together)) == 3 == machine.batcher.stats().largest_batch


async def test_units_run_together_up_to_a_total_cost() -> None:
    async with started(capacity=10.0) as machine:
        tasks = await machine.submit(
            Sum(steps=3, price=20.0), Sum(steps=3, price=6.0), Sum(steps=3, price=4.0), Sum(steps=4)
        )
        machine.go()
        assert await asyncio.gather(*tasks) == [6, 6, 6, 10]
        (session,) = machine.sessions
        # The first costs too much for company. The last waits until one of the others has ended.
        assert session.together[:3] == [[3]] * 3
        assert [3, 3] in session.together
        assert max(map(len, session.together)) == 2


async def test_a_session_that_cannot_be_opened_fails_its_unit_and_is_opened_again() -> None:
    tries = itertools.count()

    def open_session() -> Adder:
        if next(tries) < 3:
            raise EngineUnavailable("not yet")
        return Adder(threading.Semaphore(1000))

    batcher: ContinuousBatcher[Sum, int] = ContinuousBatcher("sums", open_session)
    batcher.start()
    try:
        with pytest.raises(EngineUnavailable, match="not yet"):
            await asyncio.wait_for(batcher.submit(Sum(steps=3)), 5)
        assert await asyncio.wait_for(batcher.submit(Sum(steps=3)), 5) == 6
    finally:
        await asyncio.to_thread(batcher.close)


async def test_a_unit_whose_deadline_passes_in_the_queue_is_dropped() -> None:
    async with started(limit=lambda unit: 1) as machine:
        (first,) = await machine.submit(Sum(steps=3))
        (late,) = await machine.submit(Sum(steps=1, deadline=time.monotonic() + 0.05))
        await asyncio.sleep(0.1)
        machine.go()
        assert await asyncio.wait_for(first, 5) == 6
        with pytest.raises(DeadlineExceeded):
            await asyncio.wait_for(late, 5)
        assert machine.batcher.stats().units == 1


async def test_a_full_queue_refuses_all_but_admitted_units() -> None:
    async with started(limit=lambda unit: 1, max_queue=2) as machine:
        tasks = await machine.submit(Sum(steps=1))
        tasks += await machine.submit(Sum(steps=1), Sum(steps=1))
        with pytest.raises(OverCapacity):
            await machine.batcher.submit(Sum(steps=1))
        tasks += await machine.submit(Sum(steps=1, admitted=True))
        machine.go()
        assert await asyncio.gather(*tasks) == [1] * 4


async def test_a_cancelled_unit_leaves_the_queue() -> None:
    async with started(limit=lambda unit: 1) as machine:
        tasks = await machine.submit(Sum(steps=1))
        (cancelled, kept) = await machine.submit(Sum(steps=2), Sum(steps=3))
        cancelled.cancel()
        await asyncio.sleep(0.01)
        assert machine.batcher.stats().queue_length == 1
        machine.go()
        assert await asyncio.gather(*tasks, kept) == [1, 6]
        assert [2] not in machine.sessions[0].together


async def test_a_running_unit_that_is_cancelled_does_not_disturb_the_others() -> None:
    async with started() as machine:
        cancelled, kept = await machine.submit(Sum(steps=30), Sum(steps=5))
        await machine.steps(3)
        cancelled.cancel()
        await asyncio.sleep(0.01)
        machine.go()
        assert await asyncio.wait_for(kept, 5) == 15
        assert await machine.batcher.submit(Sum(steps=1)) == 1
        # A step may have begun before the unit was cancelled.
        assert sum(30 in together for together in machine.sessions[0].together) <= 4
        assert machine.batcher.stats().running == 0


async def test_a_cancelled_unit_that_runs_alone_ends_too() -> None:
    async with started() as machine:
        (cancelled,) = await machine.submit(Sum(steps=1000))
        await machine.steps(2)
        cancelled.cancel()
        machine.go()
        await until(lambda: machine.batcher.stats().running == 0)
        assert len(machine.sessions[0].together) <= 4
        assert await machine.batcher.submit(Sum(steps=1)) == 1


async def test_the_error_of_a_unit_is_its_own() -> None:
    async with started() as machine:
        tasks = await machine.submit(Sum(steps=3), Sum(steps=13), Sum(steps=4))
        machine.go()
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert results[::2] == [6, 10]
        assert isinstance(results[1], ValueError)


async def test_the_error_of_a_step_fails_the_running_units_and_the_worker_goes_on() -> None:
    async with started() as machine:
        tasks = await machine.submit(Sum(steps=20), Sum(steps=666))
        machine.go()
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert [type(result) for result in results] == [ArithmeticError] * 2
        await until(lambda: len(machine.sessions) == 2)
        machine.go()
        assert await asyncio.wait_for(machine.batcher.submit(Sum(steps=3)), 5) == 6  # in a new session
        stats = machine.batcher.stats()
        assert (stats.ready, stats.running, stats.units) == (True, 0, 3)


async def test_closing_finishes_running_units_and_refuses_waiting_ones() -> None:
    async with started(limit=lambda unit: 1) as machine:
        (running,) = await machine.submit(Sum(steps=4))
        (waiting,) = await machine.submit(Sum(steps=2))
        closing = asyncio.create_task(asyncio.to_thread(machine.batcher.close))
        with pytest.raises(EngineUnavailable):
            await asyncio.wait_for(waiting, 5)
        assert not running.done()
        machine.go()
        assert await asyncio.wait_for(running, 5) == 10
        await asyncio.wait_for(closing, 5)
        with pytest.raises(EngineUnavailable):
            await machine.batcher.submit(Sum(steps=1))


async def test_the_pace_is_that_of_all_units_together() -> None:
    """The time between two results belongs to the units that have ended, and all of it is counted once."""
    seen: list[tuple[int, float]] = []
    async with started(on_batch=lambda size, seconds: seen.append((size, seconds))) as machine:
        before = machine.batcher.stats()
        assert (before.estimated_wait_s, before.utilisation, before.seconds_per_cost) == (0, 0, 0)
        tasks: list[asyncio.Task[int]] = []
        for _ in range(4):  # the units end one after another
            tasks += await machine.submit(Sum(steps=10, price=2.0))
            await machine.steps(1)
        during = machine.batcher.stats()
        assert during.running == 4
        started_at = time.monotonic()
        while not all(task.done() for task in tasks):
            machine.go(1)
            await asyncio.sleep(0.01)
        seconds = time.monotonic() - started_at
        after = machine.batcher.stats()
        assert after.units == 4 == sum(1 for _ in seen)
        assert sum(size_and_seconds[1] for size_and_seconds in seen) == pytest.approx(after.busy_s)
        assert seconds <= after.busy_s < seconds + 1
        assert 0 < after.seconds_per_cost < after.busy_s
        assert 0 < after.utilisation < 1
        assert (after.running, after.backlog_s) == (0, 0)
        assert seen[0][0] == 4 and seen[-1][0] == 1


async def test_an_estimated_wait_refuses_what_would_be_late() -> None:
    async with started(limit=lambda unit: 1) as machine:
        machine.go(5)
        tasks = await machine.submit(Sum(steps=5))
        await asyncio.gather(*tasks)
        machine.batcher._seconds_per_cost = 3.0
        tasks = await machine.submit(Sum(steps=2))
        tasks += await machine.submit(Sum(steps=2), Sum(steps=2))
        assert machine.batcher.stats().estimated_wait_s == pytest.approx(6.0)
        with pytest.raises(OverCapacity):
            await machine.batcher.submit(Sum(steps=1, deadline=time.monotonic() + 5))
        machine.go()
        assert await asyncio.gather(*tasks) == [3, 3, 3]


def raising(*_: object) -> None:
    raise RuntimeError("no metrics")


async def test_a_failing_observer_does_not_stop_the_work(caplog: pytest.LogCaptureFixture) -> None:
    async with started(on_batch=raising) as machine:
        machine.go()
        for steps in (1, 2):
            assert await asyncio.wait_for(machine.batcher.submit(Sum(steps=steps)), 5) == steps * (steps + 1) // 2
        assert "no metrics" in caplog.text
