"""The form fields of the transcription and translation endpoints, which follow OpenAI's API."""

from __future__ import annotations

import re
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from asr import languages
from asr.checkpoint import Checkpoint
from asr.units import Options
from core.error_codes import ErrorCode
from core.errors import ApiError
from gateway.strict_json import SHOWN_CHARACTERS, InvalidJson, strict_loads

TRANSLATION_FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
TRANSCRIPTION_FORMATS = (*TRANSLATION_FORMATS, "diarized_json")
GRANULARITIES = ("segment", "word")
INCLUDABLE = ("logprobs",)
_NESTED = re.compile(r"(?P<name>chunking_strategy)\[(?P<key>\w+)\]")
# OpenAI's defaults for chunking_strategy. No other values are accepted, because there is only one way to cut
# recordings.
_VAD: dict[str, str | float] = {
    "type": "server_vad",
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
    "threshold": 0.5,
}
_REFUSED = {
    "known_speaker_names": gettext_lazy("Speakers are not told apart here, so none can be known."),
    "known_speaker_references": gettext_lazy("Speakers are not told apart here, so none can be known."),
}
_LISTS = ("keywords", "languages", "timestamp_granularities", "include", *_REFUSED)
_CHUNKING_SCHEMA = {
    "oneOf": [
        {"type": "string", "enum": ["auto"]},
        {"type": "object", "required": ["type"], "properties": {"type": {"type": "string", "enum": ["server_vad"]}}},
    ]
}


@extend_schema_field(_CHUNKING_SCHEMA)
class ChunkingStrategyField(serializers.Field[str, Any, str, Any]):
    """OpenAI's ``chunking_strategy``, which controls where the recording is cut.

    The service always cuts between stretches of speech, which the value "auto" requests. An object with OpenAI's
    default values is accepted too, because some clients always send it. Raise ``ApiError`` 400 for any other value.
    """

    def to_internal_value(self, data: Any) -> str:
        if data in ("", "auto"):
            return "auto"
        wanted = _parsed(data)
        if not isinstance(wanted, dict):
            message = _("chunking_strategy = {data!r} is not supported; leave it out or send 'auto'.")
            message = message.format(data=_start_of(data))
            raise ApiError(ErrorCode.UNSUPPORTED_PARAMETER, message, param="chunking_strategy")
        for name, value in wanted.items():
            if name not in _VAD or not _is_same(value, _VAD[name]):
                key = _start_of(name)
                message = _("chunking_strategy[{key}] = {value!r} is not supported; leave it out or send 'auto'.")
                message = message.format(key=key, value=_start_of(value))
                raise ApiError(ErrorCode.UNSUPPORTED_PARAMETER, message, param=f"chunking_strategy[{key}]")
        if "type" not in wanted:
            raise _not_a_strategy()
        return "server_vad"

    def to_representation(self, value: str) -> str:
        return value


class TranslationSerializer(serializers.Serializer[dict[str, Any]]):
    """The form of ``POST /v1/audio/translations``."""

    file = serializers.FileField(allow_empty_file=True, help_text="Audio in any container that FFmpeg reads, ≤ 25 MB.")
    model = serializers.CharField(required=False, max_length=200, help_text="A model of `GET /v1/models`.")
    language = serializers.CharField(
        required=False, allow_blank=True, max_length=40, help_text="ISO 639-1; left out, it is detected."
    )
    languages = serializers.ListField(
        child=serializers.CharField(max_length=40),
        required=False,
        default=list,
        max_length=100,
        help_text="`languages[]`: what it may be in, where `language` is left out.",
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
    response_format = serializers.ChoiceField(TRANSLATION_FORMATS, required=False, default="json")
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
    chunking_strategy = ChunkingStrategyField(required=False, help_text="`auto`; other ways to cut are refused.")


class TranscriptionSerializer(TranslationSerializer):
    """The form of ``POST /v1/audio/transcriptions``."""

    response_format = serializers.ChoiceField(
        TRANSCRIPTION_FORMATS,
        required=False,
        default="json",
        help_text="`diarized_json` names one speaker for all, and warns.",
    )


def fields(data: QueryDict | dict[str, Any]) -> dict[str, Any]:
    """Convert the form's data to a plain dictionary.

    The name of a list field may end in ``[]``. Fields such as ``chunking_strategy[type]`` are combined into a
    dictionary. If any other field is sent several times, its last value is used.

    Raise ``ApiError`` 400 if such a field is sent together with a plain ``chunking_strategy``.
    """
    if not isinstance(data, QueryDict):
        return dict(data)
    flat: dict[str, Any] = {}
    for key in data:
        if nested := _NESTED.fullmatch(key):
            if nested["name"] in data:
                raise _not_a_strategy()
            flat.setdefault(nested["name"], {})[nested["key"]] = data[key]
        elif key.removesuffix("[]") not in _LISTS:
            flat[key] = data[key]
    for name in _LISTS:
        values = [*data.getlist(f"{name}[]"), *data.getlist(name)]
        if values:
            flat[name] = values
    return flat


def refuse_unsupported(fields: dict[str, Any]) -> None:
    """Raise ``ApiError`` 400 for a parameter of OpenAI's API that is not supported here."""
    for name, reason in _REFUSED.items():
        if any(fields.get(name) or ()):
            raise ApiError(
                ErrorCode.UNSUPPORTED_PARAMETER,
                _("{name} is not supported. {reason}").format(name=name, reason=reason),
                param=name,
            )


def options(fields: dict[str, Any], *, checkpoint: Checkpoint, translate: bool) -> Options:
    """Return the recognition options that the validated form fields request.

    ``translate``: whether to translate the speech into English.

    Raise ``ApiError`` 400 for a language that cannot be recognised.
    """
    from asr.transcript import temperatures

    language, candidates = languages.chosen(fields.get("language", ""), fields["languages"], checkpoint)
    wanted = fields["response_format"]
    words = wanted == "verbose_json" and "word" in fields["timestamp_granularities"]
    return Options(
        language=language,
        candidates=candidates,
        task="translate" if translate else "transcribe",
        prompt=fields["prompt"],
        keywords=tuple(fields["keywords"]),
        temperatures=temperatures(fields["temperature"]),
        words=words,
        logprobs="logprobs" in fields["include"],
    )


def _not_a_strategy() -> ApiError:
    message = _("chunking_strategy is 'auto' or an object of type 'server_vad'.")
    return ApiError(ErrorCode.INVALID_VALUE, message, param="chunking_strategy")


def _parsed(data: Any) -> Any:
    try:
        return strict_loads(data) if isinstance(data, str) else data
    except InvalidJson:
        return data


def _start_of(value: Any) -> Any:
    """Return the value as an error message shows it: a long one is shortened to the first characters of its text."""
    text = value if isinstance(value, str) else repr(value)
    return text[:SHOWN_CHARACTERS] if len(text) > SHOWN_CHARACTERS else value


def _is_same(value: Any, default: str | float) -> bool:
    if isinstance(default, str):
        return bool(value == default)
    try:
        return float(value) == default
    except (TypeError, ValueError, OverflowError):  # OverflowError: an integer of 400 digits, for example
        return False
