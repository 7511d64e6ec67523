"""The addresses of the dashboard: the page, each table as CSV, all of them as one ZIP. For people who are signed in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import wraps
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from core.error_codes import ErrorCode
from core.errors import ApiError
from dashboard.board import FILES, Board, csv_of, zip_of
from dashboard.date_range import DEFAULT, PRESETS, BadSpan, asked, preset

PERMISSION = "usage.view_dashboard"
_POLICY = "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'"

View = Callable[..., HttpResponseBase]


def for_the_product_team(view: View) -> View:
    """Strangers are asked to sign in; who may not look is told so."""

    @require_safe
    @wraps(view)
    def guarded(request: HttpRequest, **parts: Any) -> HttpResponseBase:
        user = request.user
        if not user.is_authenticated:
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        if user.has_perm(PERMISSION):
            response = view(request, **parts)
        else:
            response = render(request, "dashboard/forbidden.html", status=403)
        response["Content-Security-Policy"] = _POLICY
        response["Referrer-Policy"] = "same-origin"
        response["Cache-Control"] = "private, no-store"
        return response

    return guarded


@for_the_product_team
def page(request: HttpRequest) -> HttpResponseBase:
    now, problem = timezone.now(), None
    try:
        span = asked(request.GET, now)
    except BadSpan as error:
        span, problem = preset(DEFAULT, now), error
    context = {
        "board": Board(span),
        "span": span,
        "presets": PRESETS,
        "today": timezone.localdate(now),
        "problem": problem,
        "asked": {name: request.GET.get(name, "") for name in ("from", "to")} if problem else {},
        "time_zone": settings.TIME_ZONE,
        "may_tell": request.user.has_perm("usage.add_chatusers"),
    }
    return render(request, "dashboard/page.html", context, status=400 if problem else 200)


@for_the_product_team
def table(request: HttpRequest, name: str) -> HttpResponseBase:
    if name not in FILES:
        raise Http404
    return _download(request, name, "csv", "text/csv; charset=utf-8", lambda board: csv_of(name, board))


@for_the_product_team
def everything(request: HttpRequest) -> HttpResponseBase:
    return _download(request, "voice", "zip", "application/zip", zip_of)


def _download(
    request: HttpRequest, name: str, ending: str, content_type: str, make: Callable[[Board], Iterator[bytes]]
) -> HttpResponseBase:
    try:
        span = asked(request.GET, timezone.now())
    except BadSpan as error:
        answer = ApiError(ErrorCode.INVALID_VALUE, error.message, param=error.field)
        return JsonResponse(answer.envelope(), status=answer.status)
    response = StreamingHttpResponse(_in_pieces(lambda: make(Board(span))), content_type=content_type)
    filename = f"{name}_{span.first}_{span.last}.{ending}"
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


async def _in_pieces(make: Callable[[], Iterator[bytes]]) -> AsyncIterator[bytes]:
    """Django would read an iterator to its end before it sends anything; this one goes out as it is read."""
    pieces = await sync_to_async(lambda: iter(make()))()
    while (piece := await sync_to_async(lambda: next(pieces, None))()) is not None:
        yield piece
