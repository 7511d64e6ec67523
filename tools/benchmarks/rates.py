"""Measure the machine time of a request: batch times on an idle machine, and CPU time per thread under load.

``manage.py measure_rates`` writes the result to a file, which the planner and the simulator read. CPU time is measured
under full load, because a thread needs more of it for the same work if it shares caches and memory with other threads.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import connect

from tools.benchmarks import environment

environment.prepare()

from inference import processor  # noqa: E402
from tests import sound  # noqa: E402
from tests.dependencies import free_port  # noqa: E402
from tests.services import ROOT  # noqa: E402
from tools.benchmarks import batch_times  # noqa: E402
from tools.benchmarks.client import Client  # noqa: E402
from tools.benchmarks.observed_server import ENGINE, LEDGER, LOOP, POOL  # noqa: E402
from tools.benchmarks.report import Result  # noqa: E402
from tools.benchmarks.through_http import asr, succeeds, tts  # noqa: E402
from tools.benchmarks.workload import SENTENCES, Call, closed_loop  # noqa: E402
from tools.planning.rates import (  # noqa: E402
    ASR,
    TTS,
    KindRates,
    LiveRates,
    Loaded,
    Processor,
    Rates,
)
from tools.planning.simulation.closed import fitted  # noqa: E402

BATCH_SHARE = 4  # seconds spent on batch times for each second of load
BUSY = 24  # callers at once: enough that the machine is never idle, few enough that nothing is refused
WARM_UP_S = 1.5
ALONE_S = 2.0
STREAMS = 4
STREAM_S = 8.0  # the longest stream; in a short measurement, streams are shorter


@dataclass
class Observed:
    """A temporary service that reports the CPU time of its threads when asked.

    ``url``: the address of the service.
    ``key``: an API key for the service.
    ``process``: the process; a line on its standard input asks for a report.
    ``answers``: the text file from which the reports are read.
    """

    url: str
    key: str
    process: subprocess.Popen[str]
    answers: Any

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def read(self) -> dict[str, Any]:
        """Ask for a report and return it: ``at`` (Unix time), ``used`` (CPU seconds by role) and ``batches``."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        told: dict[str, Any] = json.loads(self.answers.readline())
        return told


@contextmanager
def observed() -> Iterator[Observed]:
    """Start a temporary service without rate limits or limits on waiting, and yield it when it is ready."""
    port = free_port()
    key = "vk_rates_0123456789abcdef"
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "PORT": str(port),
            "VOICE_STATE_DIR": f"{folder}/state",
            "VOICE_DEMO_API_KEY": key,
            "VOICE_TTS_CACHE_BYTES": "0",
            "VOICE_RATE_LIMIT": "0",
            # With these limits, a slow model would refuse requests or fall back to eSpeak NG and not be measured.
            "VOICE_ASR_WAIT_S": "0",
            "VOICE_TTS_WAIT_S": "0",
            "VOICE_TTS_BROWNOUT": "false",
            "VOICE_LOG_LEVEL": "WARNING",
            "DATABASE_URL": "",
            "REDIS_URL": "",
        }
        reading, writing = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.benchmarks.observed_server", str(writing)],
            cwd=ROOT,
            env={**os.environ, **settings},
            pass_fds=[writing],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        os.close(writing)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url, process)
            with os.fdopen(reading) as answers:
                yield Observed(url, key, process, answers)
        finally:
            process.terminate()
            process.wait(40)


