"""``GET /v1/voice/availability``: tell the front end whether to show the microphone and the loudspeaker.

The view checks the roll-out, the quota and the number of users in the same order as ``request_gate``, and then whether
the engines have capacity (``gateway.admission_middleware``). It reserves nothing.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from capacity import concurrent_users
from core.errors import ApiError, as_api_error
from core.identity import Caller, caller_of
from gateway import admission_middleware
from gateway.client_secrets import ClientSecretAuthentication
from gateway.endpoints import TYPICAL_KINDS
from gateway.views import ApiView
from rollout import policy
from rollout.feature import Feature
from usage import quota

_feature = inline_serializer(
    "VoiceFeature",
    {
        "available": serializers.BooleanField(),
        "reason": serializers.CharField(help_text="The roll-out rule that decided"),
        "blocked_by": serializers.ChoiceField(["rollout", "quota", "capacity"], allow_null=True),
        "code": serializers.CharField(allow_null=True, help_text="Code of the error that a request would get now"),
        "message": serializers.CharField(allow_null=True, help_text="Message of that error"),
        "retry_after_s": serializers.FloatField(allow_null=True, help_text="Seconds to wait before asking again"),
    },
)


class AvailabilityView(ApiView):
    """Returns which voice features the end user can use now, and why the others are unavailable."""

    authentication_classes = [ClientSecretAuthentication]

    @extend_schema(
        operation_id="retrieve_availability",
        summary="Availability of voice for this user",
        responses=inline_serializer(
            "VoiceAvailability",
            {
                "object": serializers.CharField(default="voice.availability"),
                "user": serializers.CharField(),
                "available": serializers.BooleanField(help_text="True if at least one feature is"),
                "features": serializers.DictField(child=_feature),
            },
        ),
    )
    async def get(self, request: Request) -> Response:
        caller = caller_of(request)
        features = {feature.value: await _availability(caller, feature) for feature in Feature}
        is_available = any(feature["available"] for feature in features.values())
        answer = {"object": "voice.availability", "user": caller.user, "available": is_available, "features": features}
        return Response(answer)


async def _availability(caller: Caller, feature: Feature) -> dict[str, Any]:
    decision = await policy.decide(caller, caller.user, feature)
    blocked_by, refusal = await _first_refusal(caller, feature, decision) or (None, None)
    return {
        "available": refusal is None,
        "reason": decision.reason,
        "blocked_by": blocked_by,
        "code": refusal.code.value if refusal else None,
        "message": refusal.message if refusal else None,
        "retry_after_s": refusal.retry_after if refusal else None,
    }


async def _first_refusal(caller: Caller, feature: Feature, decision: policy.Decision) -> tuple[str, ApiError] | None:
    """Return why a request would be refused now, and the error that it would get; None if it would be accepted.

    The reason is "rollout", "quota" or "capacity". If there are several, the first in this order is returned.
    """
    if not decision.allowed:
        return "rollout", as_api_error(decision.refusal())
    exhausted = await quota.refusal(caller, caller.user, TYPICAL_KINDS[feature])
    if exhausted is not None:
        return "quota", as_api_error(exhausted)
    try:
        await concurrent_users.admit(caller.client_id, caller.user)
    except concurrent_users.TooManyUsers as full:
        return "capacity", as_api_error(full)
    crowded = admission_middleware.refusal(feature)
    return ("capacity", crowded) if crowded is not None else None
