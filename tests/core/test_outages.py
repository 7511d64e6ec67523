"""Outages: a service in another process keeps working while PostgreSQL or Redis is stopped and started again.

Clients give up after ``TIMEOUT_S``, so a request that hangs fails its test.
"""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psycopg
import pytest

from tests import dependencies, services
from tests.dependencies import Dependency
from tests.services import Served, served

TIMEOUT_S = 45


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dependency]:
    with dependencies.postgres_server(tmp_path_factory.mktemp("postgres")) as dependency:
        yield dependency


def speak(server: Served, text: str = "Apa khabar?", **headers: str) -> httpx.Response:
    body = {"input": f"{text} {uuid.uuid4().hex[:6]}", "response_format": "pcm"}
    url = f"{server.url}/v1/audio/speech"
    return httpx.post(
        url, json=body, headers=server.headers(**headers), timeout=TIMEOUT_S, verify=services.tls_context()
    )


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def ready(server: Served, query: str = "") -> int:
    return httpx.get(f"{server.url}/readyz{query}", timeout=TIMEOUT_S, verify=services.tls_context()).status_code


def wait_until_ready(server: Served) -> None:
    while ready(server) != 200:
        time.sleep(0.05)


def posted(postgres: Dependency) -> Counter[str]:
    with psycopg.connect(postgres.url) as connection:
        rows = connection.execute("SELECT request_id FROM usage_ledgerentry WHERE status = 200").fetchall()
    return Counter(name for (name,) in rows)


def spooled(folder: Path) -> list[Path]:
    return list((folder / "state" / "spool").glob("*.jsonl"))


def wait_until_posted(postgres: Dependency, folder: Path, requests: list[str]) -> None:
    """Wait until the spool is empty, and check that the ledger has each of these requests exactly once."""
    while spooled(folder):
        time.sleep(0.05)
    assert {name: count for name, count in posted(postgres).items() if name in requests} == dict.fromkeys(requests, 1)


def test_in_a_database_outage_known_callers_are_served_and_charged_later(postgres: Dependency, tmp_path: Path) -> None:
    with served(tmp_path, DATABASE_URL=postgres.url) as server:
        before = speak(server)
        postgres.stop()
        meanwhile = [speak(server) for _ in range(5)]
        assert [response.status_code for response in meanwhile] == [200] * 5
        assert spooled(tmp_path)
        assert "Apa khabar" not in "".join(path.read_text() for path in spooled(tmp_path))
        assert code(speak(server, Authorization="Bearer vk_unknown")) == (503, "engine_unavailable")
        assert (ready(server), ready(server, "?for=traffic")) == (503, 200)
        postgres.start()
        wait_until_ready(server)
        requests = [response.headers["X-Request-Id"] for response in [before, *meanwhile, speak(server)]]
        wait_until_posted(postgres, tmp_path, requests)
        assert server.stop() == 0


def test_the_spool_of_a_killed_process_is_posted_by_the_next(postgres: Dependency, tmp_path: Path) -> None:
    with served(tmp_path, DATABASE_URL=postgres.url) as server:
        speak(server)
        postgres.stop()
        requests = [speak(server).headers["X-Request-Id"] for _ in range(3)]
        server.stop(signal.SIGKILL)
    postgres.start()
    with served(tmp_path, DATABASE_URL=postgres.url):
        wait_until_posted(postgres, tmp_path, requests)


def test_a_database_that_does_not_answer_delays_requests_only_briefly(postgres: Dependency, tmp_path: Path) -> None:
    with served(tmp_path, DATABASE_URL=postgres.url) as server:
        requests = [speak(server).headers["X-Request-Id"]]
        with postgres.frozen():
            requests += [speak(server).headers["X-Request-Id"] for _ in range(2)]
        wait_until_ready(server)
        wait_until_posted(postgres, tmp_path, requests)


def test_cached_values_are_used_for_a_limited_time(postgres: Dependency, tmp_path: Path) -> None:
    with served(tmp_path, DATABASE_URL=postgres.url, VOICE_DATABASE_OUTAGE_S="0.5") as server:
        assert speak(server).status_code == 200
        postgres.stop()
        while (response := speak(server)).status_code == 200:
            time.sleep(0.05)
        assert code(response) == (503, "engine_unavailable")
        assert int(response.headers["Retry-After"]) >= 1
        while ready(server, "?for=traffic") != 503:
            time.sleep(0.05)
        postgres.start()
        wait_until_ready(server)
        assert speak(server).status_code == 200


async def test_without_redis_only_what_needs_it_is_refused(tmp_path: Path) -> None:
    with ExitStack() as stack:
        redis = stack.enter_context(dependencies.redis_server(tmp_path))
        server = stack.enter_context(served(tmp_path, REDIS_URL=redis.url, VOICE_RATE_LIMIT="1000"))
        key = {"Idempotency-Key": "satu"}
        assert (await asyncio.to_thread(speak, server, **key)).status_code == 200
        redis.stop(signal.SIGKILL)
        unkeyed = [asyncio.to_thread(speak, server) for _ in range(5)]
        assert [response.status_code for response in await asyncio.gather(*unkeyed)] == [200] * 5
        refused = await asyncio.to_thread(speak, server, **key)
        assert code(refused) == (503, "engine_unavailable")
        assert "Retry-After" in refused.headers
        assert (ready(server), ready(server, "?for=traffic")) == (503, 200)
        assert '"status": 500' not in server.log.read_text()
        redis.start()
        await asyncio.to_thread(wait_until_ready, server)
        assert (await asyncio.to_thread(speak, server, **{"Idempotency-Key": "dua"})).status_code == 200


async def test_only_the_first_call_waits_for_a_silent_redis(tmp_path: Path) -> None:
    """Redis accepts connections but never responds. Only the first requests wait for it."""
    with ExitStack() as stack:
        redis = stack.enter_context(dependencies.redis_server(tmp_path))
        server = stack.enter_context(served(tmp_path, REDIS_URL=redis.url, VOICE_RATE_LIMIT="1000"))
        assert (await asyncio.to_thread(speak, server)).status_code == 200
        with redis.frozen():
            first = await asyncio.gather(*(asyncio.to_thread(speak, server) for _ in range(5)))
            assert [response.status_code for response in first] == [200] * 5
            later = [await asyncio.to_thread(speak, server) for _ in range(10)]
            assert [response.status_code for response in later] == [200] * 10
            assert sum(response.elapsed.total_seconds() for response in later) < 5
            refused = await asyncio.to_thread(speak, server, **{"Idempotency-Key": "tiga"})
            assert code(refused) == (503, "engine_unavailable")
            assert refused.elapsed.total_seconds() < 1
        await asyncio.to_thread(wait_until_ready, server)
        async with asyncio.timeout(10):
            key = {"Idempotency-Key": "empat"}
            while (await asyncio.to_thread(speak, server, **key)).status_code != 200:
                await asyncio.sleep(0.2)
