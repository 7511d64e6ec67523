"""Compare the speed of uvicorn and Daphne.

    python -m tools.benchmarks.servers

The request is an authenticated ``GET /v1/models``, because most of its time is spent in the ASGI server.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

import httpx

from tools.benchmarks import environment

environment.prepare()

from tests.dependencies import free_port  # noqa: E402
from tests.services import served  # noqa: E402
from tools.benchmarks.client import Client  # noqa: E402
from tools.benchmarks.report import Result, Row, table  # noqa: E402
from tools.benchmarks.workload import closed_loop  # noqa: E402

SECONDS = 5.0


async def measure(url: str, headers: dict[str, str], concurrency: int) -> Result:
    """Run a closed loop of ``concurrency`` callers for ``SECONDS``, after a warm-up; return its result."""
    async with Client(url, headers) as client:
        request = client.request("GET", "/v1/models")

        async def call(_number: int) -> bool:
            return (await client.send(request)).succeeded

        await closed_loop(call, concurrency=concurrency, seconds=1)
        return await closed_loop(call, concurrency=concurrency, seconds=SECONDS)


async def wait_for(url: str) -> None:
    """Wait until the server at ``url`` answers. Raise ``TimeoutError`` if it does not answer within about 20 s."""
    async with httpx.AsyncClient() as client:
        for _ in range(200):
            try:
                await client.get(f"{url}/healthz")
                return
            except httpx.TransportError:
                await asyncio.sleep(0.1)
    raise TimeoutError(url)


async def main() -> None:
    print(environment.machine())
    rows = []
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), VOICE_LOG_LEVEL="WARNING") as service:
        headers = service.headers()
        rows.append(Row("uvicorn (manage.py serve)", 20, await measure(service.url, headers, 20)))
        # Daphne uses the same database. The first server is still running, but idle.
        port = free_port()
        settings = {"VOICE_STATE_DIR": f"{folder}/state", "VOICE_LOG_LEVEL": "WARNING"}
        command = ["-m", "daphne", "-p", str(port), "-v", "0", "voiceproject.asgi:application"]
        daphne = await asyncio.create_subprocess_exec(
            sys.executable, *command, env={**os.environ, **settings}, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await wait_for(f"http://127.0.0.1:{port}")
            rows.append(Row("daphne", 20, await measure(f"http://127.0.0.1:{port}", headers, 20)))
        finally:
            daphne.terminate()
            await daphne.wait()
    print(table(rows))
    print(f"uvicorn / daphne = {rows[0].result.per_second / rows[1].result.per_second:.2f}")


if __name__ == "__main__":
    asyncio.run(main())
