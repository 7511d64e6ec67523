"""The WebSocket of this app, by its path."""

from __future__ import annotations

from tts.consumer import SpeechConsumer

websockets = {"/ws/tts": SpeechConsumer.as_asgi()}
