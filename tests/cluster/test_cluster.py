"""A cluster under load, parts of which are killed.

It has Ray, two replicas of each engine, PostgreSQL, Redis and two API processes.

No admitted request is lost: after a 503 or a broken connection, the client asks again and gets its answer. The ledger
contains each finished request exactly once. Recovery times are printed, but have little meaning on a busy machine with
two cores.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import httpx
import numpy as np
import psycopg
import pytest

from asr.units import SAMPLE_RATE, Options, SpeechUnit
from asr.wire import SpeechCodec
from inference.wire import PackedUnit
from tests import dependencies, services, sound
from tests.cluster.load import Load
from tests.cluster.tier import RayTier, ray_tier
from tests.collector import Collector, collecting
from tests.dependencies import Dependency, lasting_port
from tests.services import Served, served

USERS = 8
STEADY = 25  # requests served between two kills
KEY = "vk_test_0123456789abcdef"
# Two replicas hold 2 * 8 units each, and 16 more may wait for them.
ALL_TAKEN = 45
MORE_THAN_FIT = 150
LOSES_HEADS = (
    os.environ.get("VOICE_TEST_RAY_HEADS", "1") == "1"
)  # also kill Ray's head and Redis, which takes another minute


async def replicas(client: httpx.AsyncClient, tier: str, name: str) -> set[int]:
    """Return the process ids of an engine's replicas that are ready and have reported within the last seconds."""
    status = (await client.get(f"{tier}/units/v1/status")).json()
    return {int(one["process"].split(":")[1]) for one in status["engines"][name] if one["ready"]}


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    while True:
        try:
            if await holds():
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.2)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def preparing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[Dependency]]:
    """Prepare a PostgreSQL server with the tables and the demo data while the tier starts, which takes longer."""
    # Two threads that make their first folder at once can choose different base folders, and then one of them fails.
    data, state = tmp_path_factory.mktemp("postgres"), tmp_path_factory.mktemp("preparing")
    with ExitStack() as stack, ThreadPoolExecutor(1) as thread:

        def prepare() -> Dependency:
            server = stack.enter_context(dependencies.postgres_server(data))
            services.run_python(state, "-c", services.PREPARE, DATABASE_URL=server.url)
            return server

        yield thread.submit(prepare)


@pytest.fixture(scope="module")
def ray(
    preparing: Future[Dependency], tmp_path_factory: pytest.TempPathFactory, collector: Collector
) -> Iterator[RayTier]:
    settings = {
        "VOICE_RAY_ASR_REPLICAS": "2",
        "VOICE_RAY_TTS_REPLICAS": "2",
        "VOICE_RAY_ONGOING": "8",
        "VOICE_ASR_QUEUE": "16",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
    }
    if not LOSES_HEADS:  # a run that loses heads keeps Ray's default of 10 s
        # After a burst, the router considers a replica busy for this long, without asking for its state.
        settings["RAY_SERVE_QUEUE_LENGTH_CACHE_TIMEOUT_S"] = "1"
    with ray_tier(tmp_path_factory.mktemp("tier"), **settings) as running:
        yield running


@pytest.fixture
def tier(ray: RayTier) -> str:
    return ray.url


def long_unit() -> bytes:
    """Return the wire frame of a unit with 9 s of speech."""
    audio = np.tile(sound.said("tolong buka lampu di ruang tamu"), 10)[: 9 * SAMPLE_RATE]
    return PackedUnit(SpeechCodec(), SpeechUnit(audio=audio, options=Options(language="ms"))).frame()


async def units_done(client: httpx.AsyncClient, tier: str) -> int:
    """Wait until both replicas are idle; return the total number of units that they have run.

    An idle tier reports only one replica at a time, so several readings may be needed.
    """
    while True:
        status = (await client.get(f"{tier}/units/v1/status")).json()["engines"]["asr"]
        if len(status) == 2 and not any(one["running"] or one["queue_length"] for one in status):
            return sum(one["units"] for one in status)
        await asyncio.sleep(0.2)


@pytest.mark.timeout(400)
async def test_a_full_tier_refuses_and_units_of_disconnected_callers_are_dropped(tier: str) -> None:
    url = f"{tier}/units/v1/asr"
    frame = long_unit()
    limits = httpx.Limits(max_connections=400)
    async with httpx.AsyncClient(timeout=120) as watching:
        async with httpx.AsyncClient(timeout=120, limits=limits) as client:
            answers = await asyncio.gather(*(client.post(url, content=frame) for _ in range(MORE_THAN_FIT)))
            by_status = Counter(answer.status_code for answer in answers)
            print(f"\n{MORE_THAN_FIT} units at once: {dict(by_status)}")
            assert set(by_status) == {200, 503}
            refused = [answer for answer in answers if answer.status_code == 503]
            assert {answer.json()["error"]["code"] for answer in refused} == {"over_capacity"}
            assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)

            before = await units_done(watching, tier)
            waiting = [asyncio.ensure_future(client.post(url, content=frame)) for _ in range(ALL_TAKEN)]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        done = await units_done(watching, tier) - before
        print(f"{ALL_TAKEN} units whose callers disconnected when the first was done: {done} were run")
        assert done < ALL_TAKEN


