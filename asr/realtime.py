"""``/v1/realtime?intent=transcription``: OpenAI's realtime transcription protocol.

While the user is still speaking, ``delta`` events contain the words that are unlikely to change (``asr.stable_words``).
The ``completed`` event contains the final text. If the final text differs from the deltas, the final text is the
correct one. As with OpenAI, a client's mistake is answered with an ``error`` event, and the session continues.

A client of OpenAI's beta API gets messages in the beta's format. The service recognises such a client by its header,
its subprotocol, or the message ``transcription_session.update``.
"""

from __future__ import annotations

import base64
import binascii
import math
import uuid
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError

from asr.live_consumer import LiveConsumer
from asr.realtime_session import RealtimeSettings, latest_end
from asr.streaming import NothingToCommit
from asr.streaming_events import Committed, Event, Failed, Final, Partial, SpeechStarted, SpeechStopped
from asr.transcript import duration_usage, listed_logprobs
from core.error_codes import ErrorCode
from core.errors import ApiError, report
from gateway.handshake import Handshake
from gateway.lifecycle import lifecycle

GOING_AWAY = 1001  # close codes of RFC 6455 and its registry
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013
_BETA_PROTOCOL = "openai-beta.realtime-v1"
_ITEM_TRANSCRIPTION = "conversation.item.input_audio_transcription"


