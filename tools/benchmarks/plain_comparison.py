"""Compare this service with ``plain_server``, a minimal FastAPI server that calls faster-whisper for each request.

    python -m tools.benchmarks.plain_comparison [seconds]

The servers are measured one after the other, with the same weights, clips and number of callers. The plain server gets
the numbers of threads and workers that were fastest in a short trial. Word error rates are compared on the clips that
both servers transcribed.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.benchmarks import environment

environment.prepare()

from asr.checkpoint import configured  # noqa: E402
from inference import processor  # noqa: E402
from tests.dependencies import free_port  # noqa: E402
from tests.services import ROOT, served, wait_until_ready  # noqa: E402
from tools.benchmarks.client import Client  # noqa: E402
from tools.benchmarks.report import Result, Row, table  # noqa: E402
from tools.benchmarks.through_http import Ask, asr  # noqa: E402
from tools.benchmarks.workload import SENTENCES, closed_loop  # noqa: E402

CONCURRENCY = 50
TRIAL_CALLERS = 8
TRIAL_S = 5.0
TIMES_AS_FAST = 5.0  # target: this service's throughput over the plain server's
WORDS_APART = 0.5  # target: percentage points by which this service's word error rate may be higher


async def main(seconds: float) -> None:
    model = configured().source
    cores = processor.cores()
    trials: dict[tuple[int, int], float] = {}
    for threads, workers in sorted({(1, 1), (cores, 1), (1, cores), (cores, cores)}):
        with plain_server(model, threads, workers) as url:
            trial, _heard = await _measure(url, {}, TRIAL_CALLERS, TRIAL_S)
        trials[threads, workers] = trial.per_second
        print(f"plain, {threads} threads x {workers} workers: {trial.per_second:.1f}/s with {TRIAL_CALLERS} callers")
    threads, workers = max(trials, key=lambda split: trials[split])
    with plain_server(model, threads, workers) as url:
        plain, plain_heard = await _measure(url, {}, CONCURRENCY, seconds)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), VOICE_LOG_LEVEL="WARNING") as service:
        await _measure(service.url, service.headers(), CONCURRENCY, 1.0)
        ours, ours_heard = await _measure(service.url, service.headers(), CONCURRENCY, seconds)
    print(table([Row(f"plain server, {threads} x {workers}", CONCURRENCY, plain), Row("this one", CONCURRENCY, ours)]))
    times = ours.per_second / plain.per_second
    print(f"this one / plain = {times:.1f} ({met(times >= TIMES_AS_FAST)}: at least {TIMES_AS_FAST:g})")
    both = sorted(plain_heard.keys() & ours_heard.keys())
    errors = [_error_percent(both, heard) for heard in (plain_heard, ours_heard)]
    apart = errors[1] - errors[0]
    print(
        f"word error rate on {len(both)} clips: plain {errors[0]:.1f} %, this one {errors[1]:.1f} % "
        f"({met(apart <= WORDS_APART)}: at most {WORDS_APART} points more)"
    )


async def _measure(url: str, headers: dict[str, str], callers: int, seconds: float) -> tuple[Result, dict[int, str]]:
    heard: dict[int, str] = {}
    async with Client(url, headers) as client:
        ask: Ask = asr(client)

        async def call(number: int) -> bool:
            answer = await ask(number)
            if answer.succeeded:
                heard[number % len(SENTENCES)] = json.loads(answer.body)["text"]
            return answer.succeeded

        return await closed_loop(call, concurrency=callers, seconds=seconds), heard


def _error_percent(clips: list[int], heard: dict[int, str]) -> float:
    import jiwer

    return 100 * float(jiwer.wer([SENTENCES[clip] for clip in clips], [heard[clip] or "-" for clip in clips]))


def met(reached: bool) -> str:
    return "target reached" if reached else "TARGET MISSED"


@contextmanager
def plain_server(model: str, threads: int, workers: int) -> Iterator[str]:
    """Start the plain server and yield its URL when it is ready.

    ``model``: the Whisper model, as a name or folder that faster-whisper accepts.
    ``threads``, ``workers``: faster-whisper's ``cpu_threads`` and ``num_workers``.
    """
    port = free_port()
    variables = {"PLAIN_MODEL": model, "PLAIN_THREADS": str(threads), "PLAIN_WORKERS": str(workers)}
    command = ["-m", "uvicorn", "tools.benchmarks.plain_server:app", "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env={**os.environ, **variables})
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(20)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0))
