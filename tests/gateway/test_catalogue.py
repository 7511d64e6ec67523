from __future__ import annotations

import httpx
import pytest

from core.errors import ApiError
from gateway.catalogue import ALIASES, Task, offered, resolve


async def test_models(api: httpx.AsyncClient) -> None:
    body = (await api.get("/v1/models")).json()
    assert body["object"] == "list"
    names = [model["id"] for model in body["data"]]
    assert len(names) == len(set(names))
    assert set(ALIASES) < set(names)
    for model in body["data"]:
        assert set(model) == {"id", "object", "created", "owned_by"}
        assert (await api.get(f"/v1/models/{model['id']}")).json() == model


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
