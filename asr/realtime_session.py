"""The settings of OpenAI's realtime transcription session, in the shapes of its present form and of its beta."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from django.conf import settings
from rest_framework import serializers

from asr.endpointing import TurnDetection
from asr.live import Recognition, RecognitionSerializer, TurnDetectionSerializer, turn_detection
from asr.resample import G711_RATE, Encoding, Line

PCM_RATE = 24_000  # the one that OpenAI takes; ours are those of ``asr.resample``
_GA_FORMATS = {"audio/pcm": Encoding.PCM16, "audio/pcmu": Encoding.MULAW, "audio/pcma": Encoding.ALAW}
_BETA_FORMATS = {"pcm16": Encoding.PCM16, "g711_ulaw": Encoding.MULAW, "g711_alaw": Encoding.ALAW}


class _Format(serializers.Serializer[dict[str, Any]]):
    type = serializers.ChoiceField(list(_GA_FORMATS), default="audio/pcm")
    rate = serializers.IntegerField(required=False, allow_null=True)


class _Input(serializers.Serializer[dict[str, Any]]):
    format = _Format(required=False, allow_null=True)
    transcription = RecognitionSerializer(required=False, allow_null=True)
    turn_detection = TurnDetectionSerializer(required=False, allow_null=True)
    noise_reduction = serializers.DictField(required=False, allow_null=True)  # there is none; the models bear noise


class _Audio(serializers.Serializer[dict[str, Any]]):
    input = _Input(required=False)


class GaSerializer(serializers.Serializer[dict[str, Any]]):
    type = serializers.ChoiceField(["transcription"], default="transcription")
    audio = _Audio(required=False)
    include = serializers.ListField(child=serializers.CharField(max_length=100), required=False, allow_null=True)


class BetaSerializer(serializers.Serializer[dict[str, Any]]):
    input_audio_format = serializers.ChoiceField(list(_BETA_FORMATS), required=False, allow_null=True)
    input_audio_transcription = RecognitionSerializer(required=False, allow_null=True)
    turn_detection = TurnDetectionSerializer(required=False, allow_null=True)
    input_audio_noise_reduction = serializers.DictField(required=False, allow_null=True)


@dataclass(frozen=True)
class RealtimeSettings:
    """What an update does not mention stays."""

    encoding: Encoding = Encoding.PCM16
    rate: int = PCM_RATE
    transcription: Mapping[str, Any] = field(default_factory=dict)
    detection: TurnDetection | None = field(default_factory=TurnDetection)

    def updated(self, session: Any) -> RealtimeSettings:
        """By a ``session`` of ``session.update``. Raises ``ApiError`` or ``ValidationError``."""
        form = GaSerializer(data=session)
        form.is_valid(raise_exception=True)
        changes = form.validated_data.get("audio", {}).get("input", {})
        changed = self._common(changes, "transcription")
        if wanted := changes.get("format"):
            encoding = _GA_FORMATS[wanted["type"]]
            changed = replace(changed, encoding=encoding, rate=_rate(encoding, wanted.get("rate")))
        return changed.checked()

    def updated_by_beta(self, session: Any) -> RealtimeSettings:
        """By a ``session`` of ``transcription_session.update``. Raises as ``updated`` does."""
        form = BetaSerializer(data=session)
        form.is_valid(raise_exception=True)
        changes = form.validated_data
        changed = self._common(changes, "input_audio_transcription")
        if name := changes.get("input_audio_format"):
            encoding = _BETA_FORMATS[name]
            changed = replace(changed, encoding=encoding, rate=_rate(encoding, None))
        return changed.checked()

    def recognition(self) -> Recognition:
        return Recognition.of(self.transcription)

    def line(self) -> Line:
        return Line(self.encoding, self.rate)

    def checked(self) -> RealtimeSettings:
        """Itself, if it can be done. Raises ``ApiError``."""
        self.recognition()
        self.line()
        return self

    def ga(self, session_id: str) -> dict[str, Any]:
        shape: dict[str, Any] = {"type": _name(_GA_FORMATS, self.encoding)}
        if self.encoding is Encoding.PCM16:
            shape["rate"] = self.rate
        return {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "id": session_id,
            "expires_at": self._ends_at(),
            "audio": {
                "input": {
                    "format": shape,
                    "transcription": self._transcription(),
                    "noise_reduction": None,
                    "turn_detection": self._turn_detection(),
                }
            },
            "include": None,
        }

    def beta(self, session_id: str) -> dict[str, Any]:
        return {
            "object": "realtime.transcription_session",
            "id": session_id,
            "expires_at": self._ends_at(),
            "input_audio_format": _name(_BETA_FORMATS, self.encoding),
            "input_audio_transcription": self._transcription(),
            "input_audio_noise_reduction": None,
            "turn_detection": self._turn_detection(),
        }

    def _common(self, changes: Mapping[str, Any], transcription: str) -> RealtimeSettings:
        changed = self
        if transcription in changes:
            changed = replace(changed, transcription={**self.transcription, **(changes[transcription] or {})})
        if "turn_detection" in changes:
            changed = replace(changed, detection=turn_detection(changes["turn_detection"]))
        return changed

    def _transcription(self) -> dict[str, Any]:
        return {"model": self.recognition().model, "language": None, "prompt": "", **self.transcription}

    def _turn_detection(self) -> dict[str, Any] | None:
        return {"type": "server_vad", **asdict(self.detection)} if self.detection else None

    @staticmethod
    def _ends_at() -> int:
        return int(time.time() + settings.VOICE_WS_MAX_S)


def _rate(encoding: Encoding, wanted: int | None) -> int:
    return G711_RATE if encoding is not Encoding.PCM16 else wanted or PCM_RATE


def _name(formats: Mapping[str, Encoding], encoding: Encoding) -> str:
    return next(name for name, meant in formats.items() if meant is encoding)
