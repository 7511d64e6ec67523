"""``/ws/asr``: the service's own WebSocket protocol for live recognition.

These are the client's messages (``->``) and the service's answers (``<-``):

    -> {"type": "start", "sample_rate": 16000, "language": "ms", ...}    <- ready
    -> binary messages: audio                   <- speech_started, partial, speech_stopped, final
    -> {"type": "commit"}, {"type": "clear"}
    -> {"type": "stop"}                         <- final, usage, done

After an invalid message, the service sends an ``error`` message that names the mistake, and closes the connection. The
connection stays open if there was merely no speech to commit, or if the recognition of one utterance failed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from asr.live_audio import AudioInput, Encoding
from asr.live_consumer import LiveConsumer, Recognition, RecognitionSerializer, TurnDetectionSerializer, turn_detection
from asr.streaming import NothingToCommit
from asr.streaming_events import Committed, Event, Failed, Final, Partial, SpeechStarted, SpeechStopped
from core.error_codes import ErrorCode
from core.errors import ApiError, report
from gateway.strict_json import StrictCharField


class State(StrEnum):
    """The state of a connection. It determines which messages the client may send."""

    NEW = "waiting for start"
    STREAMING = "streaming"
    STOPPED = "stopped"

    @property
    def words(self) -> str:
        """A description of the state in the client's language, for error messages."""
        named = {
            State.NEW: _("waiting for start"),
            State.STREAMING: _("streaming"),
            State.STOPPED: _("stopped"),
        }
        return named[self]


class StartSerializer(RecognitionSerializer):
    """The ``start`` message of ``/ws/asr``."""

    encoding = serializers.ChoiceField([encoding.value for encoding in Encoding], default=Encoding.PCM16.value)
    sample_rate = serializers.IntegerField(required=False, help_text="Of PCM16; 8000 for G.711, 48000 for Opus")
    turn_detection = TurnDetectionSerializer(required=False, allow_null=True)
    partials = serializers.BooleanField(default=True)
    words = serializers.BooleanField(default=True)
    user = StrictCharField(required=False, allow_blank=True, max_length=200)


class PlainConsumer(LiveConsumer):
    """The WebSocket consumer of ``/ws/asr``."""

    state = State.NEW

    async def on_message(self, message: dict[str, Any]) -> None:
        match self.state, message["type"]:
            case State.NEW, "start":
                await self._start(message)
            case State.STREAMING, "commit":
                await self._streaming().commit()
            case State.STREAMING, "clear":
                await self._streaming().clear()
            case State.STREAMING, "stop":
                await self._stop()
            case state, kind:
                raise ApiError(
                    ErrorCode.INVALID_VALUE,
                    _("{kind!r} is not allowed now: {state}.").format(kind=kind, state=state.words),
                    param="type",
                )

    async def on_binary(self, data: bytes) -> None:
        if self.state is not State.STREAMING:
            raise ApiError(
                ErrorCode.INVALID_VALUE, _("Audio is not allowed now: {state}.").format(state=self.state.words)
            )
        await self._streaming().append(await self.decode(data))

    async def on_error(self, error: Exception) -> None:
        if isinstance(error, NothingToCommit):
            answer = ApiError(ErrorCode.AUDIO_TOO_SHORT, _("There is no speech to commit."))
            self.send_event(self.error_event(answer))
        else:
            await super().on_error(error)

    def tell(self, event: Event) -> None:
        match event:
            case SpeechStarted():
                self._send("speech_started", event, at_ms=event.at_ms)
            case SpeechStopped():
                self._send("speech_stopped", event, at_ms=event.at_ms)
            case Committed():
                pass
            case Partial():
                self._send("partial", event, text=event.text, stable=event.stable)
            case Final():
                words = [
                    {"word": word.text, "start_ms": round(1000 * word.start), "end_ms": round(1000 * word.end)}
                    for word in event.words
                ]
                times = {"start_ms": event.start_ms, "end_ms": event.end_ms}
                self._send("final", event, text=event.text, words=words, language=event.language, **times)
            case Failed():
                self._send("error", event, **report(event.error).envelope())

    def _send(self, kind: str, event: Event, **fields: Any) -> None:
        self.send_event({"type": kind, "utterance": event.number, **fields})

    def _streaming(self) -> Any:
        assert self.session is not None
        return self.session

    async def _start(self, message: dict[str, Any]) -> None:
        form = StartSerializer(data=message)
        form.is_valid(raise_exception=True)
        fields = form.validated_data
        await self.name_user(fields.get("user"))
        encoding = Encoding(fields["encoding"])
        g711 = encoding in (Encoding.MULAW, Encoding.ALAW)
        self.audio_input = AudioInput(encoding, fields.get("sample_rate", 8_000 if g711 else 16_000))
        recognition = Recognition.of(fields, words=fields["words"])
        self.start(recognition, turn_detection(fields.get("turn_detection", {})), partials=fields["partials"])
        self.state = State.STREAMING
        self.send_event(
            {
                "type": "ready",
                "session_id": self.work.request_id,
                "model": recognition.model,
                "language": recognition.options.language,
                "encoding": encoding.value,
                "sample_rate": self.audio_input.sample_rate,
            }
        )

    async def _stop(self) -> None:
        self.state = State.STOPPED
        session = self._streaming()
        await session.append(self.audio_input.rest())
        await session.finish()
        self.send_event({"type": "usage", "audio_ms": round(session.audio_ms)})
        self.send_event({"type": "done"})
        self.finish()
