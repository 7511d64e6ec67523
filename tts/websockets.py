"""Maps this app's WebSocket path to its consumer."""

from __future__ import annotations

from tts.consumer import SpeechConsumer

websockets = {"/ws/tts": SpeechConsumer.as_asgi()}
