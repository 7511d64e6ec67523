"""Endpoints for an end user's usage, and for feedback on results."""

from __future__ import annotations

from typing import Any

from channels.db import database_sync_to_async
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.error_codes import ErrorCode
from core.errors import ApiError
from core.identity import caller_of
from gateway.usage_serializers import CorrectionAnswer, CorrectionRequest, RatingAnswer, RatingRequest, UsageAnswer
from gateway.views import ApiView
from inference.pool import in_pool
from spoken_text.error_rate import compare
from usage import quota, recent_transcripts
from usage.entry import Kind, Measure
from usage.models import Correction, LedgerEntry, Rating
from usage.period import end_of_month, start_of
from usage.plans import as_json


class UsageView(ApiView):
    """Returns the end user's plan and this month's usage."""

    @extend_schema(operation_id="retrieve_usage", summary="This month's consumption and quota", responses=UsageAnswer)
    async def get(self, request: Request) -> Response:
        caller = caller_of(request)
        account = await database_sync_to_async(quota.load)(caller.client_id, caller.user)
        month = start_of(account.month)
        rows = LedgerEntry.objects.of(caller).since(month).totals_by_kind()
        data = [{**row, "audio_seconds": row.pop("audio_ms") / 1000} async for row in rows]
        answer = {
            "object": "usage",
            "user": caller.user,
            "period_start": month,
            "period_end": end_of_month(account.month),
            "plan": as_json(account.plan),
            "quotas": [_quota(status) for status in account.quotas.values()],
            "data": data,
        }
        return Response(UsageAnswer(answer).data)


def _quota(status: quota.QuotaStatus) -> dict[str, Any]:
    is_audio = status.measure is Measure.AUDIO

    def amount(units: int | None) -> float | None:
        return units / 1000 if is_audio and units is not None else units

    return {
        "measure": status.measure.value,
        "unit": "seconds" if is_audio else "characters",
        "included": amount(status.terms.included),
        "soft_limit": amount(status.terms.soft),
        "hard_limit": amount(status.terms.hard),
        "used": amount(status.used),
        "reserved": amount(status.reserved),
        "remaining": amount(status.remaining),
        "warning": status.is_near,
    }


# Maximum ratio of the correct text's length to the transcript's, because comparing a much longer text is too slow.
MAX_GROWTH = 4
SHORT_CORRECTION_CHARACTERS = 2_000


class CorrectionView(ApiView):
    """Compares the correct text with the transcript, and returns the word error rate. The text is not stored."""

    @extend_schema(
        operation_id="correct_transcription",
        summary="Correct a transcript",
        request=CorrectionRequest,
        responses=CorrectionAnswer,
    )
    async def post(self, request: Request, request_id: str) -> Response:
        order = CorrectionRequest(data=await self.body(request))
        order.is_valid(raise_exception=True)
        caller = caller_of(request)
        entry = await LedgerEntry.objects.found(request_id, Kind.TRANSCRIPTION, Kind.REALTIME, caller=caller)
        transcript = await recent_transcripts.recall(caller, request_id)
        if transcript is None:
            raise ApiError(ErrorCode.NOT_FOUND, _("This transcript is no longer available."), param="request_id")
        text = order.validated_data["text"]
        if len(text) > MAX_GROWTH * len(transcript) + SHORT_CORRECTION_CHARACTERS:
            message = _("The text is much too long for this recording.")
            raise ApiError(ErrorCode.INPUT_TOO_LONG, message, param="text")
        try:
            found = await in_pool(compare, text, transcript, entry.language or "ms")
        except ValueError as error:
            raise ApiError(ErrorCode.EMPTY_INPUT, _("The text has no words."), param="text") from error
        measured = {"word_error_rate": found.rate, "reference_words": found.words}
        await Correction.objects.aupdate_or_create(entry=entry, defaults=measured)
        return Response({"object": "transcription.correction", "request_id": request_id, **measured})


class RatingView(ApiView):
    """Records how good synthesised speech sounded, from 1 (bad) to 5 (excellent)."""

    @extend_schema(
        operation_id="rate_speech", summary="Rate synthesised speech", request=RatingRequest, responses=RatingAnswer
    )
    async def post(self, request: Request, request_id: str) -> Response:
        order = RatingRequest(data=await self.body(request))
        order.is_valid(raise_exception=True)
        caller = caller_of(request)
        entry = await LedgerEntry.objects.found(request_id, Kind.SPEECH, caller=caller)
        await Rating.objects.aupdate_or_create(entry=entry, defaults=order.validated_data)
        return Response({"object": "speech.rating", "request_id": request_id, **order.validated_data})
