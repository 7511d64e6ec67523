"""The headers of every response, and requests that are refused before their bodies are read."""

from __future__ import annotations

import encodings
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


BYPASS = (  # two different objects: one as UTF-8, one if the escapes are decoded before the JSON is parsed
    rb'{"a":"\u0022,\u0022input\u0022:\u0022jahat sekali\u0022,\u0022b\u0022:{\u0022x\u0022:\u0022",'
    rb'"input":"baik","c":"\u0022},\u0022d\u0022:\u0022"}'
)
REFUSED_CHARSETS = [
    "charset=punycode",
    "charset=unicode_escape",
    "charset=raw_unicode_escape",
    "charset=idna",
    "charset=utf-16",
    "charset=utf-8-sig",
    "charset=iso-8859-1",
    "charset=bz2_codec",
    "charset=nonsense",
    'charset="UTF-7"',
    "CHARSET=punycode",
    "charset=utf-8; charset=idna",
    "charset*0=puny; charset*1=code",
    "charset*=utf-8''punycode",
    "other*=idna''x",
    "other*=nonsense''x",
    "other*=x; other*0=y",
]


@pytest.mark.parametrize("charset", REFUSED_CHARSETS)
async def test_other_charsets_than_utf_8_are_refused(api: httpx.AsyncClient, charset: str) -> None:
    headers = {"Content-Type": f"application/json; {charset}"}
    response = await api.post("/v1/audio/speech", content=BYPASS, headers=headers)
    assert code(response) == (415, "unsupported_media_type")


@pytest.mark.parametrize("charset", ["idna", "punycode", "utf-16"])
@pytest.mark.parametrize(
    ("path", "media_type", "body"),
    [
        ("/v1/audio/transcriptions", "multipart/form-data; boundary=B", b"--B--\r\n"),
        ("/v1/audio/speech", "application/x-www-form-urlencoded", b"input=baik"),
        ("/admin/login/", "application/x-www-form-urlencoded", b"username=admin"),
        ("/v1/models?x=%61", "application/json", b""),
    ],
    ids=["multipart", "urlencoded", "admin", "query"],
)
async def test_other_charsets_are_refused_for_all_kinds_of_requests(
    api: httpx.AsyncClient, charset: str, path: str, media_type: str, body: bytes
) -> None:
    headers = {"Content-Type": f"{media_type}; charset={charset}"}
    response = await api.request("POST" if body else "GET", path, content=body, headers=headers)
    assert code(response) == (415, "unsupported_media_type")


async def test_a_charset_in_a_second_content_type_header_is_refused(api: httpx.AsyncClient) -> None:
    headers = [("Content-Type", "application/json; charset=idna"), ("Content-Type", "application/json; charset=utf-8")]
    assert code(await api.post("/v1/audio/speech", content=b"{}", headers=headers)) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_types",
    [
        ["application/json", "application/json"],
        ["application/json; charset=utf-8", "application/json; charset=utf-8"],
        ["application/json, application/json"],
        ['application/json; x="a,b"', 'application/json; x="a,b"'],
    ],
)
async def test_a_repeated_content_type_counts_once(api: httpx.AsyncClient, content_types: list[str]) -> None:
    headers = [("Content-Type", one) for one in content_types]
    assert code(await api.post("/v1/audio/speech", content=b'{"input": ""}', headers=headers)) == (400, "empty_input")


async def test_different_content_types_are_refused(api: httpx.AsyncClient) -> None:
    headers = [("Content-Type", "application/json"), ("Content-Type", "text/plain")]
    response = await api.post("/v1/audio/speech", content=b'{"input": ""}', headers=headers)
    assert code(response) == (415, "unsupported_media_type")


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf8"', "utf_8", "", '""', "us-ascii", "US_ASCII", "ascii"])
async def test_utf_8_and_ascii_are_accepted(api: httpx.AsyncClient, charset: str) -> None:
    headers = {"Content-Type": f"application/json; charset={charset}"}
    response = await api.post("/v1/audio/speech", content=b'{"input": ""}', headers=headers)
    assert code(response) == (400, "empty_input")
    headers = {"Content-Type": f"multipart/form-data; boundary=B; charset={charset}"}
    body = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nno audio\r\n--B--\r\n'
    response = await api.post("/v1/audio/transcriptions", content=body, headers=headers)
    assert code(response) == (400, "invalid_audio")


@pytest.mark.parametrize("charset", ["idna", "punycode", "utf-16", "nonsense"])
async def test_the_charset_of_a_part_has_no_effect(api: httpx.AsyncClient, charset: str) -> None:
    about = f"Content-Type: text/plain; charset={charset}\r\nContent-Disposition: form-data"
    file = f'--B\r\n{about}; name="file"; filename="a.wav"\r\n\r\nno audio\r\n'
    field = f'--B\r\n{about}; name="temperature"\r\n\r\npanas\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    response = await api.post("/v1/audio/transcriptions", content=f"{file}{field}--B--\r\n".encode(), headers=headers)
    assert code(response) == (400, "invalid_value")
    assert response.json()["error"]["param"] == "temperature"


async def test_a_part_whose_header_cannot_be_read_is_refused(api: httpx.AsyncClient) -> None:
    part = b'--B\r\nContent-Disposition: form-data; name="a"; x*=1; x*0=2\r\n\r\nhai\r\n--B--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    response = await api.post("/v1/audio/transcriptions", content=part, headers=headers)
    assert response.status_code == 400
    assert "error" in response.json()


async def test_the_case_of_a_multipart_content_type_does_not_matter(api: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "Multipart/Form-Data; Boundary=B"}
    body = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nno audio\r\n--B--\r\n'
    response = await api.post("/v1/audio/transcriptions", content=body, headers=headers)
    assert code(response) == (400, "invalid_audio")


async def test_unknown_charsets_are_not_remembered(stranger: httpx.AsyncClient) -> None:
    for _ in range(2):  # the first request may load other encodings
        before = len(encodings._cache)
        headers = {"Content-Type": "text/plain; charset=never-heard-of"}
        assert code(await stranger.get("/v1/models", headers=headers)) == (415, "unsupported_media_type")
    assert len(encodings._cache) == before
    assert "never_heard_of" not in encodings._cache


async def test_a_long_content_type_is_refused_before_it_is_parsed(stranger: httpx.AsyncClient) -> None:
    headers = {"Content-Type": 'application/json; x="' + ";" * 60_000}
    assert code(await stranger.get("/v1/models", headers=headers)) == (415, "unsupported_media_type")


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


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE"])
async def test_the_api_page_can_only_be_read(stranger: httpx.AsyncClient, method: str) -> None:
    response = await stranger.request(method, "/docs/")
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD"
    assert (await stranger.head("/docs/")).status_code == 200


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
