"""Every HTTP URL of the service except static files. ``asr.urls`` and ``tts.urls`` list the WebSockets too."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.decorators.http import require_safe
from django_prometheus.exports import ExportToDjangoView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from dashboard import homepage
from gateway import health
from gateway.availability import AvailabilityView
from gateway.model_views import AudioModelsView, ModelsView, ModelView
from gateway.usage_views import CorrectionView, RatingView, UsageView
from voiceproject import error_pages, playground

admin.site.site_header = admin.site.site_title = "Voice service"
error_pages.refuse_unknown_ids(admin.site)

urlpatterns = [
    path("", playground.page),
    path("", include("asr.urls")),
    path("", include("tts.urls")),
    path("v1/usage", UsageView.as_view()),
    path("v1/audio/transcriptions/<str:request_id>/correction", CorrectionView.as_view()),
    path("v1/audio/speech/<str:request_id>/rating", RatingView.as_view()),
    path("v1/models", ModelsView.as_view()),
    path("v1/models/<path:name>", ModelView.as_view()),
    path("v1/audio/models", AudioModelsView.as_view()),
    path("v1/voice/availability", AvailabilityView.as_view()),
    path("healthz", health.live),
    path("readyz", health.ready),
    path("metrics", ExportToDjangoView),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path(
        "docs/",
        # The view's template cannot be rendered for other methods.
        require_safe(SpectacularSwaggerView.as_view(url_name="schema", template_name="api_page.html")),
        name="docs",
    ),
    path("admin/", include([path("now.json", admin.site.admin_view(homepage.fresh)), path("", admin.site.urls)])),
    path("dashboard/", include("dashboard.urls")),
    re_path("", error_pages.not_found),  # also with DEBUG, where Django would show its own HTML page
]

handler400 = "voiceproject.error_pages.bad_request"
handler403 = "voiceproject.error_pages.permission_denied"
handler404 = "voiceproject.error_pages.not_found"
handler500 = "voiceproject.error_pages.server_error"
