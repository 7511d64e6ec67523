"""The WebSocket of this room, by its path."""

from __future__ import annotations

from tts.consumer import SpeechConsumer

websockets = {"/ws/tts": SpeechConsumer.as_asgi()}
