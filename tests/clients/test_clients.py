"""Real client libraries work with ``manage.py serve`` (small models) when only their base URL and key are changed.

For each library there is a program, which runs in a separate environment. Open WebUI and LibreChat are applications,
not libraries; these tests repeat the requests that they make.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests import dependencies, services, sound
from tests.clients.conftest import ENVIRONMENTS

HERE = services.ROOT / "tests" / "clients"
FOLDER = Path(os.environ[ENVIRONMENTS])
SENTENCE = "selamat pagi semua"
LIMIT_S = 100
LIVE_RATE = 24_000
SMALL = {"VOICE_ASR_MODEL": "", "VOICE_TTS_MODEL": ""}
PYTHON_PROGRAMS = [
    ("python", "openai_python"),
    ("openai-1", "openai_python"),
    ("python", "openai_types"),
    ("python", "litellm_calls"),
    ("python", "livekit_agents"),
    ("python", "pipecat_services"),
    ("python", "openai_agents"),
    ("python", "langchain_parser"),
    ("wyoming", "wyoming_bridge"),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[services.Served]:
    with services.served(tmp_path_factory.mktemp("clients"), **SMALL) as running:
        yield running


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV file with a sentence at 24 kHz, the default rate of OpenAI's realtime sessions."""
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    said = sound.said(SENTENCE)
    seconds = len(said) / sound.RATE
    times = np.arange(round(seconds * LIVE_RATE)) / LIVE_RATE
    stretched = np.interp(times, np.arange(len(said)) / sound.RATE, said).astype(said.dtype)
    path.write_bytes(sound.wav(stretched, LIVE_RATE))
    return path


def python_of(environment: str) -> str:
    return str(FOLDER / environment / "bin" / "python")


async def started(command: list[str], url: str, key: str, clip: Path) -> asyncio.subprocess.Process:
    about = {"CLIENT_URL": url, "CLIENT_KEY": key, "CLIENT_CLIP": str(clip), "CLIENT_SENTENCE": SENTENCE}
    about |= {"CLIENT_PORT": str(dependencies.free_port()), "HOME": str(clip.parent)}
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *command,
        cwd=FOLDER,
        env={**os.environ, **about},
        stdin=pipe,
        stdout=pipe,
        stderr=asyncio.subprocess.STDOUT,
    )


async def finished(process: asyncio.subprocess.Process) -> None:
    try:
        output, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, output.decode(errors="replace")[-4000:]


@pytest.mark.parametrize(("environment", "program"), PYTHON_PROGRAMS)
async def test_python(environment: str, program: str, service: services.Served, clip: Path) -> None:
    if environment == "wyoming" and not (FOLDER / environment).exists():
        pytest.skip("wyoming-openai needs Python 3.12, which is not here")
    command = [python_of(environment), str(HERE / "programs" / f"{program}.py")]
    await finished(await started(command, service.url, service.key, clip))


@pytest.mark.parametrize("program", ["openai_node", "ai_sdk", "ws_sockets"])
async def test_node(program: str, service: services.Served, clip: Path) -> None:
    # Node looks for packages in the folder of the program.
    script = shutil.copy(HERE / "programs" / f"{program}.mjs", FOLDER / "node")
    await finished(await started(["node", str(script)], service.url, service.key, clip))


async def test_voice_js_has_correct_types(clip: Path) -> None:
    compiler = str(FOLDER / "node" / "node_modules" / ".bin" / "tsc")
    strict = ["--allowJs", "--checkJs", "--strict", "--noEmit", "--target", "esnext", "--lib", "esnext,dom"]
    await finished(await started([compiler, *strict, str(services.ROOT / "static" / "voice.js")], "", "", clip))


class Relay:
    """Forwards connections to a service whose process may be replaced, as a load balancer does.

    ``backend``: the address to which new connections are forwarded.
    """

    def __init__(self, backend: str) -> None:
        self.backend = backend

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield "http://{}:{}".format(*server.sockets[0].getsockname())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        url = httpx.URL(self.backend)
        upstream, downstream = await asyncio.open_connection(url.host, url.port)
        await asyncio.gather(_copy(reader, downstream), _copy(upstream, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


ROLLING = {"openai-python": ["openai_reconnects.py"], "livekit": ["livekit_agents.py", "restart"]}


@pytest.mark.parametrize("arguments", ROLLING.values(), ids=ROLLING)
async def test_a_rolling_deploy(arguments: list[str], clip: Path, tmp_path: Path) -> None:
    """While the old process drains, new connections go to the new one, and a live session continues there."""
    program, *rest = arguments
    folders = [tmp_path / name for name in ("old", "new")]
    for folder in folders:
        folder.mkdir()
    with services.served(folders[0], **SMALL) as old, services.served(folders[1], **SMALL) as new:
        relay = Relay(old.url)
        async with relay.listening() as url:
            process = await started([python_of("python"), str(HERE / "programs" / program), *rest], url, old.key, clip)
            assert process.stdout is not None and process.stdin is not None
            seen = b""
            while b"HEARD\n" not in seen:
                line = await asyncio.wait_for(process.stdout.readline(), LIMIT_S)
                assert line, seen.decode()
                seen += line
            relay.backend = new.url
            await asyncio.to_thread(old.stop)
            process.stdin.write(b"RESTARTED\n")
            await finished(process)


@pytest.fixture(scope="module")
def recording(clip: Path) -> bytes:
    return clip.read_bytes()


async def test_open_webui(service: services.Served, recording: bytes) -> None:
    """Make Open WebUI's requests: those of its settings page, without a key, and those of its ``routers/audio.py``."""
    async with httpx.AsyncClient(base_url=f"{service.url}/v1", timeout=60) as client:
        voices = (await client.get("/audio/voices")).json()["voices"]
        models = (await client.get("/audio/models")).json()["models"]
        assert {"whisper-1", "tts-1"} <= {model["id"] for model in (await client.get("/models")).json()["data"]}
        headers = service.headers(**{"X-OpenWebUI-User-Id": "7", "X-OpenWebUI-User-Name": "Aminah"})
        wanted = {"input": "Apa khabar?", "model": models[0]["id"], "voice": voices[0]["id"]}
        spoken = await client.post("/audio/speech", json=wanted, headers=headers)
        assert (spoken.status_code, spoken.headers["content-type"]) == (200, "audio/mpeg")
        for data in ({"model": "whisper-1", "language": "ms"}, {"model": "whisper-1"}):
            files = {"file": ("recording.wav", recording, "audio/wav")}
            heard = await client.post("/audio/transcriptions", files=files, data=data, headers=headers)
            assert heard.json()["text"] == SENTENCE


async def test_librechat(service: services.Served, recording: bytes) -> None:
    """Make the requests of LibreChat's ``STTService`` and ``TTSService`` with provider ``openai`` and a ``url``."""
    async with httpx.AsyncClient(base_url=f"{service.url}/v1", headers=service.headers(), timeout=60) as client:
        files = {"file": ("audio.wav", recording, "audio/wav")}
        heard = await client.post("/audio/transcriptions", files=files, data={"model": "whisper-1", "language": "ms"})
        assert heard.json()["text"] == SENTENCE
        wanted = {"input": "Apa khabar?", "model": "tts-1", "voice": "alloy", "backend": "openai"}
        async with client.stream("POST", "/audio/speech", json=wanted) as spoken:
            assert len(await spoken.aread()) > 1000
