"""The URL paths of this app's HTTP endpoints and WebSockets."""

from __future__ import annotations

from django.urls import path

from asr.client_secrets import ClientSecretView
from asr.consumer import PlainConsumer
from asr.realtime import RealtimeConsumer
from asr.views import TranscriptionView, TranslationView

urlpatterns = [
    path("v1/audio/transcriptions", TranscriptionView.as_view(), name="transcriptions"),
    path("v1/audio/translations", TranslationView.as_view(), name="translations"),
    path("v1/realtime/client_secrets", ClientSecretView.as_view(), name="client-secrets"),
]

websockets = {
    "/ws/asr": PlainConsumer.as_asgi(),
    "/v1/realtime": RealtimeConsumer.as_asgi(),
}
