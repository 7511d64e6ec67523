"""What a request costs this machine: batch times by size with nothing else running, and processor time by thread of the
service at work. `manage.py measure_rates` writes it to a file; the planner and the simulator read it.

Processor time is measured while the service is as busy as it can be, because a thread that shares caches and memory
with others takes longer for the same work than one that runs alone.
"""

from __future__ import annotations

import asyncio
import copy
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

from tests import sound  # noqa: E402
from tests.services import ROOT, free_port  # noqa: E402
from tools.benchmarks.client import Client  # noqa: E402
from tools.benchmarks.observed import BOOKS, ENGINE, LOOP, POOL  # noqa: E402
from tools.benchmarks.report import Result  # noqa: E402
from tools.benchmarks.through_http import asr, succeeds, tts  # noqa: E402
from tools.benchmarks.workload import SENTENCES, clips, closed_loop, said  # noqa: E402
from tools.planning.rates import (  # noqa: E402
    ASR,
    TTS,
    BatchTime,
    KindRates,
    LiveRates,
    Processor,
    Rates,
    fit_line,
)

BURSTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
ROUNDS = 5  # of a measurement that takes its time; a short one has fewer
BUSY = 24  # callers at once: enough that the machine is never idle, few enough that nothing is refused
WARM_UP_S = 1.5
ALONE_S = 2.0
STREAMS = 4  # a short measurement has shorter ones
STREAM_S = 8.0
ENGINE_OF = {ASR: "asr"}


@dataclass
class Observed:
    """A throw-away service and what its threads use."""

    url: str
    key: str
    process: subprocess.Popen[str]
    answers: Any

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def read(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        told: dict[str, Any] = json.loads(self.answers.readline())
        return told


@contextmanager
def observed() -> Iterator[Observed]:
    port = free_port()
    key = "vk_rates_0123456789abcdef"
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "PORT": str(port),
            "VOICE_STATE_DIR": f"{folder}/state",
            "VOICE_DEMO_API_KEY": key,
            "VOICE_TTS_CACHE_BYTES": "0",
            "VOICE_RATE_LIMIT": "0",
            # A slow model would refuse some of the callers, or let another one speak: then nothing could be measured.
            "VOICE_ASR_WAIT_S": "0",
            "VOICE_TTS_WAIT_S": "0",
            "VOICE_TTS_BROWNOUT": "false",
            "VOICE_LOG_LEVEL": "WARNING",
            "DATABASE_URL": "",
            "REDIS_URL": "",
        }
        reading, writing = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.benchmarks.observed", str(writing)],
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
class Spent:
    """A loaded run: processor seconds by role, batches, and how many cores the run and idleness had together."""

    result: Result
    used: dict[str, float]
    client_s: float
    batches: list[tuple[str, int, float]]
    cores: float

    def each(self, role: str) -> float:
        return self.used.get(role, 0.0) / len(self.result.latencies_s)

    def mean_batch(self, engine: str) -> float:
        sizes = [size for name, size, _seconds in self.batches if name == engine]
        return sum(sizes) / len(sizes) if sizes else 1.0


async def spend(service: Observed, run: Callable[[], Awaitable[Result]]) -> Spent:
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
    return Spent(result, used, client, batches, min(cores, float(os.cpu_count() or 1)))


