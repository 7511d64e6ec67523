"""Django's error handlers. API clients get the JSON error envelope; the admin and the dashboard show an HTML page."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from django.contrib.admin import AdminSite
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from core.context import current
from core.error_codes import ErrorCode
from core.errors import ApiError, as_api_error
from core.logs import without_messages
from gateway.middleware import FOR_PEOPLE

logger = logging.getLogger(__name__)

_WORDS = {
    400: ("That did not work", "The request could not be understood. Go back and try again."),
    403: (
        "Not allowed",
        "Your role does not allow this, or it is no longer possible, for example because it has been done already.",
    ),
    404: ("There is nothing here", "The address is wrong, or what it showed is no longer there."),
    500: ("Something went wrong", "The failure has been logged. Quote the id below to whoever looks into it."),
}


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(
        request, as_api_error(exception) if exception else ApiError(ErrorCode.INVALID_VALUE, _("Bad request."))
    )


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, as_api_error(exception))


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, as_api_error(Http404()))


def server_error(request: HttpRequest) -> HttpResponse:
    error = sys.exception()
    logger.error("unhandled error", exc_info=error and without_messages(error), extra={"path": request.path})
    return _answer(request, as_api_error(Exception()))


def refuse_unknown_ids(site: AdminSite) -> None:
    """Make the admin answer 404 if the URL contains an unknown object id.

    By default the admin redirects to its index page, which looks like success.
    """

    def refuse(request: HttpRequest, opts: Any, object_id: str) -> NoReturn:
        raise Http404(f"There is no {opts.verbose_name} {object_id!r}.")

    refusing: Callable[..., NoReturn] = refuse
    for model_admin in site._registry.values():
        model_admin._get_obj_does_not_exist_redirect = refusing  # type: ignore[attr-defined]


def _answer(request: HttpRequest, answer: ApiError) -> HttpResponse:
    if not request.path.startswith(FOR_PEOPLE):
        return JsonResponse(answer.envelope(), status=answer.status, headers=answer.headers())
    title, text = _WORDS.get(answer.status, _WORDS[500])
    page = {"title": title, "text": text, "request_id": current().id, "status": answer.status}
    return render(request, "error.html", page, status=answer.status)
