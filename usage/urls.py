from __future__ import annotations

from django.urls import path

from usage.views import CorrectionView, RatingView, UsageView

urlpatterns = [
    path("v1/usage", UsageView.as_view()),
    path("v1/audio/transcriptions/<str:request_id>/correction", CorrectionView.as_view()),
    path("v1/audio/speech/<str:request_id>/rating", RatingView.as_view()),
]
