"""The WebSockets of this app, by path."""

from __future__ import annotations

from asr.consumers import PlainConsumer
from asr.realtime import RealtimeConsumer

websockets = {
    "/ws/asr": PlainConsumer.as_asgi(),
    "/v1/realtime": RealtimeConsumer.as_asgi(),
}
