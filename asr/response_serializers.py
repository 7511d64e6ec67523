"""Serializers that describe the responses of the transcription endpoints in the OpenAPI schema.

They only describe the responses, which ``asr.transcript`` creates.

https://platform.openai.com/docs/api-reference/audio/verbose-json-object
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class DetectedLanguageSerializer(serializers.Serializer[dict[str, Any]]):
    code = serializers.CharField(help_text="ISO 639-1")


class DurationUsageSerializer(serializers.Serializer[dict[str, Any]]):
    type = serializers.ChoiceField(["duration"])
    seconds = serializers.IntegerField(help_text="Of audio, rounded up.")


class TokenSerializer(serializers.Serializer[dict[str, Any]]):
    token = serializers.CharField()
    logprob = serializers.FloatField()
    bytes = serializers.ListField(child=serializers.IntegerField(min_value=0, max_value=255))


class WordSerializer(serializers.Serializer[dict[str, Any]]):
    word = serializers.CharField()
    start = serializers.FloatField(help_text="Seconds")
    end = serializers.FloatField(help_text="Seconds")
    probability = serializers.FloatField()


class SegmentSerializer(serializers.Serializer[dict[str, Any]]):
    """A timed segment of the transcript.

    Only ``diarized_json`` includes ``type`` and ``speaker``. Only ``verbose_json`` includes the language and the
    model's figures, such as ``avg_logprob``.
    """

    id = serializers.JSONField(help_text="A number; a string with `diarized_json`.")
    start = serializers.FloatField(help_text="Seconds")
    end = serializers.FloatField(help_text="Seconds")
    text = serializers.CharField()
    type = serializers.ChoiceField(["transcript.text.segment"], required=False)
    speaker = serializers.CharField(required=False)
    language = serializers.CharField(required=False)
    seek = serializers.IntegerField(required=False)
    tokens = serializers.ListField(child=serializers.IntegerField(), required=False)
    temperature = serializers.FloatField(required=False)
    avg_logprob = serializers.FloatField(required=False)
    compression_ratio = serializers.FloatField(required=False)
    no_speech_prob = serializers.FloatField(required=False)


class TranscriptSerializer(serializers.Serializer[dict[str, Any]]):
    """A transcript.

    A ``json`` response has only ``text``, ``usage``, ``languages``, ``logprobs`` and ``warnings``. The other fields
    occur only in ``verbose_json`` and ``diarized_json`` responses.
    """

    text = serializers.CharField()
    usage = DurationUsageSerializer()
    languages = DetectedLanguageSerializer(many=True, required=False, help_text="The most spoken first, if detected.")
    logprobs = TokenSerializer(many=True, required=False, help_text="With `include[]=logprobs`.")
    warnings = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="What was asked for and could not be done."
    )
    task = serializers.ChoiceField(["transcribe", "translate"], required=False)
    language = serializers.CharField(required=False, help_text="In words, such as `malay`.")
    duration = serializers.FloatField(required=False, help_text="Of the recording, in seconds.")
    words = WordSerializer(many=True, required=False, help_text="With `timestamp_granularities[]=word`.")
    segments = SegmentSerializer(many=True, required=False)
