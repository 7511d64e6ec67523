"""``POST /v1/audio/transcriptions`` and ``/v1/audio/translations``, which follow OpenAI's API."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from django.conf import settings
from django.http import HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from asr import serializers
from asr.checkpoint import configured
from asr.response_serializers import TranscriptSerializer
from asr.transcript import FORMATS, Transcript, diarized_segments, token_logprobs
from asr.transcription import Transcription
from asr.whisper_engine import whisper
from core.error_codes import ErrorCode
from core.errors import ApiError
from core.identity import caller_of
from gateway.catalogue import Task, resolve, undated
from gateway.gate import Kind, Work, request_gate
from gateway.openapi import SSE_EVENT
from gateway.views import ApiView
from usage.recent_transcripts import remember

_FORMS = {  # shared by all requests, because a form has no state, and creating a form takes longer than using it
    Kind.TRANSCRIPTION: serializers.TranscriptionSerializer(),
    Kind.TRANSLATION: serializers.TranslationSerializer(),
}
_UNTRANSLATED = gettext_noop(
    "The model {} cannot translate: this is what was said, as it was said. Set VOICE_ASR_MODEL to one that can."
)
_UNDIARIZED = gettext_noop("Speakers are not told apart: all that was said is given to one speaker.")
_TIMED_FORMATS = ("srt", "vtt", "verbose_json")  # not available as a stream, because its events have no times
_DIARIZING_MODEL = "gpt-4o-transcribe-diarize"

_RESPONSES = {
    (200, "application/json"): OpenApiResponse(TranscriptSerializer, "json, verbose_json, diarized_json"),
    (200, "text/plain"): OpenApiResponse(OpenApiTypes.STR, "text"),
    (200, "application/x-subrip"): OpenApiResponse(OpenApiTypes.STR, "srt"),
    (200, "text/vtt"): OpenApiResponse(OpenApiTypes.STR, "vtt"),
    (200, "text/event-stream"): OpenApiResponse(SSE_EVENT, "`stream` = true"),
}


class UploadParser(MultiPartParser):
    """Parser for multipart bodies. Raise ``ParseError`` for a part whose header cannot be read."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        kind, semicolon, parameters = (media_type or "").partition(";")
        try:
            # Django's parser accepts the media type in lower case only.
            return super().parse(stream, kind.lower() + semicolon + parameters, parser_context)
        except (TypeError, ValueError) as error:  # Python raises these for ``name="a"; x*=1; x*0=2``, for example
            raise ParseError("Multipart form parse error - the header of a part is invalid") from error


class TranscriptionView(ApiView):
    """Transcribe speech in the language that is spoken."""

    gated = True
    parser_classes = [UploadParser]
    kind = Kind.TRANSCRIPTION

    @extend_schema(
        operation_id="create_transcription",
        summary="Speech to text",
        request={"multipart/form-data": serializers.TranscriptionSerializer},
        responses=_RESPONSES,
    )
    async def post(self, request: Request) -> HttpResponseBase:
        return await self._answer(request)

    async def _answer(self, request: Request) -> HttpResponseBase:
        async with request_gate(caller_of(request), self.kind) as work:
            fields = _valid(serializers.fields(await self.body(request)), self.kind)
            await work.admit(fields.get("user"))
            work.model = resolve(fields.get("model"), Task.TRANSCRIPTION).id
            transcription = await self._open(fields, work)
            response: HttpResponseBase
            if fields["stream"]:
                events = _events(
                    transcription,
                    work,
                    logprobs=bool(fields["include"]),
                    diarized=fields["response_format"] == "diarized_json",
                )
                response = await work.stream(events, content_type="text/event-stream")
            else:
                transcript = await transcription.whole()
                await _meter(work, transcript)
                response = _response(transcript, fields)
            if warnings := transcription.transcript.warnings:
                response["Warning"] = ", ".join(f'199 - "{warning}"' for warning in warnings)
            return response

    async def _open(self, fields: dict[str, Any], work: Work) -> Transcription:
        checkpoint = configured()
        translate = self.kind is Kind.TRANSLATION
        options = serializers.options(fields, checkpoint=checkpoint, translate=translate and checkpoint.translates)
        transcription = await Transcription.open(
            fields["file"].read(), whisper(), checkpoint, options, deadline=work.deadline
        )
        if translate and not checkpoint.translates:
            transcription.transcript.warnings.append(_(_UNTRANSLATED).format(checkpoint.name))
        if _wants_speakers(fields):
            transcription.transcript.warnings.append(_(_UNDIARIZED))
        work.audio_ms = round(1000 * transcription.sound_s)
        work.set_cost(transcription.sound_s)
        await work.reserve()
        return transcription