def _idle_s() -> float:
    """Idle time of all cores since the start of the machine."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


async def live(service: Observed, streams: int, seconds: float) -> Result:
    """Streams of live recognition in real time: speech, a pause, speech."""
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


async def batch_times(rounds: int = ROUNDS) -> tuple[dict[str, tuple[float, float]], dict[str, Any]]:
    """Fixed and per-cost seconds of a batch by kind, through the engines of this process, and what there is to know of
    these. Of each size the fastest run counts: the others were disturbed."""
    from asr.checkpoint import configured
    from asr.tuning import cores_here, device_here, parallelism, tuning
    from asr.units import Options, SpeechUnit
    from asr.whisper_engine import whisper
    from inference import runtime
    from tts.units import SpeechUnit as Sentence
    from tts.voices import catalogue

    await runtime.load_all()
    checkpoint = configured()
    voice = catalogue().resolve(default="ms", voice="alloy")
    ENGINE_OF[TTS] = voice.engine
    audio = [sound.said(sentence) for sentence in SENTENCES]
    heard = [SpeechUnit(audio=each, options=Options(language="ms")) for each in audio]
    spoken = [Sentence(text=said(number), voice=voice) for number in range(len(SENTENCES))]
    table = tuning(checkpoint, device_here(), cores_here())
    contexts = [table.context_s(unit.duration_s) for unit in heard]
    costs = {ASR: statistics.fmean(contexts), TTS: statistics.fmean(unit.cost for unit in spoken)}
    seen: list[tuple[str, int, float]] = []
    runtime.observe_batches(lambda engine, size, seconds: seen.append((engine, size, seconds)))
    engines: dict[str, Any] = {ASR: whisper(), TTS: runtime.engine(voice.engine)}
    for number in BURSTS * rounds:
        for kind, units in ((ASR, heard), (TTS, spoken)):
            # Only one context bucket, so that sizes are what was asked for.
            same = [
                unit for unit, context in zip(units, contexts, strict=True) if kind == TTS or context == contexts[0]
            ]
            wanted = [copy.copy(same[index % len(same)]) for index in range(number)]
            await asyncio.gather(*(engines[kind].submit(unit) for unit in wanted))
    costs[ASR] = float(contexts[0])
    fits = {}
    for kind in (ASR, TTS):
        fastest: dict[int, float] = {}
        for engine, size, seconds in seen:
            if engine == ENGINE_OF[kind]:
                fastest[size] = min(seconds, fastest.get(size, seconds))
        fits[kind] = fit_line([(size * costs[kind], seconds) for size, seconds in sorted(fastest.items())])
    about = {
        "asr_model": checkpoint.name,
        "buckets": checkpoint.contexts_s,
        "batch_cost": float(contexts[0] * table.limit(contexts[0])),  # of the clips measured; others' differ little
        "workers": parallelism(table, checkpoint, cores_here())[0],
        "tts_engine": voice.engine,
        "device": _device(),
        "sizes": {ASR: [len(each) / sound.RATE for each in audio], TTS: [len(unit.text) for unit in spoken]},
        "stages": {ASR: await _shares_asr(checkpoint, engines[ASR]._features), TTS: _shares_tts(voice)},
    }
    await runtime.close_all()
    return fits, about


def _device() -> str:
    """What the engines run on."""
    import ctranslate2
    from django.conf import settings

    wanted = settings.VOICE_ASR_DEVICE
    is_gpu = wanted == "cuda" or (wanted == "auto" and ctranslate2.get_cuda_device_count() > 0)
    if not is_gpu:
        return f"processor, {environment.processor()}, {os.cpu_count()} cores"
    import pynvml

    pynvml.nvmlInit()
    return f"GPU, {pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(0))}"


def _timed(work: Callable[[], Any]) -> float:
    """Processor seconds, the least of some."""
    times = []
    for _ in range(5):
        began = time.thread_time()
        work()
        times.append(time.thread_time() - began)
    return min(times)


async def _shares_asr(checkpoint: Any, features: Callable[[Any], Any]) -> tuple[float, ...]:
    """How the pool's jobs share its time: decode, find speech, compute features; then look for more speech."""

    from asr.audio import decode
    from asr.voice_activity import segments

    file = clips()[0]
    recording = decode(file, max_duration_s=60)
    found = list(segments(recording, checkpoint.segment_s, checkpoint.longest_pause_s))
    parts = [
        _timed(lambda: decode(file, max_duration_s=60)),
        _timed(lambda: next(segments(recording, checkpoint.segment_s, checkpoint.longest_pause_s))),
        _timed(lambda: features(recording.float32(found[0].start, found[0].end))),
        1e-5,
    ]
    return tuple(round(part / sum(parts), 4) for part in parts)


