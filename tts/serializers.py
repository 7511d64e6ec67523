"""Request and response fields of ``/v1/audio/speech``, ``/v1/audio/speech/script`` and ``/v1/audio/voices``."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from gateway.strict_json import StrictCharField, StrictFloatField
from spoken_text.speakable import LANGUAGES
from tts.encoding import AudioFormat
from tts.voices import OPENAI_VOICES

STREAM_FORMATS = ("audio", "sse")


@extend_schema_field({"type": "string", "minLength": 1})
class TextField(StrictCharField):
    """A text field that accepts empty and overlong text. The view refuses both with specific error codes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_blank=True, trim_whitespace=False, **options)


class VoiceField(StrictCharField):
    """A voice's id, or ``{"id": ...}``, which OpenAI's API uses for custom voices."""

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, dict):
            data = data.get("id")
        return super().to_internal_value(data)


class ScriptRequestSerializer(serializers.Serializer[dict[str, Any]]):
    input = TextField(help_text="Text as for `POST /v1/audio/speech`.")
    language = serializers.ChoiceField(
        required=False,
        default="ms",
        choices=LANGUAGES,
        help_text="Language of sentences whose language cannot be detected.",
    )


class ScriptLineSerializer(serializers.Serializer[dict[str, Any]]):
    text = serializers.CharField(help_text="One sentence as written.")
    spoken = serializers.CharField(help_text="The words to speak for the sentence; empty if there are none.")


class ScriptSerializer(serializers.Serializer[dict[str, Any]]):
    object = serializers.CharField(default="list")
    data = ScriptLineSerializer(many=True)  # type: ignore[assignment]  # DRF removes fields from the class


class SpeechRequestSerializer(serializers.Serializer[dict[str, Any]]):
    input = TextField(help_text="The text to speak, which may be Markdown. At most 4,096 characters.")
    model = StrictCharField(required=False, max_length=200, help_text="A model of `GET /v1/models`.")
    voice = VoiceField(
        required=False,
        max_length=200,
        help_text='A voice of `GET /v1/audio/voices`, one of OpenAI\'s names, or `{"id": "..."}`.',
    )
    speed = StrictFloatField(required=False, default=1.0, min_value=0.25, max_value=4.0)
    response_format = serializers.ChoiceField(
        required=False, default=AudioFormat.MP3.value, choices=[one.value for one in AudioFormat]
    )
    stream_format = serializers.ChoiceField(required=False, default="audio", choices=STREAM_FORMATS)
    language = serializers.RegexField(
        r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$",
        required=False,
        help_text="Language of the text (BCP 47). Default: detected for each sentence.",
    )
    instructions = StrictCharField(
        required=False,
        allow_blank=True,
        max_length=4096,
        help_text="Accepted but not followed, as a `Warning` header in the response says.",
    )
    user = StrictCharField(required=False, allow_blank=True, max_length=200, help_text="The end user.")


class VoiceSerializer(serializers.Serializer[dict[str, Any]]):
    id = serializers.CharField()
    object = serializers.CharField(default="voice")
    name = serializers.CharField()
    language = serializers.CharField(help_text="BCP 47")
    languages = serializers.ListField(child=serializers.CharField())
    gender = serializers.CharField(allow_null=True)
    engine = serializers.CharField()
    model = serializers.CharField()
    license = serializers.CharField()
    commercial_use = serializers.BooleanField(
        allow_null=True, help_text="Whether the licence allows it; null if unknown."
    )
    aliases = serializers.ListField(child=serializers.ChoiceField(choices=OPENAI_VOICES))
    default = serializers.BooleanField()


class VoiceNameSerializer(serializers.Serializer[dict[str, Any]]):
    id = serializers.CharField()
    name = serializers.CharField()


class VoiceListSerializer(serializers.Serializer[dict[str, Any]]):
    object = serializers.CharField(default="list")
    data = VoiceSerializer(many=True)  # type: ignore[assignment]  # DRF removes fields from the class
    voices = VoiceNameSerializer(many=True, help_text="The same voices in the form that Open WebUI reads.")