class TranslationView(TranscriptionView):
    """Translate speech into English text."""

    kind = Kind.TRANSLATION

    @extend_schema(
        operation_id="create_translation",
        summary="Speech to English text",
        request={"multipart/form-data": serializers.TranslationSerializer},
        responses=_RESPONSES,
    )
    async def post(self, request: Request) -> HttpResponseBase:
        return await self._answer(request)


def _valid(data: dict[str, Any], kind: Kind) -> dict[str, Any]:
    serializers.refuse_unsupported(data)
    fields: dict[str, Any] = _FORMS[kind].run_validation(data)
    if fields["file"].size > settings.VOICE_MAX_UPLOAD_BYTES:
        message = _("The file is larger than {max_upload_bytes:,} bytes, the most that is accepted.").format(
            max_upload_bytes=settings.VOICE_MAX_UPLOAD_BYTES
        )
        raise ApiError(ErrorCode.FILE_TOO_LARGE, message, param="file")
    if fields["timestamp_granularities"] and fields["response_format"] != "verbose_json":
        message = _("timestamp_granularities needs response_format=verbose_json.")
        raise ApiError(ErrorCode.INVALID_VALUE, message, param="timestamp_granularities")
    if fields["stream"] and fields["response_format"] in _TIMED_FORMATS:
        message = _("stream=true sends events of text; {response_format} is answered in one piece only.").format(
            response_format=fields["response_format"]
        )
        raise ApiError(ErrorCode.UNSUPPORTED_PARAMETER, message, param="response_format")
    if fields["include"] and fields["response_format"] != "json":
        raise ApiError(ErrorCode.INVALID_VALUE, _("include[]=logprobs needs response_format=json."), param="include")
    return fields


def _wants_speakers(fields: dict[str, Any]) -> bool:
    return fields["response_format"] == "diarized_json" or undated(fields.get("model") or "") == _DIARIZING_MODEL


async def _meter(work: Work, transcript: Transcript) -> None:
    work.queue_ms = round(transcript.queued_ms)
    work.language = transcript.language
    await remember(work, transcript.text)


def _response(transcript: Transcript, fields: dict[str, Any]) -> HttpResponseBase:
    wanted = fields["response_format"]
    if wanted == "json":
        return Response(transcript.json(logprobs=bool(fields["include"])))
    if wanted == "verbose_json":
        return Response(transcript.verbose_json(fields["timestamp_granularities"]))
    if wanted == "diarized_json":
        return Response(transcript.diarized_json())
    content_type, render = FORMATS[wanted]
    return HttpResponse(render(transcript), content_type=content_type)


async def _events(
    transcription: Transcription, work: Work, *, logprobs: bool, diarized: bool
) -> AsyncGenerator[bytes, None]:
    """Yield OpenAI's server-sent events: one with the text of each segment, and a last one with the whole text.

    ``logprobs``: whether the events list tokens with their log probabilities.
    ``diarized``: whether the text of each segment is followed by events that attribute its phrases to a speaker.
    """
    transcript = transcription.transcript
    sent = ""
    async for part in transcription.parts():
        delta = transcript.text[len(sent) :]
        sent = transcript.text
        listed = {"logprobs": token_logprobs([part])} if logprobs else {}
        spoken = diarized_segments(part) if diarized else []
        belongs = {"segment_id": spoken[0]["id"]} if spoken else {}
        yield _event({"type": "transcript.text.delta", "delta": delta} | belongs | listed)
        for segment in spoken:
            yield _event(segment)
    await _meter(work, transcript)
    done = transcript.json(logprobs=logprobs)
    yield _event({"type": "transcript.text.done"} | done)


def _event(body: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()
