"""Callers who behave: they ask, and where they are told to come back later they do, and not before."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field

import aiohttp

from benchmarks.through_http import Answer, Ask

IN_TIME_S = 5.0  # what comes later is no use to somebody who talks to an assistant


@dataclass
class Outcome:
    """``statuses`` of all answers, by number; what got none is under its exception's name. ``latencies_s``: of the
    successes."""

    elapsed_s: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    retry_after_s: list[int] = field(default_factory=list)
    refusal_s: list[float] = field(default_factory=list)

    @property
    def goodput(self) -> float:
        """Successes in time, per second."""
        return sum(latency <= IN_TIME_S for latency in self.latencies_s) / self.elapsed_s

    @property
    def unanswered(self) -> int:
        return sum(count for status, count in self.statuses.items() if not status.isdecimal())

    def line(self) -> str:
        ordered, refusals = sorted(self.latencies_s) or [float("nan")], sorted(self.refusal_s) or [float("nan")]
        told = f", told to wait {min(self.retry_after_s)} to {max(self.retry_after_s)} s" if self.retry_after_s else ""
        return (
            f"{self.goodput:6.1f}/s in time, p95 {ordered[int(0.95 * len(ordered))]:.2f} s, "
            f"answers {dict(sorted(self.statuses.items()))}, refusals p50 {refusals[len(refusals) // 2]:.2f} s{told}"
        )


async def one(ask: Ask, number: int, outcome: Outcome) -> float:
    """Make the request and note what became of it; gives how long the server wants the caller to stay away."""
    asked = time.perf_counter()
    try:
        answer: Answer = await ask(number)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        outcome.statuses[type(error).__name__] += 1
        return 1.0
    took = time.perf_counter() - asked
    outcome.statuses[str(answer.status)] += 1
    if answer.succeeded:
        outcome.latencies_s.append(took)
        return 0.0
    outcome.refusal_s.append(took)
    told = int(answer.headers.get("Retry-After", "0"))
    outcome.retry_after_s.append(told)
    return float(told or 1)


async def closed(asks: list[Ask], *, seconds: float) -> Outcome:
    """One caller for each of ``asks``, who asks again as soon as they are answered, or as they were told to."""
    outcome, started = Outcome(), time.perf_counter()

    async def caller(index: int, ask: Ask) -> None:
        number = index
        while time.perf_counter() - started < seconds:
            pause = await one(ask, number, outcome)
            number += len(asks)
            await asyncio.sleep(min(pause, max(0.0, seconds - (time.perf_counter() - started))))

    await asyncio.gather(*(caller(index, ask) for index, ask in enumerate(asks)))
    outcome.elapsed_s = time.perf_counter() - started
    return outcome


async def open_loop(ask: Ask, *, per_second: float, seconds: float) -> Outcome:
    """Callers who come at random, whatever the others get, and do not come back."""
    outcome, chance = Outcome(), random.Random(1)
    tasks: list[asyncio.Task[float]] = []
    started = due = time.perf_counter()
    while due - started < seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(ask, len(tasks), outcome)))
        due += chance.expovariate(per_second)
    outcome.elapsed_s = time.perf_counter() - started
    await asyncio.gather(*tasks)
    return outcome
