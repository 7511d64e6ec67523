"""Admission control in front of the endpoints that do speech work. It runs before a request's body is read, so that a
refusal costs next to nothing, and again once the body has arrived; only then does the request count.

``inference.admission`` decides. Only authenticated callers are refused for lack of capacity; each refusal has a ledger
row, as every refusal has, and the alerts see it.
"""

from __future__ import annotations

import asyncio

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, HTTPScope
from django.conf import settings

from core.context import current
from core.errors import ApiError, as_api_error
from core.identity import Caller, authenticate
from core.perloop import PerLoop
from gateway import metrics
from gateway.bodies import body_size
from gateway.edge import HttpApp, headers_of, send_error
from gateway.endpoints import FEATURES, kind_of
from gateway.gate import Kind, Work
from inference import runtime
from inference.admission import AdmissionController
from inference.errors import OverCapacity
from rollout.feature import Feature

# What the first requests are taken for: 16 bit audio at 16 kHz, and JSON with little but text.
SECONDS_PER_BYTE = 1 / 32_000
CHARACTERS_PER_BYTE = 0.8
# As much of one request as is in an engine at once: 32 segments of about 10 s, 8 sentences of about 100 characters.
DEAREST_S = 320
DEAREST_CHARACTERS = 800
ASR = "asr"  # the engine that hears; all others speak
SLOW_READER_S = 0.25  # a client that takes so long with what it is sent holds no place meanwhile


def _controllers() -> dict[Feature, AdmissionController]:
    return {
        Feature.ASR: AdmissionController(
            longest_s=settings.VOICE_ASR_WAIT_S,
            most=settings.VOICE_ASR_QUEUE,
            cost_per_byte=SECONDS_PER_BYTE,
            dearest=DEAREST_S,
            growth=lambda: runtime.growth(ASR),
        ),
        Feature.TTS: AdmissionController(
            longest_s=settings.VOICE_TTS_WAIT_S,
            most=settings.VOICE_TTS_QUEUE,
            cost_per_byte=CHARACTERS_PER_BYTE,
            dearest=DEAREST_CHARACTERS,
            growth=_speech_growth,
        ),
    }


def _speech_growth() -> float:
    """Return the highest growth of any speech engine: one deployment of the tier runs all of them."""
    return max((runtime.growth(name) for name in runtime.names() if name != ASR), default=1.0)


controllers = PerLoop(_controllers)


class RefuseWhenFull:
    """ASGI middleware for speech work: authenticates the caller before any of the body is read, and refuses the request
    at once while there is no capacity."""

    def __init__(self, app: HttpApp) -> None:
        self._app = app

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if (kind := _kind(scope)) is not None:
            try:
                caller = await authenticate(headers_of(scope))
            except ApiError as stranger:
                await send_error(stranger, send)
                return
            try:
                controllers()[FEATURES[kind]].check(body_size(scope))
            except OverCapacity as refusal:
                await _refuse(kind, caller, send, refusal)
                return
        await self._app(scope, receive, send)


class Admission:
    """ASGI middleware: counts speech work from when its body has arrived until it is done."""

    def __init__(self, app: HttpApp) -> None:
        self._app = app

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        kind = _kind(scope)
        if kind is None:
            await self._app(scope, receive, send)
            return
        feature = FEATURES[kind]
        controller = controllers()[feature]
        metrics.admission_wait_seconds.labels(feature.value).set(controller.wait_s)
        try:
            admitted = controller.enter(body_size(scope))
        except OverCapacity as refusal:
            await _refuse(kind, await authenticate(headers_of(scope)), send, refusal)
            return
        current().admitted = admitted
        loop = asyncio.get_running_loop()
        succeeded = False

        async def watched(event: ASGISendEvent) -> None:
            nonlocal succeeded
            if event["type"] == "http.response.start":
                succeeded = event["status"] == 200
            # Who reads slowly waits for nobody's engine, and nobody waits for them.
            slow = loop.call_later(SLOW_READER_S, admitted.pause)
            try:
                await send(event)
            finally:
                slow.cancel()
                admitted.resume()

        try:
            await self._app(scope, receive, watched)
        finally:
            admitted.leave(done=succeeded)


def _kind(scope: HTTPScope) -> Kind | None:
    return kind_of(scope["path"]) if scope["method"] == "POST" else None


def obstacle(feature: Feature) -> ApiError | None:
    """Return the refusal that a request would get now, or None; nothing is reserved."""
    controller = controllers().get(feature)
    return as_api_error(OverCapacity(1.0)) if controller is not None and controller.is_full else None


async def _refuse(kind: Kind, caller: Caller, send: ASGISendCallable, refusal: OverCapacity) -> None:
    metrics.admission_refused_total.labels(FEATURES[kind].value).inc()
    Work(kind, caller).note(refusal)
    await send_error(as_api_error(refusal), send)
