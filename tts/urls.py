"""The URL paths of this app: its HTTP endpoints and its WebSocket."""

from __future__ import annotations

from django.urls import path

from tts.consumer import SpeechConsumer
from tts.views import ScriptView, SpeechView, VoicesView

urlpatterns = [
    path("v1/audio/speech", SpeechView.as_view(), name="speech"),
    path("v1/audio/speech/script", ScriptView.as_view(), name="script"),
    path("v1/audio/voices", VoicesView.as_view(), name="voices"),
]

websockets = {"/ws/tts": SpeechConsumer.as_asgi()}
