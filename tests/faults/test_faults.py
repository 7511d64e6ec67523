"""Each dependency fails in each of four ways, and the disk is full, while callers use the service.

``make test-faults`` runs this test and prints a table of responses and recovery times. The requirements are:

- no request takes longer than ``DEADLINE_S`` plus ``GRACE_S``;
- every response is a success or a 503;
- recovery takes at most ``MAX_RECOVERY_S``;
- each request that succeeded has exactly one row in the ledger.

The service has recovered when callers are served again and the service finds all dependencies available.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from core.percentiles import percentile
from tests import dependencies, services, sound
from tests.faults.proxy import Proxy, State, proxied
from tests.hostile.memory import family
from tests.services import Served

FAULT_S = float(os.environ.get("FAULT_S", "8"))
CALLERS = 4
PAUSE_S = 0.3
DEADLINE_S = 12.0
GRACE_S = 3.0  # to send and read a refusal on a busy machine
MAX_RECOVERY_S = 15.0
WELL = 8  # successes in a row that count as recovered: two for each caller
HONEST = {200, 503}

pytestmark = pytest.mark.skipif("VOICE_TEST_FAULTS" not in os.environ, reason="make test-faults")


@dataclass
class Seen:
    """What callers experienced during one fault.

    ``answers``: the number of responses by status; errors count under their name.
    ``took_s``: the duration of each request in seconds.
    ``recovery_s``: the seconds from the end of the fault until the service had recovered.
    """

    answers: Counter[int | str] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)
    recovery_s: float = 0.0


@dataclass
class Load:
    """A load of callers who request speech to text and text to speech in turn, with short pauses.

    ``service``: the service under test.
    ``seen``: what callers experience during the current fault.
    ``served``: ids of the requests that succeeded.
    ``in_a_row``: number of successes since the last failure.
    """

    service: Served
    seen: Seen = field(default_factory=Seen)
    served: list[str] = field(default_factory=list)
    in_a_row: int = 0

    async def run(self) -> None:
        clip = sound.wav(sound.said("selamat pagi semua"))
        await asyncio.gather(*(self._caller(number, clip) for number in range(CALLERS)))

    async def _caller(self, number: int, clip: bytes) -> None:
        headers = self.service.headers(**{"X-Voice-User": f"pengguna-{number}"})
        timeout = httpx.Timeout(DEADLINE_S * 3)
        async with httpx.AsyncClient(base_url=self.service.url, headers=headers, timeout=timeout) as client:
            for turn in itertools.count():
                seen = self.seen  # a request counts for the fault during which it began
                began = time.monotonic()
                try:
                    answer = await self._ask(client, clip, is_spoken=bool(turn % 2))
                except httpx.HTTPError as error:
                    seen.answers[type(error).__name__] += 1
                    self.in_a_row = 0
                else:
                    seen.answers[answer.status_code] += 1
                    self.in_a_row = self.in_a_row + 1 if answer.status_code == 200 else 0
                    if answer.status_code == 200:
                        self.served.append(answer.headers["X-Request-Id"])
                seen.took_s.append(time.monotonic() - began)
                await asyncio.sleep(PAUSE_S)

    @staticmethod
    async def _ask(client: httpx.AsyncClient, clip: bytes, *, is_spoken: bool) -> httpx.Response:
        if is_spoken:
            body = {"model": "tts-1", "input": f"Selamat pagi {uuid.uuid4().hex[:6]}.", "response_format": "pcm"}
            return await client.post("/v1/audio/speech", json=body)
        form = {"model": "whisper-1", "language": "ms"}
        return await client.post("/v1/audio/transcriptions", files={"file": ("a.wav", clip)}, data=form)


@dataclass
class World:
    load: Load
    proxies: dict[str, Proxy]
    postgres_url: str
    spool: Path


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    with ExitStack() as servers:
        postgres = servers.enter_context(dependencies.postgres(tmp_path))
        redis = servers.enter_context(dependencies.redis(tmp_path))
        models = {"VOICE_ASR_MODEL": "whisper-ms-demo", "VOICE_TTS_MODEL": "espeak-ng"}
        tier = await asyncio.to_thread(lambda: servers.enter_context(services.inference_tier(tmp_path, **models)))
        async with AsyncExitStack() as stack:
            urls = {"PostgreSQL": postgres, "Redis": redis, "inference tier": tier.url}
            ports = {name: urlsplit(url).port or 0 for name, url in urls.items()}
            proxies = {name: await stack.enter_async_context(proxied(port)) for name, port in ports.items()}
            addresses = {
                name: url.replace(f":{ports[name]}", f":{proxies[name].port}", 1) for name, url in urls.items()
            }
            settings = {
                "DATABASE_URL": addresses["PostgreSQL"],
                "REDIS_URL": addresses["Redis"],
                "VOICE_INFERENCE_URL": addresses["inference tier"],
                "VOICE_DEADLINE_S": str(DEADLINE_S),
                "VOICE_RATE_LIMIT": "100000",
                **models,
            }
            service = await stack.enter_async_context(_Service(tmp_path, settings))
            yield World(Load(service), proxies, postgres, tmp_path / "state" / "spool")


Fault = AbstractAsyncContextManager[None]


def _faults(world: World) -> dict[tuple[str, str], Fault]:
    """Return the faults by dependency and kind, in the order of the printed table."""
    states = (State.GONE, State.REFUSING, State.SILENT, State.SLOW)
    faults: dict[tuple[str, str], Fault] = {
        (name, str(state)): _in_state(proxy, state) for name, proxy in world.proxies.items() for state in states
    }
    pid = world.load.service.process.pid
    faults["disk", "full"] = _full_disk(pid)
    faults["disk, PostgreSQL", "full, gone"] = _both(
        _full_disk(pid), _in_state(world.proxies["PostgreSQL"], State.GONE)
    )
    return faults


@asynccontextmanager
async def _in_state(proxy: Proxy, state: State) -> AsyncIterator[None]:
    await proxy.put(state)
    try:
        yield
    finally:
        await proxy.put(State.THERE)


@asynccontextmanager
async def _full_disk(pid: int) -> AsyncIterator[None]:
    """Forbid all processes of the service to enlarge files, so writes fail as on a full disk."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    _bound_files(pid, (0, before[1]))
    try:
        yield
    finally:
        _bound_files(pid, before)


