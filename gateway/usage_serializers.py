"""Serialisers for the requests and responses of the usage endpoints."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from gateway.strict_json import StrictCharField, StrictIntegerField
from usage.entry import Kind, Measure

MAX_CORRECTION_CHARACTERS = 100_000


class CorrectionRequest(serializers.Serializer[dict[str, Any]]):
    text = StrictCharField(
        max_length=MAX_CORRECTION_CHARACTERS, help_text="Everything that was said. The text is compared, but not kept."
    )


class CorrectionAnswer(serializers.Serializer[dict[str, Any]]):
    object = serializers.CharField(default="transcription.correction")
    request_id = serializers.CharField()
    word_error_rate = serializers.FloatField(help_text="Substitutions, deletions and insertions per reference word")
    reference_words = serializers.IntegerField()


class RatingRequest(serializers.Serializer[dict[str, Any]]):
    score = StrictIntegerField(min_value=1, max_value=5, help_text="From 1 (bad) to 5 (excellent)")


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
    """A quota for this month. The unit of audio is the second. A limit of null means that there is no limit."""

    measure = serializers.ChoiceField(choices=[measure.value for measure in Measure])
    unit = serializers.ChoiceField(choices=["seconds", "characters"])
    included = serializers.FloatField(help_text="Included in the plan; use beyond this is charged")
    soft_limit = serializers.FloatField(allow_null=True, help_text="From this limit on, responses carry a warning")
    hard_limit = serializers.FloatField(allow_null=True, help_text="Requests beyond this limit are refused")
    used = serializers.FloatField()
    reserved = serializers.FloatField(help_text="Reserved by requests under way")
    remaining = serializers.FloatField(allow_null=True)
    warning = serializers.BooleanField(help_text="True if the soft limit has been reached")


class PlanAnswer(serializers.Serializer[dict[str, Any]]):
    id = serializers.CharField()
    description = serializers.CharField()


class UsageAnswer(serializers.Serializer[dict[str, Any]]):
    object = serializers.CharField(default="usage")
    user = serializers.CharField()
    period_start = serializers.DateTimeField()
    period_end = serializers.DateTimeField(help_text="When the quota is reset")
    plan = PlanAnswer(allow_null=True)
    quotas = QuotaAnswer(many=True)
    data = KindTotals(many=True)  # type: ignore[assignment]
