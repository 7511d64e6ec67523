"""The page at `/`: speak and read the words, type and hear them."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from gateway.catalogue import ModelCard, Task, notices, offered
from model_store.catalogue import catalogue

_LANGUAGES = {"ms": "Malay", "en": "English", "zh": "Mandarin", "ta": "Tamil"}
# blob: the microphone's worklet, which voice.js carries inside itself.
_POLICY = (
    "default-src 'self'; script-src 'self' blob:; base-uri 'none'; object-src 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)


@require_safe
async def page(request: HttpRequest) -> HttpResponse:
    model = offered(Task.TRANSCRIPTION)[0]
    languages = [(code, _LANGUAGES.get(code, code)) for code in model.languages]
    if len(languages) != 1:
        languages.insert(0, ("", "Detect it"))
    shown = {
        "notices": notices(),
        "languages": languages,
        "recogniser": _name(model),
        "voice": _name(offered(Task.SPEECH)[0]),
    }
    response = render(request, "playground.html", shown)
    response["Content-Security-Policy"] = _POLICY
    response["Permissions-Policy"] = "microphone=(self)"
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "no-cache"
    return response


def _name(card: ModelCard) -> str:
    """What people call a model."""
    known = catalogue().find(card.id)
    return known.name if known is not None else card.id