def _shares_tts(voice: Any) -> tuple[float, ...]:
    """Split into sentences; then finish the sound, encode it."""
    import numpy as np

    from tts.encoding import AudioFormat, encode
    from tts.espeak import SAMPLE_RATE, speak
    from tts.synthesis import finish, sentences_of
    from tts.units import Speech

    speech = Speech(speak(said(0), "ms").astype(np.float32) / np.float32(32768), SAMPLE_RATE)
    samples = finish(speech)
    parts = [
        _timed(lambda: sentences_of(said(0), "ms")),
        _timed(lambda: finish(speech)),
        _timed(lambda: encode(samples, AudioFormat.MP3)),
    ]
    return tuple(round(part / sum(parts), 4) for part in parts)


def _spread(alone: Result, size_cv: float) -> float:
    """How much the answers to one caller spread beyond what their sizes explain: standard deviation over mean, from the
    95th and 50th percentile, as a single hiccup would make the standard deviation itself anything."""
    spread = (alone.percentile_ms(95) / alone.percentile_ms(50) - 1) / 1.645
    return math.sqrt(max(0.0, spread**2 - size_cv**2))


async def measure(seconds: float, service: Observed | None = None) -> Rates:
    """All of it. ``seconds`` of load for each kind. With a service, that one is loaded."""
    fits, about = await batch_times(ROUNDS if seconds >= ROUNDS else 1)
    if service is None:
        with observed() as throw_away:
            return await loaded(throw_away, seconds, fits, about)
    return await loaded(service, seconds, fits, about)


async def loaded(
    service: Observed, seconds: float, fits: dict[str, tuple[float, float]], about: dict[str, Any]
) -> Rates:
    from django.conf import settings

    kinds: dict[str, KindRates] = {}
    cores: list[float] = []
    async with Client(service.url, service.headers()) as client:
        calls = {ASR: succeeds(asr(client)), TTS: succeeds(tts(client))}
        for kind, call in calls.items():
            await closed_loop(call, concurrency=BUSY, seconds=WARM_UP_S)
            alone = await closed_loop(call, concurrency=1, seconds=min(ALONE_S, seconds))
            spent = await spend(service, lambda call=call: closed_loop(call, concurrency=BUSY, seconds=seconds))  # type: ignore[misc]
            if not spent.result.latencies_s or spent.result.failures:
                raise RuntimeError(f"{spent.result.failures} requests for {kind} failed")
            cores.append(spent.cores)
            sizes = about["sizes"][kind]
            batch = (
                BatchTime(
                    *fits[kind],
                    settings.VOICE_ASR_BATCH,
                    about["batch_cost"],
                    tuple(map(float, about["buckets"])),
                    workers=about["workers"],
                    queue=settings.VOICE_ASR_QUEUE,
                )
                if kind == ASR
                else BatchTime(*fits[kind], 16, queue=settings.VOICE_TTS_QUEUE)
            )
            kinds[kind] = KindRates(
                batch,
                Processor(
                    loop_s=spent.each(LOOP),
                    pool_s=spent.each(POOL),
                    books_s=spent.each(BOOKS),
                    engine_s=spent.each(ENGINE),
                    client_s=spent.client_s / len(spent.result.latencies_s),
                    stages=about["stages"][kind],
                    stages_before=3 if kind == ASR else 1,
                ),
                size=statistics.fmean(sizes),
                size_cv=(size_cv := statistics.pstdev(sizes) / statistics.fmean(sizes)),
                effort_cv=_spread(alone, size_cv),
                mean_batch=spent.mean_batch(ENGINE_OF[kind]),
            )
    spent = await spend(service, lambda: live(service, STREAMS, min(STREAM_S, 2 + seconds)))
    heard = sum(spent.result.latencies_s)
    units = sum(size for engine, size, _seconds in spent.batches if engine == ENGINE_OF[ASR])
    api = sum(spent.used.get(role, 0.0) for role in (LOOP, POOL, BOOKS))
    return Rates(
        device=about["device"],
        machine=environment.machine().rsplit(",", 1)[0],
        asr_model=about["asr_model"],
        tts_engine=about["tts_engine"],
        measured_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        cores=statistics.fmean(cores),
        asr=kinds[ASR],
        tts=kinds[TTS],
        live=LiveRates(units_per_s=units / heard, api_s_per_s=api / heard),
    )
