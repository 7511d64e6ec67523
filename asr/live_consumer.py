"""The common part of the WebSocket protocols for live recognition.

This module checks the request fields, decodes the audio, runs the streaming session, and meters the usage.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from asr import languages
from asr.checkpoint import configured
from asr.endpointing import TurnDetection
from asr.live_audio import AudioInput
from asr.streaming import StreamingSession
from asr.streaming_events import Committed, Event, Failed, Final
from asr.transcript import join
from asr.units import Options, Samples
from asr.whisper_engine import whisper
from core.error_codes import ErrorCode
from core.errors import ApiError
from gateway import metrics
from gateway.catalogue import Task, resolve
from gateway.gate import Kind
from gateway.handshake import Handshake
from gateway.socket import SocketConsumer
from gateway.strict_json import StrictCharField
from inference.errors import OverCapacity
from inference.pool import in_pool
from usage.recent_transcripts import remember

MAX_WAIT_S = 2.0  # while speech would wait longer than this for the engine, no new streams are accepted
DECODE_IN_POOL_BYTES = 65_536  # decoding a smaller message takes less time than handing it to another thread


#: Length of the pause that ends a turn, for each eagerness of ``semantic_vad``.
SILENCE_BY_EAGERNESS_MS = {"low": 1_500, "medium": 800, "auto": 800, "high": 400}


class UnsupportedField(serializers.Field[None, Any, None, Any]):
    """A parameter of OpenAI's API that this service does not support.

    Raise ``ApiError`` 400 with the name of the parameter for any value except null.
    """

    def __init__(self) -> None:
        super().__init__(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> None:
        raise ApiError(
            ErrorCode.UNSUPPORTED_PARAMETER,
            _("{field_name} is not supported.").format(field_name=self.field_name),
            param=self.field_name,
        )


class TurnDetectionSerializer(serializers.Serializer[dict[str, Any]]):
    """OpenAI's ``turn_detection`` object."""

    type = serializers.ChoiceField(["server_vad", "semantic_vad"], default="server_vad")
    eagerness = serializers.ChoiceField(list(SILENCE_BY_EAGERNESS_MS), required=False, allow_null=True)
    threshold = serializers.FloatField(required=False, min_value=0.05, max_value=0.95)
    prefix_padding_ms = serializers.IntegerField(required=False, min_value=0, max_value=2_000)
    silence_duration_ms = serializers.IntegerField(required=False, min_value=100, max_value=10_000)
    idle_timeout_ms = UnsupportedField()


class RecognitionSerializer(serializers.Serializer[dict[str, Any]]):
    """The recognition settings that every live protocol accepts, such as ``model``, ``language`` and ``prompt``."""

    model = StrictCharField(required=False, allow_null=True, allow_blank=True, max_length=200)
    language = StrictCharField(required=False, allow_null=True, allow_blank=True, max_length=40)
    prompt = StrictCharField(required=False, allow_null=True, allow_blank=True, max_length=4096)
    keywords = serializers.ListField(
        child=StrictCharField(max_length=100), required=False, allow_null=True, max_length=100
    )
    languages = serializers.ListField(
        child=serializers.CharField(max_length=40), required=False, allow_null=True, max_length=100
    )
    delay = UnsupportedField()


@dataclass(frozen=True)
class Recognition:
    """The model and the recognition options that a client has requested, after they have been checked.

    ``model``: id of an existing model.
    ``options``: options that the model supports.
    """

    model: str
    options: Options

    @classmethod
    def of(cls, fields: Mapping[str, Any], *, words: bool = False, logprobs: bool = False) -> Recognition:
        """Create an instance from the validated fields of a ``RecognitionSerializer``.

        ``words``: whether final results list timed words.
        ``logprobs``: whether final results list tokens with their log probabilities.

        Raise ``ApiError``: 400 for a language that cannot be recognised, 404 for an unknown model.
        """
        language, candidates = languages.chosen(
            fields.get("language") or "", fields.get("languages") or (), configured()
        )
        options = Options(
            language=language,
            candidates=candidates,
            prompt=fields.get("prompt") or "",
            keywords=tuple(fields.get("keywords") or ()),
            words=words,
            logprobs=logprobs,
            timestamps=True,  # needed to find speech that the model skipped
        )
        return cls(resolve(fields.get("model"), Task.TRANSCRIPTION).id, options)


def turn_detection(fields: Mapping[str, Any] | None) -> TurnDetection | None:
    """Convert the validated fields of a ``TurnDetectionSerializer``; return None if ``fields`` is None."""
    if fields is None:
        return None
    given = {name: value for name, value in fields.items() if name not in ("type", "eagerness") and value is not None}
    if fields.get("type") == "semantic_vad":
        eagerness = fields.get("eagerness") or "auto"
        return TurnDetection(silence_duration_ms=SILENCE_BY_EAGERNESS_MS[eagerness], eagerness=eagerness)
    return TurnDetection(**given)


class LiveConsumer(SocketConsumer):
    """Base class of the WebSocket consumers for live recognition.

    A subclass must set ``audio_input``, call ``start``, and override ``tell``.

    ``audio_input``: decodes the client's audio messages.
    ``session``: the streaming session; None before ``start``.
    """

    kind = Kind.REALTIME
    audio_input: AudioInput
    session: StreamingSession | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._texts: list[str] = []
        self._ended_at: dict[int, float] = {}  # end times of the utterances without a final result, by number

    @abstractmethod
    def tell(self, event: Event) -> None:
        """Send an event of the streaming session to the client, in the format of the subclass's protocol."""

    async def opened(self, handshake: Handshake, preset: Mapping[str, Any]) -> None:
        wait = whisper().stats().estimated_wait_s
        if wait > MAX_WAIT_S:
            raise OverCapacity(wait)

    def start(self, recognition: Recognition, detection: TurnDetection | None, *, partials: bool) -> StreamingSession:
        """Create and return the streaming session.

        ``detection``: settings of turn detection; None if the client itself marks the end of each utterance.
        ``partials``: whether to send partial results.
        """
        self.work.model = recognition.model
        self.session = StreamingSession(
            whisper(),
            configured(),
            self._emit,
            options=recognition.options,
            detection=detection,
            partials=partials,
        )
        return self.session

    async def decode(self, data: bytes) -> Samples:
        """Decode one audio message, and return the samples that are ready, float32 (n,) at 16 kHz.

        Raise ``ApiError`` 400 for an invalid Opus packet.
        """
        return (
            await in_pool(self.audio_input.decode, data)
            if len(data) > DECODE_IN_POOL_BYTES
            else self.audio_input.decode(data)
        )

    async def wind_down(self) -> None:
        if self.session is not None:
            await self.session.finish()

    def is_working(self) -> bool:
        return super().is_working() or (self.session is not None and self.session.is_working)

    def meter(self) -> None:
        if self.session is not None:
            self.work.audio_ms = self.session.audio_ms
            self.work.queue_ms = self.session.queued_ms
            self.work.language = self.session.language

    async def closed(self) -> None:
        if self.session is not None:
            await self.session.abort()
            self.meter()
            await remember(self.work, join(self._texts))

    def _emit(self, event: Event) -> None:
        match event:
            case Committed():
                self._ended_at[event.number] = time.monotonic()
            case Final():
                self._texts.append(event.text)
                waited_s = time.monotonic() - self._ended_at.pop(event.number)
                metrics.live_seconds.labels(self.kind.value).observe(waited_s)
            case Failed():
                self._ended_at.pop(event.number, None)
        self.tell(event)