@pytest.mark.timeout(400)
async def test_kills_lose_nothing(
    ray: RayTier, preparing: Future[Dependency], collector: Collector, tmp_path: Path
) -> None:
    tier = ray.url
    postgres = await asyncio.wrap_future(preparing)
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(dependencies.redis_server(tmp_path))
        apis = stack.enter_context(ExitStack())
        shared = {"DATABASE_URL": postgres.url, "REDIS_URL": redis.url, "VOICE_INFERENCE_URL": tier}
        shared["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
        ports = {name: lasting_port() for name in ("satu", "dua")}

        def start(name: str) -> Served:
            (tmp_path / name).mkdir(exist_ok=True)
            return apis.enter_context(served(tmp_path / name, port=ports[name], **shared))

        first: Served
        second: Served
        first, second = await asyncio.gather(*(asyncio.to_thread(start, name) for name in ports))
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=30))
        load = Load([first.url, second.url], KEY)
        await load.start(USERS)

        async def served_more(number: int = STEADY) -> None:
            wanted = len(load.seen.succeeded) + number
            await until(lambda: _done(len(load.seen.succeeded) >= wanted))

        async def tell(what: str, since: float) -> None:
            took_s = time.monotonic() - since
            answers = dict(load.seen.answers)
            load.seen.answers.clear()
            print(f"{what:<42} {took_s:5.1f} s   answers meanwhile: {answers}", flush=True)

        await served_more()
        print()
        await tell("(warm-up)", time.monotonic())

        async def kill_one(engine: str) -> int:
            """Wait until the engine has two replicas, and kill one of them; return its process id."""

            async def full() -> bool:
                return len(await replicas(client, tier, engine)) == 2

            await until(full)
            victim = sorted(await replicas(client, tier, engine))[0]
            os.kill(victim, signal.SIGKILL)
            return victim

        async def replaced(engine: str, victim: int) -> None:
            async def full_without() -> bool:
                ray.head.supervise()
                now = await replicas(client, tier, engine)
                return len(now) == 2 and victim not in now

            await until(full_without)
            await served_more(1)

        for engine in ("asr", "espeak-ng"):
            since = time.monotonic()
            await replaced(engine, await kill_one(engine))
            await tell(f"one of two {engine} replicas killed", since)
            await served_more()

        since = time.monotonic()
        await asyncio.to_thread(first.stop, signal.SIGKILL)
        first = await asyncio.to_thread(start, "satu")
        await tell("one of two API processes killed", since)
        await served_more()

        redis.stop(signal.SIGKILL)
        await until(lambda: _done(load.seen.answers["503 engine_unavailable"] > 0))
        unkeyed = {"input": "Tanpa Redis pun boleh."}
        answer = await client.post(f"{second.url}/v1/audio/speech", json=unkeyed, headers=second.headers())
        assert answer.status_code == 200, answer.text
        since = time.monotonic()
        await asyncio.to_thread(redis.start)
        await served_more(1)

        async def all_ready() -> bool:
            return all([(await client.get(f"{one.url}/readyz")).status_code == 200 for one in (first, second)])

        await until(all_ready)
        await tell("Redis killed (from its start on)", since)
        await served_more()

        if LOSES_HEADS:
            # A new head takes over the running cluster. It proves that by replacing a replica killed in the meantime.
            since = time.monotonic()
            ray.head.kill()
            victim = await kill_one("asr")
            await served_more()
            await tell("Ray's head and an asr replica killed", since)
            since = time.monotonic()
            ray.head.start_elsewhere()
            await replaced("asr", victim)
            await tell("... a head on another machine", since)

            since = time.monotonic()
            ray.redis.stop(signal.SIGKILL)
            await until(lambda: _done(ray.head.has_ended))
            victim = await kill_one("asr")
            await served_more()
            await tell("Ray's Redis killed, which stops the head", since)
            since = time.monotonic()
            ray.head.kill()  # kills the processes that are left
            await asyncio.to_thread(ray.redis.start)
            ray.head.start()
            await replaced("asr", victim)
            await tell("... both started where they were", since)

        async def traced() -> bool:
            return is_traced_across(collector)

        await until(traced)
        await load.stop()
        await tell("(afterwards)", time.monotonic())
        assert not load.seen.lost
        print(f"{len(load.seen.succeeded)} requests succeeded, none lost")
        expected = Counter(load.seen.succeeded)
        assert finished(postgres.url) == expected
        assert set(expected.values()) == {1}


def is_traced_across(collector: Collector) -> bool:
    """Return True if a trace reaches from an API process to the engine of a replica."""
    for unit in collector.named("unit asr", "voice-api"):
        for there in collector.below(unit, "tier asr", "voice-tier"):
            if collector.below(there, "engine asr", "voice-tier"):
                return True
    return False


async def _done(is_done: bool) -> bool:
    return is_done


def finished(url: str) -> Counter[str]:
    with psycopg.connect(url) as connection:
        query = "SELECT request_id FROM usage_ledgerentry WHERE status = 200 AND \"user\" LIKE 'pengguna-%'"
        return Counter(name for (name,) in connection.execute(query))