def _bound_files(pid: int, limits: tuple[int, int]) -> None:
    for one in family(pid):
        resource.prlimit(one, resource.RLIMIT_FSIZE, limits)


@asynccontextmanager
async def _both(first: Fault, second: Fault) -> AsyncIterator[None]:
    async with first, second:
        yield


class _Service:
    """An async context manager that runs ``services.served`` in a thread, because the proxies need the event loop."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self._context = services.served(folder, **settings)

    async def __aenter__(self) -> Served:
        return await asyncio.to_thread(self._context.__enter__)

    async def __aexit__(self, *error: object) -> None:
        await asyncio.to_thread(self._context.__exit__, None, None, None)


@pytest.mark.timeout(1200)
async def test_every_dependency_in_every_state(world: World) -> None:
    load = asyncio.create_task(world.load.run())
    table: dict[tuple[str, str], Seen] = {}
    try:
        await _until_well(world.load)
        for case, fault in _faults(world).items():
            seen = world.load.seen = table[case] = Seen()
            async with fault:
                await asyncio.sleep(FAULT_S)
            seen.recovery_s = await _until_well(world.load)
            world.load.seen = Seen()
    finally:
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
    print(_as_text(table))
    await _check_the_ledger(world)
    for case, seen in table.items():
        assert set(seen.answers) <= HONEST, case
        assert max(seen.took_s) <= DEADLINE_S + GRACE_S, case
        assert seen.recovery_s <= MAX_RECOVERY_S, case


async def _until_well(load: Load) -> float:
    """Wait until all callers are served again and ``/readyz`` reports success; return the seconds that this took.

    Give up after 4 * ``MAX_RECOVERY_S``.
    """
    began = time.monotonic()
    load.in_a_row = 0
    async with httpx.AsyncClient(base_url=load.service.url, timeout=DEADLINE_S) as client:
        while time.monotonic() - began < 4 * MAX_RECOVERY_S:
            if load.in_a_row >= WELL and (await client.get("/readyz")).status_code == 200:
                break
            await asyncio.sleep(0.05)
    return time.monotonic() - began


async def _check_the_ledger(world: World) -> None:
    ends_at = time.monotonic() + MAX_RECOVERY_S
    while list(world.spool.glob("*.jsonl")) and time.monotonic() < ends_at:
        await asyncio.sleep(0.2)
    async with await psycopg.AsyncConnection.connect(world.postgres_url) as connection:
        cursor = await connection.execute("SELECT request_id FROM usage_ledgerentry WHERE status = 200")
        rows = Counter(name for (name,) in await cursor.fetchall())
    wanted = {name: rows[name] for name in world.load.served}
    print(f"ledger: {len(wanted)} answered requests, {sum(wanted.values())} rows")
    assert set(wanted.values()) == {1}


def _as_text(table: dict[tuple[str, str], Seen]) -> str:
    lines = [f"\n{'dependency':<18}{'state':<12}{'served':>8}{'503':>6}{'other':>7}{'p95, s':>8}{'most':>7}{'well':>7}"]
    for (name, state), seen in table.items():
        other = seen.answers.total() - seen.answers[200] - seen.answers[503]
        lines.append(
            f"{name:<18}{state:<12}{seen.answers[200]:>8}{seen.answers[503]:>6}{other:>7}"
            f"{percentile(seen.took_s, 95):>8.2f}{max(seen.took_s, default=0):>7.2f}{seen.recovery_s:>7.1f}"
        )
    return "\n".join(lines)
