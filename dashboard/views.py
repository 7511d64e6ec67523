"""The views of the dashboard: page, CSV and ZIP files, page of one end user, and weekly summary."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from core.error_codes import ErrorCode
from core.errors import ApiError
from core.models import ClientApplication
from dashboard import filters, people
from dashboard.board import FILES, OF_A_CLIENT, Board, csv_of, zip_of
from dashboard.date_range import DEFAULT, PRESETS, BadQuery, asked, preset
from dashboard.weekly_mail import mailed, recipients
from dashboard.weekly_summary import Summary, week_from_text

CSV = "text/csv; charset=utf-8"
PERMISSION = "usage.view_dashboard"
_POLICY = "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'"
_MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"  # a mail has inline styles only

View = Callable[..., HttpResponseBase]


def for_the_product_team(view: View) -> View:
    """Restrict a view to users who may see the dashboard (``PERMISSION``), and set security headers.

    Users who are not signed in are redirected to the login page. Those without the permission get an error page (403).
    """

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
        response["Content-Security-Policy"] = _MAIL_POLICY if view.__name__ == "weekly_mail" else _POLICY
        response["Referrer-Policy"] = "same-origin"
        response["Cache-Control"] = "private, no-store"
        return response

    return guarded


@for_the_product_team
def page(request: HttpRequest) -> HttpResponseBase:
    now = timezone.now()
    problem = None
    try:
        board = _board(request, now)
    except BadQuery as error:
        board = Board(preset(DEFAULT, now))
        problem = error
    context = {
        "board": board,
        "span": board.span,
        "span_query": urlencode(board.span.parts),
        "files": reverse("dashboard"),
        "filters": board.filters,
        "presets": PRESETS,
        "choices": _choices(board),
        "today": timezone.localdate(now),
        "problem": problem,
        "asked": {name: request.GET.get(name, "") for name in ("from", "to")} if problem else {},
        "time_zone": settings.TIME_ZONE,
        "may_tell": request.user.has_perm("usage.add_chatusers"),
    }
    return render(request, "dashboard/page.html", context, status=400 if problem else 200)


def _board(request: HttpRequest, now: datetime) -> Board:
    """Return the board for the request's query parameters. Raise ``BadQuery`` if they are invalid."""
    return Board(asked(request.GET, now), filters.asked(request.GET))


def _choices(board: Board) -> list[tuple[str, str, str, list[tuple[str, str]]]]:
    """Return the form fields of the filters: query parameter, label, chosen value, and choices (value, label)."""
    chosen = board.filters
    languages = {code: str(name) for code, name in filters.LANGUAGES.items() if code}
    if chosen.language:
        languages.setdefault(chosen.language, chosen.language)
    features = {name: str(title) for name, title in filters.FEATURES.items()}
    return [
        ("client", _("Client"), chosen.client, [(name, name) for name in sorted(board.names_of_clients)]),
        ("feature", _("Feature"), chosen.feature, list(features.items())),
        ("language", _("Language"), chosen.language, list(languages.items())),
    ]


@for_the_product_team
def person(request: HttpRequest, client: str, digits: str) -> HttpResponseBase:
    """Show the page of one end user, identified only by a pseudonym."""
    now = timezone.now()
    problem = None
    try:
        board = _board(request, now)
    except BadQuery as error:
        board = Board(preset(DEFAULT, now))
        problem = error
    found = _person(client, digits, board)
    address = reverse("dashboard-person", args=[client, digits])
    context = {
        "board": board,
        "span": board.span,
        "filters": board.filters,
        "person": found,
        "name": people.short(digits),
        "back": board.link(client=client),
        "presets": PRESETS,
        "address": address,
        "files": f"{address}/",
        "problem": problem,
    }
    return render(request, "dashboard/person.html", context, status=400 if problem else 200)


@for_the_product_team
def person_table(request: HttpRequest, client: str, digits: str, name: str) -> HttpResponseBase:
    if name not in ("requests", "kinds", "latest"):
        raise Http404

    def lines(board: Board) -> Iterator[bytes]:
        return found.tables[name].lines()

    try:
        found = _person(client, digits, _board(request, timezone.now()))
    except BadQuery as error:
        return _refused(error)
    return _download(request, f"{people.short(digits)}-{name}", "csv", CSV, lines)


def _person(client: str, digits: str, board: Board) -> people.Person:
    known = get_object_or_404(ClientApplication, name=client)
    users = people.find(known, digits)
    if not users:
        raise Http404
    return people.Person(known, users, board.span, board.filters)


@for_the_product_team
def weekly(request: HttpRequest) -> HttpResponseBase:
    """Show the weekly summary as it is mailed."""
    now = timezone.now()
    problem = None
    try:
        week = week_from_text(request.GET.get("week", "").strip(), now)
    except BadQuery as error:
        week = week_from_text("", now)
        problem = error
    after = week + timedelta(weeks=1)
    context = {
        "summary": Summary(week, now),
        "before": week - timedelta(weeks=1),
        "after": after if after <= timezone.localdate(now) else None,
        "receivers": [recipient.address for recipient in recipients()],
        "mailed": mailed(week),
        "problem": problem,
    }
    return render(request, "dashboard/weekly.html", context, status=400 if problem else 200)


@for_the_product_team
def weekly_mail(request: HttpRequest) -> HttpResponseBase:
    try:
        return HttpResponse(_summary(request).html())
    except BadQuery as error:
        return _refused(error)


@for_the_product_team
def weekly_pdf(request: HttpRequest) -> HttpResponseBase:
    try:
        summary = _summary(request)
    except BadQuery as error:
        return _refused(error)
    response = HttpResponse(summary.pdf(), content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="voice_{summary.week}.pdf"'
    return response


def _summary(request: HttpRequest) -> Summary:
    """Return the summary of the week in the request's query parameters. Raise ``BadQuery`` if the week is invalid."""
    now = timezone.now()
    return Summary(week_from_text(request.GET.get("week", "").strip(), now), now)


@for_the_product_team
def table(request: HttpRequest, name: str) -> HttpResponseBase:
    if name not in FILES and not (name in OF_A_CLIENT and request.GET.get("client")):
        raise Http404
    return _download(request, name, "csv", CSV, lambda board: csv_of(name, board))


@for_the_product_team
def everything(request: HttpRequest) -> HttpResponseBase:
    return _download(request, "voice", "zip", "application/zip", zip_of)


def _download(
    request: HttpRequest, name: str, ending: str, content_type: str, make: Callable[[Board], Iterator[bytes]]
) -> HttpResponseBase:
    try:
        board = _board(request, timezone.now())
    except BadQuery as error:
        return _refused(error)
    response = StreamingHttpResponse(_in_pieces(lambda: make(board)), content_type=content_type)
    chosen = "".join(f"_{value}" for value in board.filters.parts.values())
    filename = f"{name}{chosen}_{board.span.first}_{board.span.last}.{ending}"
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def _refused(error: BadQuery) -> JsonResponse:
    answer = ApiError(ErrorCode.INVALID_VALUE, error.message, param=error.field)
    return JsonResponse(answer.envelope(), status=answer.status)


async def _in_pieces(make: Callable[[], Iterator[bytes]]) -> AsyncIterator[bytes]:
    """Yield the pieces of a synchronous iterator one by one.

    Under ASGI, Django would read a synchronous iterator to its end before it sends anything.
    """
    pieces = await sync_to_async(lambda: iter(make()))()
    while (piece := await sync_to_async(lambda: next(pieces, None))()) is not None:
        yield piece