def _wait_until_ready(url: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the service ended: {process.stderr.read() if process.stderr else ''}")
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError("the service did not become ready")


@dataclass(frozen=True)
class LoadRun:
    """The results of one run under load.

    ``result``: the latencies and the number of failures.
    ``used``: CPU seconds of the service, by thread role.
    ``client_s``: CPU seconds of the load generator.
    ``batches``: for each batch, the engine's name, the number of units, and the duration in seconds.
    ``cores``: the average number of cores available to the run, that is, not used by other programs.
    """

    result: Result
    used: dict[str, float]
    client_s: float
    batches: list[tuple[str, int, float]]
    cores: float

    def each(self, role: str) -> float:
        """Return the CPU seconds that threads with this role used per successful request."""
        return self.used.get(role, 0.0) / len(self.result.latencies_s)

    def mean_batch(self, engine: str) -> float:
        sizes = [size for name, size, _seconds in self.batches if name == engine]
        return sum(sizes) / len(sizes) if sizes else 1.0


async def spend(service: Observed, run: Callable[[], Awaitable[Result]]) -> LoadRun:
    """Run a load and return its results together with the CPU time that the service and the client used meanwhile."""
    before = service.read()
    idle = _idle_s()
    client = time.process_time()
    began = time.monotonic()
    result = await run()
    after = service.read()
    elapsed = time.monotonic() - began
    client = time.process_time() - client
    used = {role: seconds - before["used"].get(role, 0.0) for role, seconds in after["used"].items()}
    batches = [tuple(batch) for batch in after["batches"]]
    cores = (sum(used.values()) + client + _idle_s() - idle) / elapsed
    return LoadRun(result, used, client, batches, min(cores, float(processor.cores())))


def _idle_s() -> float:
    """Return the sum of the idle seconds of all cores since the machine started."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


async def live(service: Observed, streams: int, seconds: float) -> Result:
    """Run several streams of live recognition at once, each alternating speech and pauses in real time.

    Return a result whose ``latencies_s`` hold, in place of latencies, the seconds of audio that each stream sent.
    """
    speech = sound.said(SENTENCES[0])
    audio = (speech * 32_767).astype("<i2").tobytes() + bytes(2 * sound.RATE)

    async def stream(number: int) -> float:
        address = service.url.replace("http", "ws") + "/ws/asr"
        async with connect(address, additional_headers=service.headers()) as socket:
            await socket.send(json.dumps({"type": "start", "sample_rate": sound.RATE, "user": f"u{number}"}))
            began = time.monotonic()
            sent = 0
            size = 2 * sound.RATE // 25
            while time.monotonic() - began < seconds:
                await socket.send((audio + audio)[sent % len(audio) :][:size])
                sent += size
                await asyncio.sleep(max(0.0, began + sent / (2 * sound.RATE) - time.monotonic()))
            await socket.send(json.dumps({"type": "stop"}))
            async for message in socket:
                if json.loads(message)["type"] in ("done", "error"):
                    break
            return sent / (2 * sound.RATE)

    heard = await asyncio.gather(*(stream(number) for number in range(streams)))
    return Result(latencies_s=list(heard), elapsed_s=seconds)


def _spread(alone: Result, size_cv: float) -> float:
    """Return the coefficient of variation of a single caller's latencies, minus the part that request sizes explain.

    The variation of the latencies is estimated from their 50th and 95th percentiles, because a single outlier would
    distort their standard deviation.

    ``alone``: a closed-loop run with one caller.
    ``size_cv``: coefficient of variation of the request sizes.
    """
    spread = (alone.percentile_ms(95) / alone.percentile_ms(50) - 1) / 1.645
    return math.sqrt(max(0.0, spread**2 - size_cv**2))


async def measure(seconds: float, service: Observed | None = None) -> Rates:
    """Measure all rates and return them.

    ``seconds``: how long the load of each kind of work lasts.
    ``service``: the service to load; None starts a temporary one.
    """
    engines = await batch_times.measure(BATCH_SHARE * seconds)
    if service is None:
        with observed() as throw_away:
            return await loaded(throw_away, seconds, engines)
    return await loaded(service, seconds, engines)


async def loaded(service: Observed, seconds: float, engines: dict[str, batch_times.Engine]) -> Rates:
    """Return all rates: the batch times in ``engines``, and CPU times, for which ``service`` is put under load.

    ``seconds``: how long the load of each kind of work lasts.
    ``engines``: the batch times of each kind, as ``batch_times.measure`` returns them.
    """
    kinds: dict[str, KindRates] = {}
    cores: list[float] = []
    async with Client(service.url, service.headers()) as client:
        for kind, call in {ASR: succeeds(asr(client)), TTS: succeeds(tts(client))}.items():
            kinds[kind], had = await _of_kind(service, kind, call, engines[kind], seconds)
            cores.append(had)
    spent = await spend(service, lambda: live(service, STREAMS, min(STREAM_S, 2 + seconds)))
    heard = sum(spent.result.latencies_s)
    units = sum(size for engine, size, _seconds in spent.batches if engine == engines[ASR].name)
    api = sum(spent.used.get(role, 0.0) for role in (LOOP, POOL, LEDGER))
    rates = Rates(
        device=batch_times.device(),
        machine=environment.machine().rsplit(",", 1)[0],
        asr_model=engines[ASR].model,
        tts_engine=engines[TTS].model,
        measured_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        cores=statistics.fmean(cores),
        asr=kinds[ASR],
        tts=kinds[TTS],
        live=LiveRates(units_per_s=units / heard, api_s_per_s=api / heard),
    )
    return fitted(rates)


async def _of_kind(
    service: Observed, kind: str, call: Call, engine: batch_times.Engine, seconds: float
) -> tuple[KindRates, float]:
    """Load the service with one kind of request; return its rates, and how many cores were available to the run.

    Raise ``RuntimeError`` if a request fails or none is answered.
    """
    await closed_loop(call, concurrency=BUSY, seconds=WARM_UP_S)
    alone = await closed_loop(call, concurrency=1, seconds=min(ALONE_S, seconds))
    spent = await spend(service, lambda: closed_loop(call, concurrency=BUSY, seconds=seconds))
    result = spent.result
    if not result.latencies_s or result.failures:
        raise RuntimeError(f"{result.failures} requests for {kind} failed")
    size = statistics.fmean(engine.sizes)
    size_cv = statistics.pstdev(engine.sizes) / size
    rates = KindRates(
        engine.batch,
        Processor(
            loop_s=spent.each(LOOP),
            pool_s=spent.each(POOL),
            ledger_s=spent.each(LEDGER),
            engine_s=spent.each(ENGINE),
            client_s=spent.client_s / len(result.latencies_s),
            stages=engine.stages,
            stages_before=3 if kind == ASR else 1,
        ),
        size=size,
        size_cv=size_cv,
        effort_cv=_spread(alone, size_cv),
        mean_batch=spent.mean_batch(engine.name),
        loaded=Loaded(
            BUSY, seconds, result.per_second, result.percentile_ms(50) / 1000, result.percentile_ms(95) / 1000
        ),
    )
    return rates, spent.cores
