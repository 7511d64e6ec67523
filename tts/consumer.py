"""The WebSocket ``/ws/tts``: speak text while a language model is still writing it.

Messages from the client (->), and the server's answers (<-):

-> {"type": "start", "voice", "speed", "format", ...}  (optional)      <- ready
-> {"type": "text", "text": "..."}                                     <- for each sentence: sentence, then binary audio
-> {"type": "flush"}                                                   <- flushed, after the audio of all text so far
-> {"type": "cancel"}                                                  <- cancelled, at once
-> {"type": "end"}                                                     <- usage and done, after all audio

``tts.live_speech`` cuts the text into sentences and speaks them.
"""

from __future__ import annotations

import time
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from core.error_codes import ErrorCode
from core.errors import ApiError
from gateway import metrics
from gateway.gate import Kind
from gateway.socket import SocketConsumer
from gateway.socket_messages import whole_characters
from gateway.strict_json import StrictCharField, StrictFloatField
from tts.encoding import SAMPLE_RATE, AudioFormat
from tts.live_speech import Audio, Cancelled, Ended, Event, Flushed, LiveSpeech, SentenceStarts, State, TooMuchText
from tts.requested_voice import follows_text, requested_voice
from tts.serializers import VoiceField
from tts.voices import primary

FORMATS = (AudioFormat.PCM.value, AudioFormat.OPUS.value)


class StartSerializer(serializers.Serializer[dict[str, Any]]):
    model = StrictCharField(required=False, max_length=200)
    voice = VoiceField(required=False, max_length=200)
    language = StrictCharField(required=False, max_length=20)
    speed = StrictFloatField(required=False, default=1.0, min_value=0.25, max_value=4.0)
    format = serializers.ChoiceField(FORMATS, default=AudioFormat.PCM.value)
    sample_rate = serializers.ChoiceField([SAMPLE_RATE], default=SAMPLE_RATE)
    user = StrictCharField(required=False, allow_blank=True, max_length=200)


class SpeechConsumer(SocketConsumer):
    """One connection to ``/ws/tts``. If the first message is not ``start``, the default voice and settings apply."""

    kind = Kind.SPEECH
    splittable = frozenset(["text"])
    speech: LiveSpeech | None = None
    half_character = ""  # the first half of a surrogate pair, until the next message brings the second half
    is_winding_down = False

    async def on_message(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "start":
            await self._start(message)
            return
        if self.speech is None:
            await self._start({})
        assert self.speech is not None
        try:
            match kind:
                case "text":
                    self.speech.push(self._text(message))
                case "flush":
                    self.speech.flush()
                case "cancel":
                    self.half_character = ""
                    await self.speech.cancel()
                case "end":
                    self.speech.end()
                case _:
                    raise ApiError(
                        ErrorCode.INVALID_VALUE, _("There is no message {kind!r}.").format(kind=kind), param="type"
                    )
        except TooMuchText as error:
            raise ApiError(ErrorCode.INPUT_TOO_LONG, _("Too much text waits to be spoken."), param="text") from error
        except ValueError as error:
            raise ApiError(ErrorCode.INVALID_VALUE, str(error) + ".", param="type") from error

    def _text(self, message: dict[str, Any]) -> str:
        """Return the message's text up to its last complete character. Raise ``ApiError`` if it is not a string."""
        text = message.get("text")
        if not isinstance(text, str):
            raise ApiError(ErrorCode.INVALID_VALUE, _("`text` must be a string."), param="text")
        text = self.half_character + text
        self.half_character = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        return whole_characters(text[:-1] if self.half_character else text)

    async def on_binary(self, data: bytes) -> None:
        raise ApiError(ErrorCode.INVALID_VALUE, _("Send text as JSON. Only the server sends binary messages."))

    async def wind_down(self) -> None:
        """Speak all text received so far, and wait until its audio has been sent.

        The base class then tells the client why the connection ends.
        """
        self.is_winding_down = True
        if self.speech is not None:
            if self.speech.state is State.OPEN:
                self.speech.end()
            await self.speech.ended()

    async def closed(self) -> None:
        self.meter()
        if self.speech is not None:
            await self.speech.close()

    def is_working(self) -> bool:
        return super().is_working() or (self.speech is not None and self.speech.is_waiting)

    def meter(self) -> None:
        if self.speech is not None:
            self.work.characters = self.speech.characters
            self.work.audio_ms = self.speech.audio_ms
            self.work.queue_ms = self.speech.queue_ms
            self.work.model = self.speech.main_voice.model
            self.work.voice = self.speech.main_voice.id

    async def _start(self, message: dict[str, Any]) -> None:
        if self.speech is not None:
            raise ApiError(ErrorCode.INVALID_VALUE, _("'start' must come first, and only once."), param="type")
        form = StartSerializer(data={name: value for name, value in message.items() if value is not None})
        form.is_valid(raise_exception=True)
        fields = form.validated_data
        await self.name_user(fields.get("user"))
        voice = requested_voice(fields)
        language = primary(fields.get("language") or voice.language)
        self.work.model = voice.model
        self.work.voice = voice.id
        self.work.language = language
        self.speech = LiveSpeech(
            voice,
            language=language,
            language_is_given=bool(fields.get("language")),
            follows_text=follows_text(fields),
            tell=self._tell,
            failed=self.fail,
            speed=fields["speed"],
            audio_format=AudioFormat(fields["format"]),
        )
        about = {"voice": voice.id, "language": language, "format": fields["format"], "sample_rate": SAMPLE_RATE}
        self.send_event({"type": "ready", "session_id": self.work.request_id, **about})

    async def _tell(self, event: Event) -> None:
        self._last_activity_at = time.monotonic()  # a client that listens to a long reply sends nothing but is not idle
        match event:
            case Audio(data):
                self.send_event(data)
                await self.sent()
                await self._note_progress()
            case SentenceStarts():
                metrics.live_seconds.labels(self.kind.value).observe(event.waited_s)
                about = {"index": event.index, "text": event.text, "start_ms": event.start_ms}
                degraded = {"degraded": event.degraded} if event.degraded else {}
                self.send_event({"type": "sentence", **about, **degraded})
            case Flushed():
                self.send_event({"type": "flushed"})
            case Cancelled():
                self.send_event({"type": "cancelled", "audio_ms": event.audio_ms})
            case Ended():
                self.meter()
                usage = {"characters": self.work.characters, "audio_ms": round(self.work.audio_ms)}
                self.send_event({"type": "usage", **usage})
                if not self.is_winding_down:
                    self.send_event({"type": "done"})
                    self.finish()
