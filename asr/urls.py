from __future__ import annotations

from django.urls import path

from asr.client_secrets import ClientSecretView
from asr.views import TranscriptionView, TranslationView

urlpatterns = [
    path("v1/audio/transcriptions", TranscriptionView.as_view(), name="transcriptions"),
    path("v1/audio/translations", TranslationView.as_view(), name="translations"),
    path("v1/realtime/client_secrets", ClientSecretView.as_view(), name="client-secrets"),
]
