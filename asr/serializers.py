"""What the transcription endpoints take: OpenAI's multipart fields."""

from __future__ import annotations

from typing import Any

from django.http import QueryDict
from rest_framework import serializers

from asr.units import Options
from core.errors import ApiError

RESPONSE_FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
GRANULARITIES = ("segment", "word")
INCLUDABLE = ("logprobs",)
#: What OpenAI documents and this service cannot do, with the values that ask for nothing.
_UNSUPPORTED = {"known_speaker_names": (), "known_speaker_references": (), "chunking_strategy": ("auto", "")}
_LISTS = ("keywords", "timestamp_granularities", "include")


class TranscriptionSerializer(serializers.Serializer[dict[str, Any]]):
    file = serializers.FileField(allow_empty_file=True, help_text="Audio in any container that FFmpeg reads, ≤ 25 MB.")
    model = serializers.CharField(required=False, max_length=200, help_text="A model of `GET /v1/models`.")
    language = serializers.CharField(
        required=False, allow_blank=True, max_length=40, help_text="ISO 639-1; left out, it is detected."
    )
    prompt = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=4096, help_text="Text that came before, or its style."
    )
    keywords = serializers.ListField(
        child=serializers.CharField(max_length=100),
        required=False,
        default=list,
        max_length=100,
        help_text="`keywords[]`: names and terms to expect.",
    )
    response_format = serializers.ChoiceField(RESPONSE_FORMATS, required=False, default="json")
    temperature = serializers.FloatField(required=False, default=0.0, min_value=0, max_value=1)
    timestamp_granularities = serializers.ListField(
        child=serializers.ChoiceField(GRANULARITIES),
        required=False,
        default=list,
        help_text="`timestamp_granularities[]`, with `verbose_json`.",
    )
    include = serializers.ListField(
        child=serializers.ChoiceField(INCLUDABLE),
        required=False,
        default=list,
        help_text="`include[]`: `logprobs`, with `json`.",
    )
    stream = serializers.BooleanField(required=False, default=False, help_text="Server-sent events, by segment.")
    user = serializers.CharField(required=False, allow_blank=True, max_length=200, help_text="The end user.")


def fields(data: QueryDict | dict[str, Any]) -> dict[str, Any]:
    """One plain dictionary: lists under their names with and without ``[]``, everything else once. Raises ``ApiError``
    for what OpenAI documents and nobody does here: silence would look like success."""
    for key in data:
        name = key.partition("[")[0]
        if name in _UNSUPPORTED and data[key] not in _UNSUPPORTED[name]:
            raise ApiError(400, "unsupported_parameter", f"{name} is not supported here.", param=name)
    if not isinstance(data, QueryDict):
        return dict(data)
    flat: dict[str, Any] = {key: data[key] for key in data if key.removesuffix("[]") not in _LISTS}
    for name in _LISTS:
        values = [*data.getlist(f"{name}[]"), *data.getlist(name)]
        if values:
            flat[name] = values
    return flat


def options(fields: dict[str, Any], *, language: str | None, translate: bool) -> Options:
    from asr.transcript import temperatures

    wanted = fields["response_format"]
    words = wanted == "verbose_json" and "word" in fields["timestamp_granularities"]
    return Options(
        language=language,
        task="translate" if translate else "transcribe",
        prompt=fields["prompt"],
        keywords=tuple(fields["keywords"]),
        temperatures=temperatures(fields["temperature"]),
        words=words,
        logprobs="logprobs" in fields["include"],
    )
