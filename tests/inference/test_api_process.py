"""An API process with ``VOICE_INFERENCE_URL`` offers the same service as one process, but loads no models."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
import pytest
from websockets.sync.client import connect

from tests import sound
from tests.dependencies import lasting_port
from tests.services import Served, inference_tier, served

CLIP = sound.said("selamat pagi semua")
FILE = {"file": ("a.wav", sound.wav(CLIP))}


def transcribe(client: httpx.Client) -> httpx.Response:
    return client.post("/v1/audio/transcriptions", files=FILE, data={"model": "whisper-1", "language": "ms"})


def wait_for(client: httpx.Client, status: int) -> httpx.Response:
    while (response := client.get("/readyz")).status_code != status:
        time.sleep(0.05)
    return response


def connected(server: Served, path: str):
    return connect(server.url.replace("http", "ws") + path, additional_headers=server.headers())


def listened(server: Served) -> str:
    """Return the final transcript of live recognition."""
    pcm = np.round(CLIP * 32767).astype("<i2").tobytes()
    with connected(server, "/ws/asr") as socket:
        socket.send(json.dumps({"type": "start", "sample_rate": 16000, "language": "ms"}))
        for start in range(0, len(pcm), 6400):
            socket.send(pcm[start : start + 6400])
        socket.send(json.dumps({"type": "stop"}))
        events = [json.loads(message) for message in socket]
    return " ".join(event["text"] for event in events if event["type"] == "final")


def read_aloud(server: Served) -> bytes:
    with connected(server, "/ws/tts") as socket:
        socket.send(json.dumps({"type": "text", "text": "Apa khabar? Cuaca baik."}))
        socket.send(json.dumps({"type": "end"}))
        return b"".join(message for message in socket if isinstance(message, bytes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("api")


def test_the_api_survives_the_loss_of_its_tier(folder: Path) -> None:
    port = lasting_port()
    with ExitStack() as stack:
        tier = stack.enter_context(inference_tier(folder, port=port))
        server = stack.enter_context(served(folder, VOICE_INFERENCE_URL=tier.url))
        client = stack.enter_context(httpx.Client(base_url=server.url, headers=server.headers(), timeout=60))
        assert transcribe(client).json()["text"].strip().lower().startswith("selamat pagi")
        spoken = client.post("/v1/audio/speech", json={"input": "Apa khabar?", "response_format": "wav"})
        assert (spoken.status_code, spoken.content[:4]) == (200, b"RIFF")
        assert 'voice_engine_ready{engine="asr"} 1.0' in client.get("/metrics").text
        assert listened(server).strip().lower().startswith("selamat pagi")
        assert len(read_aloud(server)) > 10_000
        assert "model.bin" not in Path(f"/proc/{server.process.pid}/maps").read_text()

        tier.process.kill()
        tier.process.wait()
        assert "unreachable" in wait_for(client, 503).json()["checks"]["models"]
        refused = transcribe(client)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "engine_unavailable")
        assert int(refused.headers["Retry-After"]) >= 1
        assert client.get("/healthz").status_code == 200
        # The process stays ready for traffic, so callers get the service's own refusal. The admin needs no tier.
        assert client.get("/readyz?for=traffic").status_code == 200
        assert client.get("/readyz?for=pages").json()["checks"] == {"database": "ok"}
        assert client.get("/admin/login/").status_code == 200

        stack.enter_context(inference_tier(folder, port=port))
        wait_for(client, 200)
        assert transcribe(client).status_code == 200


def test_an_api_process_that_starts_before_its_tier(folder: Path) -> None:
    port = lasting_port()
    with ExitStack() as stack:
        early = folder / "early"
        early.mkdir()
        url = f"http://127.0.0.1:{port}"
        server = stack.enter_context(served(early, is_ready=False, VOICE_INFERENCE_URL=url))
        client = stack.enter_context(httpx.Client(base_url=server.url, headers=server.headers(), timeout=60))
        assert transcribe(client).status_code == 503
        assert client.get("/readyz").status_code == 503
        stack.enter_context(inference_tier(early, port=port))
        wait_for(client, 200)
        assert transcribe(client).status_code == 200
        assert json.loads(client.get("/readyz").text)["checks"]["models"] == "ok"


def test_the_tier_chooses_its_models_as_if_it_had_no_tier(folder: Path) -> None:
    """A tier that shares the environment of the API processes runs the models that are installed on its machine."""
    (folder / "no_models").mkdir()
    shared = {"VOICE_INFERENCE_URL": "http://tier:8000", "VOICE_MODELS_DIR": str(folder / "no_models")}
    with inference_tier(folder, **shared) as tier:
        assert sorted(httpx.get(f"{tier.url}/units/v1/about").json()) == ["asr", "espeak-ng"]


def test_pages_need_no_tier(folder: Path) -> None:
    """If the inference tier cannot be reached at start, the process is ready for pages, but not for speech requests.

    It becomes ready for speech requests once it has reached the tier.
    """
    state = folder / "alone"
    state.mkdir()
    with served(state, is_ready=False, VOICE_INFERENCE_URL=f"http://127.0.0.1:{lasting_port()}") as server:
        ready = {what: httpx.get(f"{server.url}/readyz?for={what}").status_code for what in ("pages", "traffic")}
        assert ready == {"pages": 200, "traffic": 503}
        assert httpx.get(f"{server.url}/admin/login/").status_code == 200
        assert httpx.get(f"{server.url}/v1/usage", headers=server.headers()).status_code == 200
