from __future__ import annotations

import httpx
import pytest
from pytest_django import Settings

from core.errors import ApiError
from gateway.catalogue import ALIASES, Task, offered, resolve


async def test_models(api: httpx.AsyncClient) -> None:
    body = (await api.get("/v1/models")).json()
    assert body["object"] == "list"
    names = [model["id"] for model in body["data"]]
    assert len(names) == len(set(names))
    assert set(ALIASES) < set(names)
    for model in body["data"]:
        assert set(model) - {"notice"} == {"id", "object", "created", "owned_by"}
        assert (await api.get(f"/v1/models/{model['id']}")).json() == model


async def test_the_bundled_model_is_described_as_a_demo_model(api: httpx.AsyncClient) -> None:
    assert "not people" in (await api.get("/v1/models/whisper-1")).json()["notice"]
    assert "notice" not in (await api.get("/v1/models/tts-1")).json(), "eSpeak NG was asked for"
    (said,) = (await api.get("/readyz")).json()["notices"]
    assert "not people" in said


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("gpt-transcribe", Task.TRANSCRIPTION),
        ("gpt-live-transcribe", Task.TRANSCRIPTION),
        ("gpt-realtime-whisper", Task.TRANSCRIPTION),
        ("gpt-4o-transcribe-diarize", Task.TRANSCRIPTION),
        ("gpt-4o-mini-transcribe-2025-12-15", Task.TRANSCRIPTION),
        ("gpt-4o-mini-tts-2025-12-15", Task.SPEECH),
    ],
)
async def test_common_default_names_are_accepted(api: httpx.AsyncClient, name: str, task: Task) -> None:
    assert resolve(name, task) == offered(task)[0]
    assert (await api.get(f"/v1/models/{name}")).json()["id"] == name


def test_unknown_model_names_are_accepted_if_configured(settings: Settings) -> None:
    with pytest.raises(ApiError):
        resolve("gpt-6-transcribe", Task.TRANSCRIPTION)
    settings.VOICE_UNKNOWN_MODELS = "default"
    assert resolve("gpt-6-transcribe", Task.TRANSCRIPTION) == offered(Task.TRANSCRIPTION)[0]
    with pytest.raises(ApiError):
        resolve("tts-1", Task.TRANSCRIPTION)  # a known model of another task
    with pytest.raises(ApiError):
        resolve("something-else", Task.TRANSCRIPTION)


async def test_models_and_voices_can_be_listed_without_a_key(stranger: httpx.AsyncClient) -> None:
    voices = (await stranger.get("/v1/audio/voices")).json()["voices"]
    assert voices
    assert all(set(voice) == {"id", "name"} for voice in voices)
    models = (await stranger.get("/v1/audio/models")).json()["models"]
    assert {"id": "tts-1"} in models
    assert all(resolve(model["id"], Task.SPEECH) for model in models)
    assert (await stranger.get("/v1/models")).status_code == 200
    assert (await stranger.get("/v1/models/whisper-1")).status_code == 200


async def test_a_wrong_key_is_refused_even_where_none_is_needed(stranger: httpx.AsyncClient) -> None:
    response = await stranger.get("/v1/models", headers={"Authorization": "Bearer vk_wrong"})
    assert response.status_code == 401


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
def test_a_model_of_another_task_is_refused(name: str, task: Task) -> None:
    with pytest.raises(ApiError) as caught:
        resolve(name, task)
    assert (caught.value.status, caught.value.code, caught.value.param) == (404, "model_not_found", "model")
