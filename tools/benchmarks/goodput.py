"""Measure whether the service keeps its goodput when it is overloaded.

    python -m tools.benchmarks.goodput [seconds]

Goodput is the number of requests per second that succeed within ``load.IN_TIME_S``. It is measured under two loads:

- A closed loop: each caller waits for an answer before it asks again. The number of callers is one, two and four times
  the number that keeps the server busy.
- An open loop: requests arrive at random times, whether or not the server keeps up. Their rate is one, two and four
  times the best goodput of the closed loop.

The output shows each goodput, and its ratio to the highest one.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tools.benchmarks import environment

environment.prepare()

from tests.services import served  # noqa: E402
from tools.benchmarks import load  # noqa: E402
from tools.benchmarks.client import Client  # noqa: E402
from tools.benchmarks.through_http import asr, tts  # noqa: E402

SATURATION = 50  # callers; enough to keep two cores busy
LOAD_FACTORS = (1, 2, 4)
MIN_GOODPUT_SHARE = 0.9  # target: share of the best goodput that remains at four times saturation


async def main(seconds: float) -> None:
    for direction, make in (("asr", asr), ("tts", tts)):
        with (
            tempfile.TemporaryDirectory() as folder,
            served(Path(folder), VOICE_LOG_LEVEL="WARNING", VOICE_TTS_CACHE_BYTES="0") as service,
        ):
            async with Client(service.url, service.headers()) as client:
                ask = make(client)
                await load.closed([ask] * SATURATION, seconds=2)
                outcomes: dict[str, load.Outcome] = {}
                for factor in LOAD_FACTORS:
                    name = f"{SATURATION * factor} callers"
                    outcomes[name] = await load.closed([ask] * SATURATION * factor, seconds=seconds)
                best = max(outcome.goodput for outcome in outcomes.values())
                for factor in LOAD_FACTORS:
                    rate = factor * best
                    name = f"{rate:.0f} arrivals a second"
                    outcomes[name] = await load.open_loop(ask, per_second=rate, seconds=seconds)
        best = max(outcome.goodput for outcome in outcomes.values())
        for name, outcome in outcomes.items():
            print(f"{direction} {name:<24} {outcome.line()}")
        ratios = {name: outcome.goodput / best for name, outcome in outcomes.items()}
        print(f"{direction} goodput / best: " + ", ".join(f"{ratio:.2f} at {name}" for name, ratio in ratios.items()))
        last = min(ratio for name, ratio in list(ratios.items())[len(LOAD_FACTORS) - 1 :: len(LOAD_FACTORS)])
        reached = "target reached" if last >= MIN_GOODPUT_SHARE else "TARGET MISSED"
        print(
            f"{direction} at {LOAD_FACTORS[-1]} x saturation: {last:.2f} of the best ({reached}: {MIN_GOODPUT_SHARE})\n"
        )


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))
