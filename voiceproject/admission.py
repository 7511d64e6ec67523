"""Is there time for more speech work? Asked before a request's body is read, so that a refusal costs next to nothing.

``inference.admission`` decides; here it is put in front of the endpoints. A refused caller who is known has their
ledger row, as everybody who is refused has, and the alerts see it.
"""

from __future__ import annotations

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, HTTPScope
from django.conf import settings

from inference.admission import Door
from inference.errors import OverCapacity
from rollout.feature import Feature
from voiceproject import metrics
from voiceproject.context import current
from voiceproject.edge import HttpApp, headers_of, send_error
from voiceproject.errors import ApiError, as_api_error
from voiceproject.gate import FEATURES, Kind, Work
from voiceproject.identity import authenticate
from voiceproject.perloop import PerLoop

KINDS = {
    "/v1/audio/transcriptions": Kind.TRANSCRIPTION,
    "/v1/audio/translations": Kind.TRANSLATION,
    "/v1/audio/speech": Kind.SPEECH,
}
# What the first requests are taken for: 16 bit audio at 16 kHz, and JSON with little but text.
SECONDS_PER_BYTE, CHARACTERS_PER_BYTE = 1 / 32_000, 0.8
# As much of one request as is in an engine at once: 32 segments of about 10 s, 8 sentences of about 100 characters.
DEAREST_S, DEAREST_CHARACTERS = 320, 800


def _doors() -> dict[Feature, Door]:
    return {
        Feature.ASR: Door(
            longest_s=settings.VOICE_ASR_WAIT_S,
            most=settings.VOICE_ASR_QUEUE,
            cost_per_byte=SECONDS_PER_BYTE,
            dearest=DEAREST_S,
        ),
        Feature.TTS: Door(
            longest_s=settings.VOICE_TTS_WAIT_S,
            most=settings.VOICE_TTS_QUEUE,
            cost_per_byte=CHARACTERS_PER_BYTE,
            dearest=DEAREST_CHARACTERS,
        ),
    }


doors = PerLoop(_doors)


class Admission:
    def __init__(self, app: HttpApp) -> None:
        self._app = app

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        kind = KINDS.get(scope["path"]) if scope["method"] == "POST" else None
        if kind is None:
            await self._app(scope, receive, send)
            return
        feature = FEATURES[kind]
        door = doors()[feature]
        metrics.admission_wait_seconds.labels(feature.value).set(door.wait_s)
        try:
            admitted = door.enter(_size(scope))
        except OverCapacity as refusal:
            metrics.admission_refused_total.labels(feature.value).inc()
            await _refuse(kind, scope, send, refusal)
            return
        current().admitted = admitted
        succeeded = False

        async def watched(event: ASGISendEvent) -> None:
            nonlocal succeeded
            if event["type"] == "http.response.start":
                succeeded = event["status"] == 200
            await send(event)

        try:
            await self._app(scope, receive, watched)
        finally:
            admitted.leave(done=succeeded)


def obstacle(feature: Feature) -> ApiError | None:
    """The refusal that a request would get now, without taking anything."""
    door = doors().get(feature)
    return as_api_error(OverCapacity(1.0)) if door is not None and door.is_full else None


def _size(scope: HTTPScope) -> int:
    """The announced length of the body; 0 where it is not announced."""
    announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return int(announced) if announced.isdigit() else 0


async def _refuse(kind: Kind, scope: HTTPScope, send: ASGISendCallable, refusal: OverCapacity) -> None:
    try:
        caller = await authenticate(headers_of(scope))
    except ApiError as stranger:
        await send_error(stranger, send)
        return
    Work(kind, caller).note(refusal)
    await send_error(as_api_error(refusal), send)
