"""The HTTP endpoints for text to speech.

``POST /v1/audio/speech`` follows OpenAI's API: https://platform.openai.com/docs/api-reference/audio/createSpeech
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from django.conf import settings
from django.http import HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from core.error_codes import ErrorCode
from core.errors import ApiError
from core.identity import caller_of
from gateway.gate import Kind, Work, request_gate
from gateway.openapi import SSE_EVENT
from gateway.views import ApiView, PublicApiView
from inference.pool import in_first_pool
from spoken_text.sentences import split_sentences
from spoken_text.speakable import speakable
from tts.encoding import AudioFormat
from tts.requested_voice import follows_text, requested_voice
from tts.serializers import (
    ScriptRequestSerializer,
    ScriptSerializer,
    SpeechRequestSerializer,
    VoiceListSerializer,
)
from tts.speech_file import SpeechFile, SpeechRequest, planned_file
from tts.voices import NAME_PART, Voice, catalogue, default_voice

OUTPUT_TOKENS_PER_SECOND = 20  # OpenAI counts 20 tokens for a second of synthesised audio
_RESPONSES = {
    **{
        (200, one.content_type): OpenApiResponse(OpenApiTypes.BINARY, "Sent sentence by sentence")
        for one in AudioFormat
    },
    (200, "text/event-stream"): OpenApiResponse(SSE_EVENT, "`stream_format` = sse"),
}
# A request with instructions is not refused, because openai-agents sends some by default.
_UNINSTRUCTED = gettext_noop("instructions are not followed: the voice speaks as it always does.")
DEGRADED_HEADER = "X-Voice-Degraded"
_FORM = SpeechRequestSerializer()  # shared, because it keeps no request data and takes longer to create than to use
_SSE_BYTES = 3 * 16_384  # maximum audio in one event; a multiple of three needs no base64 padding


class SpeechView(ApiView):
    """Speak a text: return an audio file, or a stream of server-sent events."""

    gated = True

    @extend_schema(
        operation_id="create_speech",
        summary="Text to speech",
        request=SpeechRequestSerializer,
        responses=_RESPONSES,
    )
    async def post(self, request: Request) -> HttpResponseBase:
        async with request_gate(caller_of(request), Kind.SPEECH) as work:
            fields = _valid(await self.body(request))
            await work.admit(fields.get("user"))
            speech_request = _speech_request(fields, work)
            work.model = speech_request.voice.model
            work.voice = speech_request.voice.id
            work.language = speech_request.spoken_language
            work.characters = len(speech_request.text)
            await work.reserve()
            file = await planned_file(speech_request)
            if file.is_exempt_from_admission:
                work.leave_admission()
            else:
                work.set_cost(work.characters if file.synthesis else 0)  # a cached file costs nothing
            await file.make_if_short()
            work.audio_ms = file.audio_ms
            work.queue_ms = file.queue_ms
            response: HttpResponseBase
            if fields["stream_format"] == "sse":
                response = await work.stream(_events(file, work), content_type="text/event-stream")
            elif file.finished is not None:
                response = HttpResponse(file.finished.data, content_type=speech_request.audio_format.content_type)
            else:
                content_type = speech_request.audio_format.content_type
                response = await work.stream(_metered(file, work), content_type=content_type)
            if (fields.get("instructions") or "").strip():
                response.headers["Warning"] = f'199 - "{_(_UNINSTRUCTED)}"'
            if file.degraded:
                _note_fallback(work, file.fallback_voice)
                response.headers[DEGRADED_HEADER] = file.degraded.value
            return response


class ScriptView(ApiView):
    """Return the speakable form of each sentence of a text. Nothing is synthesised or billed."""

    @extend_schema(
        operation_id="create_speech_script",
        summary="What would be said",
        request=ScriptRequestSerializer,
        responses=ScriptSerializer,
    )
    async def post(self, request: Request) -> Response:
        fields = _valid(await self.body(request), ScriptRequestSerializer())
        lines = await in_first_pool(_script, fields["input"], fields["language"])
        return Response({"object": "list", "data": lines})


class VoicesView(PublicApiView):
    """List the voices with their licences."""

    @extend_schema(operation_id="list_voices", summary="Voices", responses=VoiceListSerializer)
    async def get(self, request: Request) -> Response:
        voices = catalogue().all()
        names = [{"id": voice.id, "name": _name(voice)} for voice in voices]  # read by Open WebUI
        return Response({"object": "list", "data": [_card(voice) for voice in voices], "voices": names})


def _script(text: str, language: str) -> list[dict[str, str]]:
    return [{"text": sentence, "spoken": speakable(sentence, language)} for sentence in split_sentences(text)]


def _valid(body: Mapping[str, Any], form: Serializer[dict[str, Any]] = _FORM) -> dict[str, Any]:
    """Return the validated fields of a request. A null counts as a missing field, except in ``input``.

    Raise ``ApiError``, or the serializer's ``ValidationError``.
    """
    given = {name: value for name, value in body.items() if value is not None or name == "input"}
    fields: dict[str, Any] = form.run_validation(given)
    limit = settings.VOICE_TTS_MAX_CHARACTERS
    if not fields["input"].strip():
        raise ApiError(ErrorCode.EMPTY_INPUT, _("There is no text to speak."), param="input")
    if len(fields["input"]) > limit:
        message = _("The text has {length:,} characters; {limit:,} are allowed.").format(
            length=len(fields["input"]), limit=limit
        )
        raise ApiError(ErrorCode.INPUT_TOO_LONG, message, param="input")
    return fields


def _speech_request(fields: Mapping[str, Any], work: Work) -> SpeechRequest:
    return SpeechRequest(
        text=fields["input"],
        voice=requested_voice(fields),
        follows_text=follows_text(fields),
        audio_format=AudioFormat(fields["response_format"]),
        speed=fields["speed"],
        language=fields.get("language"),
        deadline=work.deadline,
    )


async def _metered(file: SpeechFile, work: Work) -> AsyncGenerator[bytes, None]:
    """Yield the file's bytes and meter them in ``work``.

    If the client disconnects early, only the sentences sent until then are billed.
    """
    try:
        async with aclosing(file.body()) as body:
            async for data in body:
                work.audio_ms = file.audio_ms
                work.queue_ms = file.queue_ms
                yield data
    finally:
        work.characters = file.characters
        _note_fallback(work, file.fallback_voice)


async def _events(file: SpeechFile, work: Work) -> AsyncGenerator[bytes, None]:
    """Yield OpenAI's server-sent events: ``speech.audio.delta`` with audio in base64, then ``speech.audio.done``."""
    async with aclosing(_metered(file, work)) as body:
        async for data in body:
            for start in range(0, len(data), _SSE_BYTES):
                audio = base64.b64encode(data[start : start + _SSE_BYTES]).decode()
                yield _event({"type": "speech.audio.delta", "audio": audio})
    spoken = file.characters
    generated = round(file.audio_ms * OUTPUT_TOKENS_PER_SECOND / 1000)
    usage = {"input_tokens": spoken, "output_tokens": generated, "total_tokens": spoken + generated}
    yield _event({"type": "speech.audio.done", "usage": usage})


def _note_fallback(work: Work, voice: Voice | None) -> None:
    """Record in ``work``, for the ledger, the voice that spoke instead of the requested one, if any."""
    if voice is not None:
        work.model = voice.model
        work.voice = voice.id


def _event(body: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(body)}\n\n".encode()


def _name(voice: Voice) -> str:
    """Return a voice's name in the active language.

    Each part of the name is translated separately. A part without a translation, such as a person's name, is kept.
    """
    return NAME_PART.sub(lambda part: _(part.group()), voice.name)


def _card(voice: Voice) -> dict[str, Any]:
    return {
        "id": voice.id,
        "object": "voice",
        "name": _name(voice),
        "language": voice.language,
        "languages": list(voice.languages or (voice.language,)),
        "gender": voice.gender,
        "engine": voice.engine,
        "model": voice.model,
        "license": voice.license,
        "commercial_use": voice.commercial_use,
        "aliases": list(voice.openai),
        "default": voice == default_voice(),
    }
