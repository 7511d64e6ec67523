"""Settings of OpenAI's realtime transcription session, in the formats of the current API (GA) and of the beta API."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework import serializers

from asr.endpointing import TurnDetection
from asr.live_audio import G711_RATE, AudioInput, Encoding
from asr.live_consumer import (
    Recognition,
    RecognitionSerializer,
    TurnDetectionSerializer,
    UnsupportedField,
    turn_detection,
)
from core.error_codes import ErrorCode
from core.errors import ApiError
from gateway.catalogue import Task, resolve, undated

PCM_RATE = 24_000  # the only sample rate that OpenAI accepts; this service also accepts the rates of ``asr.live_audio``
LOGPROBS = "item.input_audio_transcription.logprobs"
#: Models for which turn detection is off by default. As with OpenAI, the client itself ends each utterance.
MANUAL_MODELS = frozenset(["gpt-realtime-whisper", "gpt-live-transcribe"])
_GA_FORMATS = {"audio/pcm": Encoding.PCM16, "audio/pcmu": Encoding.MULAW, "audio/pcma": Encoding.ALAW}
_BETA_FORMATS = {"pcm16": Encoding.PCM16, "g711_ulaw": Encoding.MULAW, "g711_alaw": Encoding.ALAW}


class NoiseReduction(serializers.Serializer[dict[str, Any]]):
    """OpenAI's ``noise_reduction`` object.

    Only rumble below the frequencies of speech is removed, for near and far microphones alike. Other noise is kept,
    because the models were trained on noisy speech, and recognise filtered speech worse.
    """

    type = serializers.ChoiceField(["near_field", "far_field"])
    strength = UnsupportedField()


class _Format(serializers.Serializer[dict[str, Any]]):
    type = serializers.ChoiceField(list(_GA_FORMATS), default="audio/pcm")
    rate = serializers.IntegerField(required=False, allow_null=True)


class _Input(serializers.Serializer[dict[str, Any]]):
    format = _Format(required=False, allow_null=True)
    transcription = RecognitionSerializer(required=False, allow_null=True)
    turn_detection = TurnDetectionSerializer(required=False, allow_null=True)
    noise_reduction = NoiseReduction(required=False, allow_null=True)


class _Audio(serializers.Serializer[dict[str, Any]]):
    input = _Input(required=False)


class GaSerializer(serializers.Serializer[dict[str, Any]]):
    """The ``session`` object of the current API."""

    type = serializers.ChoiceField(["transcription"], default="transcription")
    audio = _Audio(required=False)
    include = serializers.ListField(child=serializers.CharField(max_length=100), required=False, allow_null=True)


class BetaSerializer(serializers.Serializer[dict[str, Any]]):
    """The ``session`` object of the beta API."""

    input_audio_format = serializers.ChoiceField(list(_BETA_FORMATS), required=False, allow_null=True)
    input_audio_transcription = RecognitionSerializer(required=False, allow_null=True)
    turn_detection = TurnDetectionSerializer(required=False, allow_null=True)
    input_audio_noise_reduction = NoiseReduction(required=False, allow_null=True)
    include = serializers.ListField(child=serializers.CharField(max_length=100), required=False, allow_null=True)


@dataclass(frozen=True)
class RealtimeSettings:
    """The settings of one session.

    ``rate``: sample rate of the client's audio in Hz.
    ``transcription``: the client's recognition settings, with the fields of ``RecognitionSerializer``.
    ``detection``: settings of turn detection; None if the client itself ends each utterance.
    ``chose_detection``: whether the client chose ``detection``. If not, it is the model's default.
    ``logprobs``: whether to send the tokens' log probabilities.
    ``noise_reduction``: type of noise reduction that the client requested, or None.
    """

    encoding: Encoding = Encoding.PCM16
    rate: int = PCM_RATE
    transcription: Mapping[str, Any] = field(default_factory=dict)
    detection: TurnDetection | None = field(default_factory=TurnDetection)
    chose_detection: bool = False
    logprobs: bool = False
    noise_reduction: str | None = None

    @classmethod
    def starting(cls, model: str) -> RealtimeSettings:
        """Return the initial settings of a new connection.

        ``model``: the model in the connection's URL, or "". A model that cannot transcribe speech is ignored.
        """
        try:
            resolve(model or None, Task.TRANSCRIPTION)
        except ApiError:
            return cls()
        return cls()._common({"transcription": {"model": model}}, "transcription") if model else cls()

    def updated(self, session: Any) -> RealtimeSettings:
        """Return a copy of these settings, updated by the message ``session.update``.

        ``session``: the ``session`` object of the message. Fields that it does not contain keep their values. But as
        long as the client has not chosen ``turn_detection``, a new model brings its own default.

        Raise ``ApiError`` or ``ValidationError`` if the object is invalid or requests something unsupported.
        """
        form = GaSerializer(data=session)
        form.is_valid(raise_exception=True)
        changes = form.validated_data.get("audio", {}).get("input", {})
        changed = self._common(changes, "transcription")
        if "include" in form.validated_data:
            changed = replace(changed, logprobs=_wants_logprobs(form.validated_data["include"]))
        if wanted := changes.get("format"):
            encoding = _GA_FORMATS[wanted["type"]]
            changed = replace(changed, encoding=encoding, rate=_rate(encoding, wanted.get("rate")))
        return changed.checked()

    def updated_by_beta(self, session: Any) -> RealtimeSettings:
        """Return a copy of these settings, updated by the beta API's message ``transcription_session.update``.

        ``session``: the ``session`` object of the message. Its fields are treated as in ``updated``.

        Raise ``ApiError`` or ``ValidationError`` if the object is invalid or requests something unsupported.
        """
        form = BetaSerializer(data=session)
        form.is_valid(raise_exception=True)
        changes = form.validated_data
        changed = self._common(changes, "input_audio_transcription")
        if "include" in changes:
            changed = replace(changed, logprobs=_wants_logprobs(changes["include"]))
        if name := changes.get("input_audio_format"):
            encoding = _BETA_FORMATS[name]
            changed = replace(changed, encoding=encoding, rate=_rate(encoding, None))
        return changed.checked()

    def recognition(self) -> Recognition:
        return Recognition.of(self.transcription, logprobs=self.logprobs)

    def audio_input(self) -> AudioInput:
        """Return a new decoder for the client's audio, with these settings."""
        return AudioInput(self.encoding, self.rate, reduces_noise=self.noise_reduction is not None)

    def checked(self) -> RealtimeSettings:
        """Return these settings unchanged. Raise ``ApiError`` if the service does not support them."""
        self.recognition()
        self.audio_input()
        return self

    def ga(self, session_id: str, expires_at: int) -> dict[str, Any]:
        """Return the settings as the ``session`` object of the current API.

        ``expires_at``: time at which the session will have reached its maximum duration, in seconds since 1970.
        """
        shape: dict[str, Any] = {"type": _name(_GA_FORMATS, self.encoding)}
        if self.encoding is Encoding.PCM16:
            shape["rate"] = self.rate
        return {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "id": session_id,
            "expires_at": expires_at,
            "audio": {
                "input": {
                    "format": shape,
                    "transcription": self._transcription(),
                    "noise_reduction": self._noise_reduction(),
                    "turn_detection": self._turn_detection(),
                }
            },
            "include": [LOGPROBS] if self.logprobs else None,
        }

    def beta(self, session_id: str, expires_at: int) -> dict[str, Any]:
        """Return the settings as the ``session`` object of the beta API. ``expires_at`` is as in ``ga``."""
        return {
            "object": "realtime.transcription_session",
            "id": session_id,
            "expires_at": expires_at,
            "input_audio_format": _name(_BETA_FORMATS, self.encoding),
            "input_audio_transcription": self._transcription(),
            "input_audio_noise_reduction": self._noise_reduction(),
            "turn_detection": self._turn_detection(),
        }

    def _common(self, changes: Mapping[str, Any], transcription: str) -> RealtimeSettings:
        changed = self
        if transcription in changes:
            changed = replace(changed, transcription={**self.transcription, **(changes[transcription] or {})})
        for name in ("noise_reduction", "input_audio_noise_reduction"):
            if name in changes:
                changed = replace(changed, noise_reduction=(changes[name] or {}).get("type"))
        if "turn_detection" in changes:
            detection = turn_detection(changes["turn_detection"])
            changed = replace(changed, detection=detection, chose_detection=True)
        elif not self.chose_detection:
            manual = undated(changed.transcription.get("model") or "") in MANUAL_MODELS
            changed = replace(changed, detection=None if manual else TurnDetection())
        return changed

    def _transcription(self) -> dict[str, Any]:
        return {"model": self.recognition().model, "language": None, "prompt": "", **self.transcription}

    def _noise_reduction(self) -> dict[str, Any] | None:
        return {"type": self.noise_reduction} if self.noise_reduction else None

    def _turn_detection(self) -> dict[str, Any] | None:
        if self.detection is None:
            return None
        if self.detection.eagerness:
            return {"type": "semantic_vad", "eagerness": self.detection.eagerness}
        fields = asdict(self.detection)
        del fields["eagerness"]
        return {"type": "server_vad", **fields}


def latest_end() -> int:
    """Return the time at which a session that starts now will have reached its maximum duration, in s since 1970."""
    return int(time.time() + settings.VOICE_WS_MAX_S)


def _wants_logprobs(include: list[str] | None) -> bool:
    for name in include or ():
        if name != LOGPROBS:
            message = _("{name!r} cannot be included; {logprobs!r} can.").format(name=name, logprobs=LOGPROBS)
            raise ApiError(ErrorCode.UNSUPPORTED_PARAMETER, message, param="session.include")
    return bool(include)


def _rate(encoding: Encoding, wanted: int | None) -> int:
    return G711_RATE if encoding is not Encoding.PCM16 else wanted or PCM_RATE


def _name(formats: Mapping[str, Encoding], encoding: Encoding) -> str:
    return next(name for name, meant in formats.items() if meant is encoding)
