"""Serialisers of the usage endpoints' requests and responses."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from gateway.strict_json import StrictCharField, StrictIntegerField
from usage.entry import Kind, Measure

MAX_CORRECTION_CHARACTERS = 100_000


class CorrectionRequest(serializers.Serializer[dict[str, Any]]):
    text = StrictCharField(
        max_length=MAX_CORRECTION_CHARACTERS, help_text="What was really said, all of it. It is compared, not kept."
    )


class CorrectionAnswer(serializers.Serializer[dict[str, Any]]):
    object = serializers.CharField(default="transcription.correction")
    request_id = serializers.CharField()
    word_error_rate = serializers.FloatField(help_text="Substitutions, deletions and insertions per word really said")
    reference_words = serializers.IntegerField()


class RatingRequest(serializers.Serializer[dict[str, Any]]):
    score = StrictIntegerField(min_value=1, max_value=5, help_text="1 bad, 5 excellent")


class RatingAnswer(serializers.Serializer[dict[str, Any]]):
    object = serializers.CharField(default="speech.rating")
    request_id = serializers.CharField()
    score = serializers.IntegerField()


class KindTotals(serializers.Serializer[dict[str, Any]]):
    kind = serializers.ChoiceField(choices=[kind.value for kind in Kind])
    requests = serializers.IntegerField()
    failed = serializers.IntegerField()
    audio_seconds = serializers.FloatField()
    characters = serializers.IntegerField()


class QuotaAnswer(serializers.Serializer[dict[str, Any]]):
    """A quota of this month. Audio is counted in seconds of speech recognised. A limit of null means not limited."""

    measure = serializers.ChoiceField(choices=[measure.value for measure in Measure])
    unit = serializers.ChoiceField(choices=["seconds", "characters"])
    included = serializers.FloatField(help_text="What the plan includes; more is paid for")
    soft_limit = serializers.FloatField(allow_null=True, help_text="From here on answers warn")
    hard_limit = serializers.FloatField(allow_null=True, help_text="Beyond it requests are refused")
    used = serializers.FloatField()
    reserved = serializers.FloatField(help_text="Held by requests under way")
    remaining = serializers.FloatField(allow_null=True)
    warning = serializers.BooleanField(help_text="The soft limit is reached")


class PlanAnswer(serializers.Serializer[dict[str, Any]]):
    id = serializers.CharField()
    description = serializers.CharField()


class UsageAnswer(serializers.Serializer[dict[str, Any]]):
    object = serializers.CharField(default="usage")
    user = serializers.CharField()
    period_start = serializers.DateTimeField()
    period_end = serializers.DateTimeField(help_text="When the quota starts anew")
    plan = PlanAnswer(allow_null=True)
    quotas = QuotaAnswer(many=True)
    data = KindTotals(many=True)  # type: ignore[assignment]
