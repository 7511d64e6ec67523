"""``GET /v1/models`` and ``GET /v1/models/{id}``."""

from __future__ import annotations

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.error_codes import ErrorCode
from core.errors import ApiError
from gateway.catalogue import ModelCard, Task, everything, undated
from gateway.views import PublicApiView

_model = inline_serializer(
    "Model",
    {
        "id": serializers.CharField(),
        "object": serializers.CharField(default="model"),
        "created": serializers.IntegerField(help_text="Unix seconds"),
        "owned_by": serializers.CharField(),
        "notice": serializers.CharField(required=False, help_text="What users should know about the model"),
    },
)

_name = inline_serializer("ModelName", {"id": serializers.CharField()})


def _shown(name: str, card: ModelCard) -> dict[str, str | int]:
    shown: dict[str, str | int] = {"id": name, "object": "model", "created": card.created, "owned_by": card.owned_by}
    return {**shown, "notice": card.notice} if card.notice else shown


class ModelsView(PublicApiView):
    """Lists the models that a request can name.

    Each of OpenAI's model names is an alias for the default model of its task.
    """

    @extend_schema(
        operation_id="list_models",
        summary="Models",
        responses=inline_serializer(
            "ModelList", {"object": serializers.CharField(default="list"), "data": serializers.ListField(child=_model)}
        ),
    )
    async def get(self, request: Request) -> Response:
        return Response({"object": "list", "data": [_shown(name, card) for name, card in everything()]})


class ModelView(PublicApiView):
    """Describes one model or alias."""

    @extend_schema(operation_id="retrieve_model", summary="One model", responses=_model)
    async def get(self, request: Request, name: str) -> Response:
        cards = dict(everything())
        card = cards.get(name) or cards.get(undated(name))
        if card is not None:
            return Response(_shown(name, card))
        raise ApiError(ErrorCode.MODEL_NOT_FOUND, _("There is no model {name!r}.").format(name=name), param="model")


class AudioModelsView(PublicApiView):
    """Lists the text-to-speech models in the form that Open WebUI expects."""

    @extend_schema(
        operation_id="list_audio_models",
        summary="Text-to-speech models (Open WebUI)",
        responses=inline_serializer("AudioModelList", {"models": serializers.ListField(child=_name)}),
    )
    async def get(self, request: Request) -> Response:
        return Response({"models": [{"id": name} for name, card in everything() if card.task is Task.SPEECH]})
