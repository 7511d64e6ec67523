"""Metrics, logs, health checks, and the schema of the API."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from pathlib import Path

import httpx
import pytest
import yaml
from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from prometheus_client.parser import text_string_to_metric_families

from core.context import RequestContext, enter
from core.logs import MAX_CAUSES, JsonFormatter, RequestIdFilter, without_messages
from tts.espeak_engine import EspeakEngine
from tts.units import SpeechUnit


async def sample(client: httpx.AsyncClient, name: str, **labels: str) -> float:
    """Return the sum of all series of a metric that have these labels."""
    families = text_string_to_metric_families((await client.get("/metrics")).text)
    found = (one for family in families for one in family.samples if one.name == name)
    return sum(one.value for one in found if labels.items() <= one.labels.items())


async def test_requests_are_counted_by_kind(api: httpx.AsyncClient) -> None:
    counted = [
        ("voice_requests_total", {"kind": "speech", "status": "200"}),
        ("voice_request_seconds_count", {"kind": "speech"}),
        ("voice_queue_seconds_count", {"kind": "speech"}),
        ("voice_real_time_factor_count", {"kind": "speech"}),
        ("voice_batch_size_count", {"engine": "espeak-ng"}),
        ("voice_ledger_write_seconds_count", {}),
    ]
    before = [await sample(api, name, **labels) for name, labels in counted]
    characters = await sample(api, "voice_characters_total")
    audio_s = await sample(api, "voice_audio_seconds_total", kind="speech")
    await api.post("/v1/audio/speech", json={"input": "Ini ayat untuk kiraan."})
    after = [await sample(api, name, **labels) for name, labels in counted]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1.0] * len(counted)
    assert await sample(api, "voice_characters_total") - characters == len("Ini ayat untuk kiraan.")
    assert 0.5 < await sample(api, "voice_audio_seconds_total", kind="speech") - audio_s < 5
    assert await sample(api, "voice_engine_ready", engine="asr") == 1.0
    assert await sample(api, "voice_queue_length", engine="asr") == 0.0


async def test_the_version_is_exported(api: httpx.AsyncClient) -> None:
    version = (await api.get("/healthz")).json()["version"]
    assert await sample(api, "voice_build_info", version=version) == 1.0
    changes = (Path(settings.BASE_DIR) / "CHANGELOG.md").read_text()
    assert f"\n## {version}" in changes


async def test_django_prometheus_counts_every_request(api: httpx.AsyncClient) -> None:
    name = "django_http_responses_total_by_status_total"
    labels = {"status": "404"}
    before = await sample(api, name, **labels)
    await api.get("/nowhere")
    assert await sample(api, name, **labels) == before + 1


async def test_ready(stranger: httpx.AsyncClient) -> None:
    response = await stranger.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "ready")
    assert response.json()["checks"] == {"models": "ok", "database": "ok"}


async def test_not_ready_without_redis(stranger: httpx.AsyncClient, settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    response = await stranger.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["redis"] == "unreachable"


async def test_each_request_has_one_log_line_without_secrets(
    api: httpx.AsyncClient, api_key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await api.post("/v1/audio/speech?q=rahsia", json={"input": "Rahsia besar."}, headers={"X-Request-Id": "satu"})
    while not (lines := [record for record in caplog.records if record.name == "voiceproject.requests"]):
        await asyncio.sleep(0.01)  # the log line is written after the answer has been sent
    (line,) = lines
    enter(RequestContext(id="satu"))
    RequestIdFilter().filter(line)
    written = JsonFormatter().format(line)
    assert (
        json.loads(written).items()
        >= {
            "message": "request",
            "method": "POST",
            "path": "/v1/audio/speech",
            "status": 200,
            "client": "chat-ujian",
            "kind": "speech",
            "request_id": "satu",
            "level": "INFO",
        }.items()
    )
    assert "ahsia" not in written
    assert api_key not in written


def test_an_exception_is_one_log_line() -> None:
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "it failed", None, None)
    try:
        raise ValueError("why")
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    written = JsonFormatter().format(record)
    assert "\n" not in written
    assert "ValueError: why" in json.loads(written)["exc_info"]


def test_a_logged_error_quotes_nobody() -> None:
    """An error of the service has its traceback and causes in the log, but no message that may quote a user."""

    class NeedsArguments(Exception):
        def __init__(self, first: str, second: str) -> None:
            super().__init__(first + second)

    try:
        try:
            {}["rahsia"]
        except KeyError as error:
            raise NeedsArguments("rahsia ", "besar") from error
    except NeedsArguments as error:
        record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "it failed", None, None)
        copy = without_messages(error)
        record.exc_info = (type(copy), copy, copy.__traceback__)
    written = json.loads(JsonFormatter().format(record))["exc_info"]
    messages = [line for line in written.splitlines() if not line.startswith(" ")]
    assert [line.rpartition(".")[2] for line in messages if ": (" in line] == [
        "KeyError: (the message is not logged)",
        "NeedsArguments: (the message is not logged)",
    ]
    assert not any("rahsia" in line for line in messages)
    assert "test_a_logged_error_quotes_nobody" in written


def test_causes_in_a_cycle_are_logged_a_limited_number_of_times() -> None:
    error = ValueError("a")
    error.__cause__ = RuntimeError("b")
    error.__cause__.__cause__ = error
    copy: BaseException | None = without_messages(error)
    seen: list[str] = []
    while copy is not None and len(seen) < 1000:
        seen.append(type(copy).__name__)
        copy = copy.__cause__
    assert seen[:3] == ["ValueError", "RuntimeError", "ValueError"]
    assert len(seen) == MAX_CAUSES + 1


async def test_a_failing_engine_does_not_put_the_users_text_in_the_log(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_engine: EspeakEngine, unit: SpeechUnit) -> None:
        raise ValueError(f"cannot speak {unit.text!r}")

    monkeypatch.setattr(EspeakEngine, "submit", fail)
    response = await api.post("/v1/audio/speech", json={"model": "espeak-ng", "input": "rahsia saya"})
    assert response.status_code == 500
    logged = [JsonFormatter().format(record) for record in caplog.records]
    assert any("ValueError: (the message is not logged)" in line for line in logged)
    assert not any("rahsia" in line for line in logged)


@pytest.mark.parametrize("format_", ["%00", "nonsense"])
async def test_a_schema_in_an_unknown_format(stranger: httpx.AsyncClient, format_: str) -> None:
    """The error response is YAML, like the schema."""
    response = await stranger.get(f"/schema/?format={format_}")
    assert (response.status_code, yaml.safe_load(response.text)["error"]["code"]) == (404, "not_found")


async def test_the_first_schemas_can_be_asked_for_at_once(
    stranger: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """drf-spectacular loads its extensions at the first schema; two threads that do so at once disturb each other."""
    at_work = 0
    most = 0

    def get_schema(*_: object, **__: object) -> dict[str, str]:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        time.sleep(0.1)
        at_work -= 1
        return {}

    monkeypatch.setattr(SchemaGenerator, "get_schema", get_schema)
    responses = await asyncio.gather(*(stranger.get("/schema/") for _ in range(3)))
    assert [response.status_code for response in responses] == [200, 200, 200]
    assert most == 1


async def test_the_schema_describes_every_call(stranger: httpx.AsyncClient, capsys) -> None:
    schema = yaml.safe_load((await stranger.get("/schema/")).text)
    assert {
        "/v1/audio/speech",
        "/v1/audio/transcriptions",
        "/v1/audio/translations",
        "/v1/audio/voices",
        "/v1/audio/models",
        "/v1/models",
        "/v1/models/{name}",
        "/v1/usage",
        "/v1/realtime/client_secrets",
        "/v1/voice/availability",
        "/v1/audio/transcriptions/{request_id}/correction",
        "/v1/audio/speech/{request_id}/rating",
        "/v1/audio/speech/script",
    } == set(schema["paths"])
    assert schema["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert "Warning" not in capsys.readouterr().err