class RealtimeConsumer(LiveConsumer):
    """The WebSocket consumer of OpenAI's realtime transcription protocol."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings = RealtimeSettings()
        self._id = f"sess_{uuid.uuid4().hex}"
        self._expires_at = 0
        self._beta = False
        self._answering: str | None = None  # the client's ``event_id`` of the message that is being handled
        self._is_update = False
        self._previous_item: str | None = None
        self._sent: dict[int, str] = {}  # text sent so far for the utterances without a final result, by number

    async def opened(self, handshake: Handshake, preset: Mapping[str, Any]) -> None:
        if handshake.query.get("intent") != "transcription" and preset.get("type") != "transcription":
            message = _("Only transcription is offered here: connect with ?intent=transcription.")
            raise ApiError(ErrorCode.INVALID_VALUE, message, param="intent")
        await self.work.admit()
        await super().opened(handshake, preset)
        in_header = "realtime=v1" in handshake.headers.get("openai-beta", "")
        self._beta = in_header or _BETA_PROTOCOL in handshake.subprotocols
        self._expires_at = latest_end()
        self._settings = RealtimeSettings.starting(handshake.query.get("model") or "")
        if preset:
            self._settings = self._settings.updated(preset)
        self.audio_input = self._settings.audio_input()
        self.start(self._settings.recognition(), self._settings.detection, partials=True)
        self._send_session("created")

    async def on_message(self, message: dict[str, Any]) -> None:
        wanted = message.get("event_id")
        self._answering = wanted if isinstance(wanted, str) else None
        self._is_update = message["type"].endswith("session.update")
        assert self.session is not None
        match message["type"]:
            case "session.update":
                self._update(self._settings.updated(message.get("session") or {}))
            case "transcription_session.update":
                self._beta = True
                self._update(self._settings.updated_by_beta(message.get("session") or {}))
            case "input_audio_buffer.append":
                await self.session.append(await self.decode(_audio(message)))
            case "input_audio_buffer.commit":
                await self.session.commit()
            case "input_audio_buffer.clear":
                await self.session.clear()
                self._sent.clear()
                self._send("input_audio_buffer.cleared")
            case kind:
                text = _("{kind!r} is not a message of a transcription session.").format(kind=kind)
                raise ApiError(ErrorCode.INVALID_VALUE, text, param="type")

    async def on_binary(self, data: bytes) -> None:
        raise ApiError(ErrorCode.INVALID_VALUE, _("Send audio as base64 in input_audio_buffer.append."))

    @property
    def idle_limit_s(self) -> float:
        """The maximum time in seconds for which the client may send nothing. There is no limit.

        A muted microphone is no reason to close the connection. Dead connections are found by the WebSocket protocol's
        pings.
        """
        return math.inf

    def close_for(self, answer: ApiError) -> tuple[int, bool]:
        """Return the close code for an error, and whether to send an ``error`` event before closing.

        After a temporary failure, and when the session has reached its maximum duration, the close code is one that
        makes OpenAI's SDKs reconnect. No ``error`` event is sent then, because the SDKs would treat it as a permanent
        failure.
        """
        if answer.status == 503:
            return (SERVICE_RESTART if lifecycle().stopping.is_set() else TRY_AGAIN_LATER), False
        if answer.code is ErrorCode.SESSION_EXPIRED:  # OpenAI's own close code after its 60 minutes
            return GOING_AWAY, False
        return super().close_for(answer)

    async def on_error(self, error: Exception) -> None:
        if isinstance(error, NothingToCommit):
            message = _("The buffer is too small to commit: at least 100 ms of audio are needed.")
            error = ApiError(ErrorCode.COMMIT_EMPTY, message)
        if isinstance(error, ValidationError) or (isinstance(error, ApiError) and error.status in (400, 404)):
            answer = report(error)
            if self._is_update:
                answer.message += " " + _("No part of this update was applied.")
            self.send_event(self.error_event(answer))
        else:
            await super().on_error(error)

    def error_event(self, answer: ApiError) -> dict[str, Any]:
        error = {**answer.envelope()["error"], "event_id": self._answering}
        return {"type": "error", "event_id": _event_id(), "error": error}

    def tell(self, event: Event) -> None:
        item = f"item_{self._id[5:17]}{event.number:05}"
        match event:
            case SpeechStarted():
                self._send("input_audio_buffer.speech_started", item_id=item, audio_start_ms=event.at_ms)
            case SpeechStopped():
                self._send("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=event.at_ms)
            case Committed():
                self._tell_committed(item)
            case Partial():
                self._tell_delta(event.number, item, event.stable)
            case Final():
                self._tell_delta(event.number, item, event.text)
                del self._sent[event.number]
                usage = duration_usage(event.audio_ms / 1000)
                optional = {"logprobs": listed_logprobs(event.tokens)} if self._settings.logprobs else {}
                spoken = [{"code": event.language}] if event.text else []
                self._send_of(item, "completed", transcript=event.text, languages=spoken, usage=usage, **optional)
            case Failed():
                self._sent.pop(event.number, None)
                self._send_of(item, "failed", error=report(event.error).envelope()["error"])

    def _tell_committed(self, item: str) -> None:
        previous = self._previous_item
        self._previous_item = item
        content = [{"type": "input_audio", "transcript": None}]
        message = {
            "id": item,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": content,
        }
        self._send("input_audio_buffer.committed", item_id=item, previous_item_id=previous)
        for name in ("created",) if self._beta else ("added", "done"):
            self._send(f"conversation.item.{name}", item=message, previous_item_id=previous)

    def _tell_delta(self, number: int, item: str, text: str) -> None:
        """Send the part of ``text`` that has not been sent yet.

        If ``text`` does not begin with the text sent so far, send nothing.
        """
        sent = self._sent.setdefault(number, "")
        if len(text) > len(sent) and text.startswith(sent):
            self._sent[number] = text
            self._send_of(item, "delta", delta=text[len(sent) :])

    def _update(self, wanted: RealtimeSettings) -> None:
        before = self._settings
        self._settings = wanted
        assert self.session is not None
        recognition = wanted.recognition()
        self.session.options = recognition.options
        self.work.model = recognition.model
        if wanted.detection != before.detection:
            self.session.detect(wanted.detection)
        input_settings = (wanted.encoding, wanted.rate, wanted.noise_reduction)
        if input_settings != (before.encoding, before.rate, before.noise_reduction):
            self.audio_input = wanted.audio_input()
        self._send_session("updated")

    def _send_session(self, what: str) -> None:
        if self._beta:
            self._send(f"transcription_session.{what}", session=self._settings.beta(self._id, self._expires_at))
        else:
            self._send(f"session.{what}", session=self._settings.ga(self._id, self._expires_at))

    def _send_of(self, item: str, what: str, **fields: Any) -> None:
        self._send(f"{_ITEM_TRANSCRIPTION}.{what}", item_id=item, content_index=0, **fields)

    def _send(self, kind: str, **fields: Any) -> None:
        self.send_event({"type": kind, "event_id": _event_id(), **fields})


def _event_id() -> str:
    return f"event_{uuid.uuid4().hex}"


def _audio(message: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(message["audio"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise ApiError(ErrorCode.INVALID_VALUE, _("`audio` must be base64."), param="audio") from error
