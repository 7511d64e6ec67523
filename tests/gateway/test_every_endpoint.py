"""No endpoint or WebSocket does speech work for callers without access.

The tests find all routes automatically. A new route must either refuse unauthenticated callers and users outside the
roll-out, or be listed below with the reason why it does not.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.urls import URLPattern, URLResolver, get_resolver
from websockets.asyncio.client import connect

from rollout.models import Flag
from usage.models import LedgerEntry
from usage.plans import Plan
from voiceproject import asgi

# Paths for monitoring and for browsers, not for API callers. The admin has its own login; the others show no user data.
NOT_FOR_CALLERS = {"healthz", "readyz", "metrics", "schema/", "docs/", "admin/"}
# Pages for staff who sign in. The tests find every address below them; other callers are redirected to the login.
FOR_SIGNED_IN_PEOPLE = {"dashboard/"}
# Endpoints that need credentials but no engine, such as usage and feedback.
NO_SPEECH_WORK = {
    "GET v1/usage",
    "GET v1/voice/availability",
    "POST v1/audio/transcriptions/<str:request_id>/correction",
    "POST v1/audio/speech/<str:request_id>/rating",
    "POST v1/audio/speech/script",
}
# The catalogue, which anybody may read.
PUBLIC = {"GET v1/models", "GET v1/models/<path:name>", "GET v1/audio/models", "GET v1/audio/voices"}


@dataclass(frozen=True)
class Endpoint:
    method: str
    route: str
    is_gated: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.route}"

    @property
    def path(self) -> str:
        return "/" + re.sub(r"<[^>]+>", "anything", self.route)

    async def call(self, client: httpx.AsyncClient, **headers: str) -> httpx.Response:
        return await client.request(self.method, self.path, headers=headers)


def routes(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for entry in patterns:
        route = prefix + str(entry.pattern)
        if route in NOT_FOR_CALLERS | FOR_SIGNED_IN_PEOPLE or (route == "" and isinstance(entry, URLPattern)):
            continue
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, route)
        else:
            yield route, entry.callback


def endpoints() -> list[Endpoint]:
    found = []
    for route, callback in routes(get_resolver().url_patterns):
        view = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
        methods = [name for name in view.http_method_names if hasattr(view, name)] if view else ["get", "post"]
        found += [
            Endpoint(name.upper(), route, getattr(view, "gated", False))
            for name in methods
            if name not in ("options", "head")
        ]
    return [endpoint for endpoint in found if str(endpoint) not in PUBLIC]


def pages() -> list[str]:
    """Return the paths in ``FOR_SIGNED_IN_PEOPLE``, and all paths below them."""
    resolvers = [entry for entry in get_resolver().url_patterns if str(entry.pattern) in FOR_SIGNED_IN_PEOPLE]
    assert len(resolvers) == len(FOR_SIGNED_IN_PEOPLE)
    below = [routes(entry.url_patterns, str(entry.pattern)) for entry in resolvers]
    found = [route for some in below for route, _view in some]
    return ["/" + re.sub(r"<[^>]+>", "anything", route) for route in [*found, *FOR_SIGNED_IN_PEOPLE]]


def sockets() -> list[str]:
    """Return the paths of all WebSockets."""
    return list(vars(asgi)["_sockets"]())


ENDPOINTS = endpoints()
WORK = [endpoint for endpoint in ENDPOINTS if str(endpoint) not in NO_SPEECH_WORK]


@pytest.fixture
def voice_off(voice_on) -> None:
    Flag.objects.update(everyone=None, percent=0)


@pytest.fixture
def no_quota(voice_on) -> None:
    Plan.objects.update(is_default=False)
    Plan.objects.create(name="nothing", is_default=True, hard_audio_minutes=0, hard_characters=0)


def test_all_endpoints_are_found() -> None:
    found = {str(endpoint) for endpoint in ENDPOINTS}
    assert {"POST v1/audio/speech", "POST v1/audio/transcriptions", "POST v1/audio/translations"} <= found
    assert found >= NO_SPEECH_WORK
    assert set(sockets()) == {"/ws/asr", "/v1/realtime", "/ws/tts"}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
async def test_no_endpoint_answers_without_credentials(
    stranger: httpx.AsyncClient, voice_on, endpoint: Endpoint
) -> None:
    response = await endpoint.call(stranger)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "missing_credentials")


@pytest.mark.parametrize("path", pages())
async def test_no_page_is_shown_to_anonymous_visitors(stranger: httpx.AsyncClient, api_key: str, path: str) -> None:
    for headers in ({}, {"Authorization": f"Bearer {api_key}"}):  # an API key does not sign in
        response = await stranger.get(path, headers=headers)
        assert response.status_code == 302
        assert response.headers["Location"] == f"/admin/login/?next={path}"
        assert (await stranger.post(path, headers=headers)).status_code in (403, 405)


@pytest.mark.parametrize("endpoint", WORK, ids=str)
async def test_no_endpoint_works_outside_the_roll_out(api: httpx.AsyncClient, voice_off, endpoint: Endpoint) -> None:
    response = await endpoint.call(api, **{"X-Voice-User": "aminah"})
    assert (response.status_code, response.json()["error"]["code"]) == (403, "voice_not_enabled")
    rows = [(row.status, row.error_code, row.user) async for row in LedgerEntry.objects.all()]
    assert rows == [(403, "voice_not_enabled", "aminah")] * endpoint.is_gated


@pytest.mark.parametrize("endpoint", WORK, ids=str)
async def test_no_endpoint_works_over_the_quota(api: httpx.AsyncClient, no_quota, endpoint: Endpoint) -> None:
    response = await endpoint.call(api, **{"X-Voice-User": "aminah"})
    assert (response.status_code, response.json()["error"]["code"]) == (429, "quota_exceeded")
    assert int(response.headers["Retry-After"]) > 0
    rows = [(row.status, row.units) async for row in LedgerEntry.objects.all()]
    assert rows == [(429, 0)] * endpoint.is_gated


async def first_and_last(url: str, **headers: str) -> tuple[str | bytes, int]:
    """Return the first message of a WebSocket that the server closes, and the close code."""
    async with connect(url, additional_headers=headers) as socket:
        message = await socket.recv()
        await socket.wait_closed()
        return message, socket.close_code or 0


async def test_no_socket_answers_without_credentials(server_address: str, voice_on) -> None:
    for path in sockets():
        message, code = await first_and_last(server_address.replace("http", "ws", 1) + path)
        assert code == 4401, path
        assert "missing_credentials" in str(message)


async def test_no_socket_works_outside_the_roll_out(server_address: str, api_key: str, voice_off) -> None:
    for path in sockets():
        headers = {"Authorization": f"Bearer {api_key}", "X-Voice-User": "aminah"}
        message, code = await first_and_last(server_address.replace("http", "ws", 1) + path, **headers)
        assert code == 4403, path
        assert "voice_not_enabled" in str(message)


async def test_no_socket_works_over_the_quota(server_address: str, api_key: str, no_quota) -> None:
    for path in sockets():
        headers = {"Authorization": f"Bearer {api_key}", "X-Voice-User": "aminah"}
        message, code = await first_and_last(server_address.replace("http", "ws", 1) + path, **headers)
        assert code == 4429, path
        assert "quota_exceeded" in str(message)


async def test_the_kill_switch_ends_open_sockets(server_address: str, api_key: str, voice_on) -> None:
    async def ended(path: str) -> int:
        url = server_address.replace("http", "ws", 1) + path
        headers = {"Authorization": f"Bearer {api_key}"}
        async with connect(url, additional_headers=headers) as socket:
            opened.release()
            await socket.wait_closed()
            return socket.close_code or 0

    opened = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as tasks:
        ends = [tasks.create_task(ended(path)) for path in sockets()]
        for _path in ends:
            await opened.acquire()
        await sync_to_async(Flag.objects.update)(killed=True)
        async with asyncio.timeout(5):
            await asyncio.gather(*ends)
    assert {task.result() for task in ends} == {4403}
