"""The headers of every response, and requests that are refused before their bodies are read."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from django.conf import settings

TOO_MUCH = settings.VOICE_MAX_UPLOAD_BYTES + settings.MULTIPART_OVERHEAD_BYTES + 1


def code(response: httpx.Response) -> tuple[int, str]:
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return response.status_code, error["code"]


async def in_pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(0, size, 65_536):
        yield b"\0" * 65_536


@pytest.mark.parametrize("path", ["/v1/models", "/v1/nothing", "/healthz", "/nowhere", "/metrics", "/docs/"])
async def test_every_response_carries_the_headers(stranger: httpx.AsyncClient, path: str) -> None:
    headers = (await stranger.get(path)).headers
    assert headers["X-Request-Id"].startswith("req_")
    assert int(headers["OpenAI-Processing-Ms"]) >= 0
    assert headers["X-RateLimit-Limit-Requests"] == "60000"
    assert {"X-RateLimit-Remaining-Requests", "X-RateLimit-Reset-Requests"} <= {*map(_title, headers)}


def _title(name: str) -> str:
    return name.title().replace("Ratelimit", "RateLimit")


@pytest.mark.parametrize(
    ("sent", "kept"), [("abc-1.2_3", True), ("a" * 129, False), ("dua kata", False), ("a/b", False)]
)
async def test_a_valid_request_id_is_kept(stranger: httpx.AsyncClient, sent: str, kept: bool) -> None:
    response = await stranger.get("/healthz", headers={"X-Request-Id": sent})
    assert (response.headers["X-Request-Id"] == sent) is kept


async def test_an_unknown_address_returns_an_error_envelope(stranger: httpx.AsyncClient) -> None:
    assert code(await stranger.get("/v1/audio/nothing")) == (404, "not_found")
    assert code(await stranger.get("/nothing")) == (404, "not_found")


async def test_a_wrong_method_returns_an_error_envelope(api: httpx.AsyncClient) -> None:
    assert code(await api.delete("/v1/models")) == (405, "method_not_allowed")
    assert code(await api.request("TRACE", "/v1/models")) == (405, "method_not_allowed")


async def test_invalid_json_returns_an_error_envelope(api: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    for body in (b"{", b"[1]", b"\xff\xfe", b"[" * 200_000, b'{"input": NaN}'):
        response = await api.post("/v1/audio/speech", content=body, headers=headers)
        assert code(response) == (400, "invalid_value")


async def test_a_wrong_content_type(api: httpx.AsyncClient) -> None:
    assert code(await api.post("/v1/audio/speech", data={"input": "x"})) == (415, "unsupported_media_type")
    assert code(await api.post("/v1/audio/transcriptions", json={})) == (415, "unsupported_media_type")


async def test_a_body_is_refused_by_its_content_length(api: httpx.AsyncClient) -> None:
    response = await api.post("/v1/audio/transcriptions", files={"file": b"\0" * TOO_MUCH})
    assert code(response) == (413, "file_too_large")


async def test_a_chunked_body_is_counted(api: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    response = await api.post("/v1/audio/transcriptions", content=in_pieces(TOO_MUCH), headers=headers)
    assert code(response) == (413, "file_too_large")
    headers = {"Content-Type": "application/json"}
    response = await api.post("/v1/audio/speech", content=in_pieces(settings.VOICE_MAX_JSON_BYTES + 1), headers=headers)
    assert code(response) == (413, "file_too_large")


async def test_a_chunked_multipart_body_is_read(api: httpx.AsyncClient) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nno-such-model\r\n--x--\r\n'

    async def body() -> AsyncIterator[bytes]:
        yield part[:20]
        yield part[20:]

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    response = await api.post("/v1/audio/transcriptions", content=body(), headers=headers)
    assert response.status_code in (400, 404)
    assert response.json()["error"]["param"] in ("file", "model")


async def test_an_unauthenticated_large_body_is_not_read(stranger: httpx.AsyncClient) -> None:
    response = await stranger.post("/v1/audio/transcriptions", files={"file": b"\0" * 1_000_000})
    assert code(response) == (401, "missing_credentials")


async def test_static_files_are_served(stranger: httpx.AsyncClient) -> None:
    page = (await stranger.get("/docs/")).text
    assert "//cdn" not in page and "http://" not in page.replace("http://www.w3.org", "")
    script = await stranger.get("/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js")
    assert script.status_code == 200 and len(script.content) > 100_000
    assert (await stranger.get("/static/../voiceproject/settings.py")).status_code == 404
    assert (await stranger.get("/static/nothing.css")).status_code == 404


async def test_options_head_and_trailing_slashes_work(stranger: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    options = await stranger.options("/v1/audio/speech")
    assert (options.status_code, options.content) == (204, b"")
    assert "POST" in options.headers["Allow"]
    head = await api.head("/v1/models")
    assert (head.status_code, head.content) == (200, b"")
    assert (await api.get("/v1/models/")).status_code == 200
    assert (await api.get("/v1/models/whisper-1/")).json()["id"] == "whisper-1"
    assert (await api.post("/v1/audio/speech/", json={"input": "Selamat pagi."})).status_code == 200


async def test_text_is_sent_compressed(stranger: httpx.AsyncClient) -> None:
    path = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"
    packed = await stranger.get(path, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < 700_000
    plain = await stranger.get(path, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert plain.content == packed.content
