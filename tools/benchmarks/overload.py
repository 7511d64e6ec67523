"""Overload the service, check that every request is answered, and show whether memory grows.

    python -m tools.benchmarks.overload [seconds] [callers]

By default 500 callers run for two minutes. Two thirds of them use speech to text, the others text to speech. The output
shows:

- the number of answers by HTTP status, and of requests without an answer;
- the goodput (successes within ``load.IN_TIME_S``, per second), compared with that of 50 callers on the same server;
- the server's memory before, during and after the overload.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tools.benchmarks import environment

environment.prepare()

from tests.services import Served, served  # noqa: E402
from tools.benchmarks import load  # noqa: E402
from tools.benchmarks.client import Client  # noqa: E402
from tools.benchmarks.live_recognition import memory  # noqa: E402
from tools.benchmarks.through_http import Ask, asr, tts  # noqa: E402

NORMAL_CALLERS = 50  # callers that keep the server busy without overloading it
ANSWER_WITHIN_S = 60.0  # a request without an answer after this time counts as unanswered
CALM_S = 5.0
SAMPLE_S = 1.0
EXPECTED = {"200", "429", "503"}
MIB = 1 << 20


async def main(seconds: float, callers: int) -> bool:
    print(environment.machine())
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder), VOICE_LOG_LEVEL="WARNING", VOICE_TTS_CACHE_BYTES="0") as service,
    ):
        async with Client(service.url, service.headers(), timeout_s=ANSWER_WITHIN_S) as client:
            transcribe = asr(client)
            synthesize = tts(client)

            def mixed(count: int) -> list[Ask]:
                return [synthesize if index % 3 == 2 else transcribe for index in range(count)]

            await load.closed(mixed(callers), seconds=10)  # lets every buffer grow to its full size
            best = await load.closed(mixed(NORMAL_CALLERS), seconds=min(20.0, seconds))
            await asyncio.sleep(CALM_S)
            before = memory(service)
            samples = list[int]()
            sampling = asyncio.create_task(_sample(service, samples))
            outcome = await load.closed(mixed(callers), seconds=seconds)
            sampling.cancel()
            await asyncio.sleep(CALM_S)
            after = memory(service)
    print(f"{NORMAL_CALLERS:>4} callers: {best.line()}")
    print(f"{callers:>4} callers: {outcome.line()}")
    print(f"goodput with {callers} / with {NORMAL_CALLERS} = {outcome.goodput / best.goodput:.2f}")
    unexpected = set(outcome.statuses) - EXPECTED
    print(f"unanswered: {outcome.unanswered}; answers other than 200, 429, 503: {sorted(unexpected) or 'none'}")
    print(
        f"memory: {before / MIB:.0f} MiB before, at most {max(samples) / MIB:.0f}, {after / MIB:.0f} after "
        f"({after / before:.3f} of before), {_slope(samples) * 60 / MIB:+.1f} MiB a minute in the second half"
    )
    return not unexpected


async def _sample(service: Served, samples: list[int]) -> None:
    while True:
        samples.append(memory(service))
        await asyncio.sleep(SAMPLE_S)


def _slope(samples: list[int]) -> float:
    """Return the linear trend (least squares) of the later half of the samples, in bytes per second."""
    later = samples[len(samples) // 2 :]
    middle = (len(later) - 1) / 2
    spread = sum((index - middle) ** 2 for index in range(len(later)))
    return sum((index - middle) * size for index, size in enumerate(later)) / spread / SAMPLE_S if spread else 0.0


if __name__ == "__main__":
    numbers = [float(argument) for argument in sys.argv[1:]]
    answered = asyncio.run(main(numbers[0] if numbers else 120.0, int(numbers[1]) if len(numbers) > 1 else 500))
    sys.exit(0 if answered else 1)
