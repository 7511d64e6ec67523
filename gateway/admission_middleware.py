"""Admission control for the endpoints that do speech work. ``inference.admission`` makes the decisions.

Each request is checked twice:

- before its body is read, when a refusal costs almost nothing;
- when its whole body has arrived. From then on, the request counts as load.

Callers are authenticated first, so an unknown caller gets 401 whatever the load. Each refusal for lack of capacity
writes a ledger row, because alerts are based on the ledger.
"""

from __future__ import annotations

import asyncio

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, HTTPScope
from django.conf import settings

from core.context import current
from core.errors import ApiError, as_api_error
from core.identity import Caller, authenticate
from core.per_loop import PerLoop
from gateway import metrics
from gateway.bodies import body_size
from gateway.edge import HttpApp, headers_of, send_error
from gateway.endpoints import FEATURES, kind_of
from gateway.gate import Kind, Work
from inference import runtime
from inference.admission import AdmissionController
from inference.errors import OverCapacity
from rollout.feature import Feature

# Assumed cost per byte until requests have been measured: 16-bit audio at 16 kHz, and JSON that is mostly text.
SECONDS_PER_BYTE = 1 / 32_000
CHARACTERS_PER_BYTE = 0.8
# Maximum work that one request has in an engine at a time: 32 segments of 10 s, or 8 sentences of 100 characters.
MAX_COUNTED_S = 320
MAX_COUNTED_CHARACTERS = 800
ASR = "asr"  # the speech-to-text engine; all other engines do text to speech
SLOW_READER_S = 0.25  # if sending a chunk takes longer, the request does not count as load until the chunk is sent


def _controllers() -> dict[Feature, AdmissionController]:
    """Return a new admission controller for each feature except realtime, which has none."""
    return {
        Feature.ASR: AdmissionController(
            longest_s=settings.VOICE_ASR_WAIT_S,
            most=settings.VOICE_ASR_QUEUE,
            cost_per_byte=SECONDS_PER_BYTE,
            max_counted_cost=MAX_COUNTED_S,
            growth=lambda: runtime.growth(ASR),
        ),
        Feature.TTS: AdmissionController(
            longest_s=settings.VOICE_TTS_WAIT_S,
            most=settings.VOICE_TTS_QUEUE,
            cost_per_byte=CHARACTERS_PER_BYTE,
            max_counted_cost=MAX_COUNTED_CHARACTERS,
            growth=_speech_growth,
        ),
    }


def _speech_growth() -> float:
    """Return the maximum number of text-to-speech replicas in the inference tier, divided by the present number.

    The inference tier is the set of processes that run the models. All text-to-speech engines run in one deployment,
    so the largest value that any of them reports applies to all. Return 1 if there are no such engines.
    """
    return max((runtime.growth(name) for name in runtime.names() if name != ASR), default=1.0)


controllers = PerLoop(_controllers)


class RefuseWhenFull:
    """ASGI middleware that authenticates callers of speech work, and refuses their requests if capacity is short.

    The middleware does both before the body is read.
    """

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
    """ASGI middleware that counts a request for speech work as load, from the body's arrival to the response's end."""

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
            # While a client reads slowly, its request needs no engine, and so must not keep other requests out.
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


def refusal(feature: Feature) -> ApiError | None:
    """Return the error that a request would get now for lack of capacity; None if it would be admitted."""
    controller = controllers().get(feature)
    return as_api_error(OverCapacity(1.0)) if controller is not None and controller.is_full else None


async def _refuse(kind: Kind, caller: Caller, send: ASGISendCallable, refusal: OverCapacity) -> None:
    metrics.admission_refused_total.labels(FEATURES[kind].value).inc()
    Work(kind, caller).settle_refusal(refusal)
    await send_error(as_api_error(refusal), send)
