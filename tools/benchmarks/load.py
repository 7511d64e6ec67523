"""Simulated callers. In a closed loop, they wait after a refusal as long as ``Retry-After`` says."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from core.percentiles import percentile
from tools.benchmarks.client import Answer
from tools.benchmarks.through_http import Ask

IN_TIME_S = 5.0  # a later answer is of no use in a conversation
SETTLE_S = 3.0  # time at the beginning until the load is steady; answers in it are not counted as goodput


@dataclass
class Outcome:
    """The outcome of a load run.

    ``seconds``: the length of the measured time, which begins ``SETTLE_S`` after the start of the run.
    ``began``: when the run began (``time.perf_counter``).
    ``in_time``: how many requests succeeded during the measured time, each within ``IN_TIME_S``.
    ``statuses``: number of responses by HTTP status. Requests without a response count under their exception's name.
    ``latencies_s``: the latency of each success, in seconds.
    ``retry_after_s``: the ``Retry-After`` of each response that was not a success, in seconds; 0 if it had none.
    ``refusal_s``: the latency of each response that was not a success, in seconds.
    """

    seconds: float
    began: float = field(default_factory=time.perf_counter)
    in_time: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    retry_after_s: list[int] = field(default_factory=list)
    refusal_s: list[float] = field(default_factory=list)

    @property
    def goodput(self) -> float:
        """The goodput: successes within ``IN_TIME_S``, per second of the measured time."""
        return self.in_time / self.seconds

    @property
    def remaining_s(self) -> float:
        """The seconds until the run ends. No requests are made after that."""
        return max(0.0, self.began + SETTLE_S + self.seconds - time.perf_counter())

    def succeeded(self, latency_s: float) -> None:
        """Record a success."""
        self.latencies_s.append(latency_s)
        since = time.perf_counter() - self.began - SETTLE_S
        self.in_time += latency_s <= IN_TIME_S and 0 <= since < self.seconds

    @property
    def unanswered(self) -> int:
        """The number of requests without a response."""
        return sum(count for status, count in self.statuses.items() if not status.isdecimal())

    def line(self) -> str:
        """Return the outcome as one line of text."""
        told = f", told to wait {min(self.retry_after_s)} to {max(self.retry_after_s)} s" if self.retry_after_s else ""
        return (
            f"{self.goodput:6.1f}/s in time, p95 {percentile(self.latencies_s, 95):.2f} s, "
            f"answers {dict(sorted(self.statuses.items()))}, refusals p50 {percentile(self.refusal_s, 50):.2f} s{told}"
        )


async def one(ask: Ask, number: int, outcome: Outcome) -> float:
    """Make request ``number`` and record its outcome; return how many seconds to wait before the next request."""
    asked = time.perf_counter()
    try:
        answer: Answer = await ask(number)
    except (TimeoutError, OSError) as error:
        outcome.statuses[type(error).__name__] += 1
        return 1.0
    took = time.perf_counter() - asked
    outcome.statuses[str(answer.status)] += 1
    if answer.succeeded:
        outcome.succeeded(took)
        return 0.0
    outcome.refusal_s.append(took)
    told = int(answer.headers.get("retry-after", "0"))
    outcome.retry_after_s.append(told)
    return float(told or 1)


async def closed(asks: list[Ask], *, seconds: float) -> Outcome:
    """Run a closed loop for ``SETTLE_S`` plus ``seconds``, and return its outcome.

    Each item of ``asks`` is the function with which one caller sends requests. The caller waits for the answer before
    the next request. After a refusal, the caller also waits as long as ``Retry-After`` says, or 1 s if it is missing.
    """
    outcome = Outcome(seconds)

    async def caller(index: int, ask: Ask) -> None:
        number = index
        while outcome.remaining_s:
            pause = await one(ask, number, outcome)
            number += len(asks)
            await asyncio.sleep(min(pause, outcome.remaining_s))

    await asyncio.gather(*(caller(index, ask) for index, ask in enumerate(asks)))
    return outcome


async def open_loop(ask: Ask, *, per_second: float, seconds: float) -> Outcome:
    """Run an open loop: send requests at random times (a Poisson process), without waiting for answers.

    Refused requests are not repeated. Return the outcome.
    """
    outcome = Outcome(seconds)
    chance = random.Random(1)
    tasks: list[asyncio.Task[float]] = []
    due = outcome.began
    while outcome.remaining_s:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(ask, len(tasks), outcome)))
        due += chance.expovariate(per_second)
    await asyncio.gather(*tasks)
    return outcome
