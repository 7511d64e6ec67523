from __future__ import annotations

import httpx
import pytest

from voiceproject.catalogue import ALIASES, Task, offered, resolve
from voiceproject.errors import ApiError


async def test_models(api: httpx.AsyncClient) -> None:
    body = (await api.get("/v1/models")).json()
    assert body["object"] == "list"
    names = [model["id"] for model in body["data"]]
    assert len(names) == len(set(names))
    assert set(ALIASES) < set(names)
    for model in body["data"]:
        assert set(model) - {"notice"} == {"id", "object", "created", "owned_by"}
        assert (await api.get(f"/v1/models/{model['id']}")).json() == model


async def test_the_small_bundled_model_says_what_it_is(api: httpx.AsyncClient) -> None:
    assert "not people" in (await api.get("/v1/models/whisper-1")).json()["notice"]
    assert "notice" not in (await api.get("/v1/models/tts-1")).json(), "eSpeak NG was asked for"
    (said,) = (await api.get("/readyz")).json()["notices"]
    assert "not people" in said


async def test_an_unknown_model(api: httpx.AsyncClient) -> None:
    response = await api.get("/v1/models/gpt-4")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"


def test_aliases_mean_the_default_of_their_task() -> None:
    assert resolve("whisper-1", Task.TRANSCRIPTION) == resolve(None, Task.TRANSCRIPTION)
    assert resolve("tts-1-hd", Task.SPEECH) == offered(Task.SPEECH)[0]


@pytest.mark.parametrize(
    ("name", "task"), [("tts-1", Task.TRANSCRIPTION), ("whisper-1", Task.SPEECH), ("x", Task.SPEECH)]
)
def test_a_model_of_another_task(name: str, task: Task) -> None:
    with pytest.raises(ApiError) as caught:
        resolve(name, task)
    assert (caught.value.status, caught.value.code, caught.value.param) == (404, "model_not_found", "model")
