"""``POST /v1/realtime/client_secrets``: issue a short-lived token for a browser, as OpenAI's API does."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from asr.realtime_session import RealtimeSettings, latest_end
from core.error_codes import ErrorCode
from core.errors import ApiError
from core.identity import caller_of, end_user
from gateway import client_secrets
from gateway.gate import Kind, preflight
from gateway.strict_json import StrictCharField
from gateway.views import ApiView
from usage.rollups import Consumption


class ExpiresAfterSerializer(serializers.Serializer[dict[str, Any]]):
    anchor = serializers.ChoiceField(["created_at"], default="created_at")
    seconds = serializers.IntegerField(required=False, min_value=10, max_value=7_200)


class ClientSecretSerializer(serializers.Serializer[dict[str, Any]]):
    expires_after = ExpiresAfterSerializer(required=False, allow_null=True)
    session = serializers.DictField(
        required=False, allow_null=True, help_text="As in `session.update`; the connection starts with it."
    )
    user = StrictCharField(
        required=False, allow_blank=True, max_length=200, help_text="The end user, if no `X-Voice-User` names one."
    )


class IssuedSecretSerializer(serializers.Serializer[dict[str, Any]]):
    value = serializers.CharField(help_text="The token: `ek_...`")
    expires_at = serializers.IntegerField(help_text="Unix seconds")
    session = serializers.DictField(help_text="What a connection with it starts with.")


class ClientSecretView(ApiView):
    """Issue a short-lived token with which the browser of one end user can open a WebSocket."""

    @extend_schema(
        operation_id="create_client_secret",
        summary="Token for a browser's WebSocket",
        request=ClientSecretSerializer,
        responses=IssuedSecretSerializer,
    )
    async def post(self, request: Request) -> Response:
        form = ClientSecretSerializer(data=await self.body(request))
        form.is_valid(raise_exception=True)
        fields = form.validated_data
        caller = caller_of(request)
        if fields.get("user") and caller.user == f"key:{caller.key_prefix}":
            caller = replace(caller, user=end_user(fields["user"], "user"))
        if not caller.names_user and await database_sync_to_async(Consumption.serves_many)(caller.client_id):
            message = _("Say whom this token is for, in `user` or X-Voice-User: this key serves many end users.")
            raise ApiError(ErrorCode.MISSING_FIELD, message, param="user")
        await preflight(caller, Kind.REALTIME)
        session = {"type": "transcription", **(fields.get("session") or {})}
        described = RealtimeSettings().updated(session).ga(f"sess_{uuid.uuid4().hex}", latest_end())
        lifetime_s = (fields.get("expires_after") or {}).get("seconds", settings.VOICE_CLIENT_SECRET_S)
        lifetime_s = min(lifetime_s, settings.VOICE_CLIENT_SECRET_S)  # the operator's limit takes precedence
        secret = client_secrets.issue(caller, lifetime_s=lifetime_s, session=session)
        return Response({"value": secret.value, "expires_at": secret.expires_at, "session": described})
