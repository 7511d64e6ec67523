"""``make bench``: measure the figures in the README's performance table.

    python -m tools.benchmarks [seconds for each figure] [part ...]

The parts are:

- asr, tts: the throughput of HTTP requests, compared with that of direct engine calls;
- recorded: this service compared with a plain faster-whisper server, on recorded human speech from the folder that the
  environment variable ``BENCH_RECORDINGS`` names;
- plain: the same comparison on synthetic speech;
- goodput: the number of requests that are answered in time under overload;
- live: live recognition and live speech.

By default all parts run, which takes about ten minutes. Figures that are compared are measured in the same run.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from capacity.latency_targets import ASR_P95_S, TTS_P95_S
from tools.benchmarks import environment  # first: it sets Django up

environment.prepare()

from tools.benchmarks import (  # noqa: E402
    direct_calls,
    goodput,
    live_recognition,
    live_speech,
    plain_comparison,
    recorded_speech,
    through_http,
)
from tools.benchmarks.report import Row, table  # noqa: E402

CONCURRENCY = (1, 10, 50, 100, 200)
PARTS = ("asr", "tts", "recorded", "plain", "goodput", "live")
MIN_SHARE_OF_DIRECT = 0.9  # target: throughput of HTTP requests, divided by that of direct calls
TARGET_CONCURRENCY = 100  # target: this many requests at once are all served
P95_S = {"asr": ASR_P95_S, "tts": TTS_P95_S}


async def main(seconds: float, parts: list[str]) -> None:
    print(environment.machine())
    for direction in ("asr", "tts"):
        if direction in parts:
            await compare(direction, seconds)
    if "recorded" in parts:
        await recorded_speech.main(2 * seconds)
        print()
    if "plain" in parts:
        await plain_comparison.main(2 * seconds)
        print()
    if "goodput" in parts:
        await goodput.main(seconds)
    if "live" in parts:
        await live_recognition.main(live_recognition.parser().parse_args([]))
        print()
        await live_speech.main()


async def compare(direction: str, seconds: float) -> None:
    """Print the throughput of direct engine calls and of HTTP requests, at each number of concurrent requests.

    ``direction``: "asr" or "tts".
    ``seconds``: how long each measurement lasts.
    """
    rows: list[Row] = []
    ratios: list[str] = []
    costs: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for concurrency in CONCURRENCY:
            alone = await direct_calls.measure(direction, concurrency=concurrency, seconds=seconds)
            http = await through_http.measure(direction, Path(folder), concurrency=concurrency, seconds=seconds)
            rows.append(Row(f"{direction} straight through the engine", concurrency, alone))
            rows.append(Row(f"{direction} through HTTP", concurrency, http))
            ratios.append(f"{http.per_second / alone.per_second:.2f} at {concurrency}")
            costs.append(f"{alone.cpu_ms / http.cpu_ms:.2f} at {concurrency}")
    print(table(rows))
    print(f"{direction}: HTTP / straight = {', '.join(ratios)} (target: {MIN_SHARE_OF_DIRECT})")
    print(f"{direction}: the same by the server's processor time alone, without the clients' = {', '.join(costs)}")
    at_target = next(row.result for row in rows if row.concurrency == TARGET_CONCURRENCY and "HTTP" in row.name)
    p95_s = at_target.percentile_ms(95) / 1000
    reached = p95_s < P95_S[direction] and not at_target.failures
    print(
        f"{direction}: {TARGET_CONCURRENCY} at once: p95 {p95_s:.2f} s, {at_target.success_percent:.1f} % served "
        f"({'target reached' if reached else 'TARGET MISSED'}: below {P95_S[direction]:g} s, all of them)\n"
    )


if __name__ == "__main__":
    named = [argument for argument in sys.argv[1:] if argument in PARTS]
    numbers = [argument for argument in sys.argv[1:] if argument not in PARTS]
    asyncio.run(main(float(numbers[0]) if numbers else 8.0, named or list(PARTS)))
