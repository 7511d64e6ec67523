"""A change of model without downtime, as described in docs/operations.md.

A second tier starts beside the first. When it is ready, traffic moves to it, and the first tier finishes its requests.
Callers notice nothing.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx

from tests import sound
from tests.services import free_port, inference_tier, lasting_port, served

FILE = {"file": ("a.wav", sound.wav(sound.said("selamat pagi semua")))}
SETTLED_S = 3.0  # seconds of load before and after the switch
CALLERS = 2
PATIENT = {"VOICE_ASR_WAIT_S": "0", "VOICE_TTS_WAIT_S": "0"}  # no limit, because a busy machine would refuse requests


class Balancer:
    """One address for a server that can be replaced.

    New connections go to ``target``. Open connections stay where they are.
    """

    def __init__(self, target: int) -> None:
        self.port = lasting_port()
        self.target = target

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            behind = await asyncio.open_connection("127.0.0.1", self.target)
            await asyncio.gather(_pass_on(reader, behind[1]), _pass_on(behind[0], writer))

    @contextmanager
    def running(self) -> Iterator[None]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        listening = asyncio.start_server(self._connected, "127.0.0.1", self.port)
        asyncio.run_coroutine_threadsafe(listening, loop).result(5)
        try:
            yield
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(5)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


def test_callers_notice_nothing(tmp_path: Path) -> None:
    answers: Counter[int] = Counter()
    stopping = threading.Event()
    with ExitStack() as stack:
        first = stack.enter_context(inference_tier(tmp_path, port=free_port(), **PATIENT))
        balancer = Balancer(int(first.url.rpartition(":")[2]))
        stack.enter_context(balancer.running())
        tier = f"http://127.0.0.1:{balancer.port}"
        server = stack.enter_context(served(tmp_path, VOICE_INFERENCE_URL=tier, **PATIENT))

        def call() -> None:
            with httpx.Client(base_url=server.url, headers=server.headers(), timeout=60) as client:
                while not stopping.is_set():
                    spoken = client.post("/v1/audio/speech", json={"input": "Apa khabar?", "response_format": "wav"})
                    heard = client.post("/v1/audio/transcriptions", files=FILE, data={"model": "whisper-1"})
                    answers.update([spoken.status_code, heard.status_code])

        callers = [threading.Thread(target=call) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        # The tier is yielded when its models are warm.
        second = stack.enter_context(inference_tier(tmp_path, port=free_port(), **PATIENT))
        before = answers.total()
        balancer.target = int(second.url.rpartition(":")[2])
        stopping.wait(SETTLED_S)
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(30) == 0
        stopping.wait(SETTLED_S)
        stopping.set()
        for caller in callers:
            caller.join(30)
    assert before > 0
    assert answers.total() > before
    assert set(answers) == {200}, answers
