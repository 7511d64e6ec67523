"""`GET /v1/models` and `GET /v1/models/{id}`."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from voiceproject.catalogue import ModelCard, everything
from voiceproject.errors import ApiError
from voiceproject.views import ApiView

_model = inline_serializer(
    "Model",
    {
        "id": serializers.CharField(),
        "object": serializers.CharField(default="model"),
        "created": serializers.IntegerField(help_text="Unix seconds"),
        "owned_by": serializers.CharField(),
        "notice": serializers.CharField(required=False, help_text="what to know of it, such as that it is a fallback"),
    },
)


def _shown(name: str, card: ModelCard) -> dict[str, str | int]:
    shown: dict[str, str | int] = {"id": name, "object": "model", "created": card.created, "owned_by": card.owned_by}
    return {**shown, "notice": card.notice} if card.notice else shown


class ModelsView(ApiView):
    """What can be asked for; OpenAI's names are aliases of the default model of their task."""

    @extend_schema(
        operation_id="list_models",
        summary="Models",
        responses=inline_serializer(
            "ModelList", {"object": serializers.CharField(default="list"), "data": serializers.ListField(child=_model)}
        ),
    )
    async def get(self, request: Request) -> Response:
        return Response({"object": "list", "data": [_shown(name, card) for name, card in everything()]})


class ModelView(ApiView):
    """One model or alias."""

    @extend_schema(operation_id="retrieve_model", summary="One model", responses=_model)
    async def get(self, request: Request, name: str) -> Response:
        for offered_name, card in everything():
            if offered_name == name:
                return Response(_shown(name, card))
        raise ApiError(404, "model_not_found", f"There is no model {name!r}.", param="model")
