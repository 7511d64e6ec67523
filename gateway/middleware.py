"""Django's middleware, adapted so that API calls need no thread.

Django's own classes are synchronous, so each would send every request to a thread and back. Here, middleware for users
who sign in runs only for their pages, and middleware for every request runs on the event loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import markcoroutinefunction, sync_to_async
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.gzip import GZipMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.cache import patch_vary_headers
from django_prometheus.middleware import Metrics as PrometheusMetrics
from django_prometheus.middleware import PrometheusAfterMiddleware

from core import locale

LANGUAGE_KEPT_S = 365 * 24 * 3600
FOR_PEOPLE = ("/admin/", "/dashboard/")  # pages for people who sign in; everything else is called with keys and tokens

# The admin's theme uses inline scripts, and Alpine.js, which evaluates attributes. So both have to be allowed.
ADMIN_POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)


class PeopleOnly:
    """Mix-in that restricts a Django middleware to pages for users who sign in: the admin and the dashboard."""

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(FOR_PEOPLE):
            return cast(HttpResponseBase, await super().__acall__(request))  # type: ignore[misc]
        return cast(HttpResponseBase, await self.get_response(request))  # type: ignore[attr-defined]


class Language:
    """Middleware that sets the language of a page: the one chosen with ``?lang=ms``, or else the browser's preference.

    A cookie keeps the choice. Only the home page and the dashboard are translated.
    """

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]]) -> None:
        self._get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info != "/" and not request.path_info.startswith("/dashboard/"):
            return await self._get_response(request)
        wanted = request.GET.get("lang")
        language = locale.chosen(wanted, request.COOKIES, request.headers.get("Accept-Language", ""))
        locale.answer_in(language)
        response = await self._get_response(request)
        response.headers["Content-Language"] = language
        patch_vary_headers(response, ("Accept-Language", "Cookie"))
        if wanted == language:
            response.set_cookie(locale.COOKIE, language, max_age=LANGUAGE_KEPT_S, samesite="Lax", httponly=True)
        return response


class Security(PeopleOnly, SecurityMiddleware):
    """Adds Django's security headers, a content security policy, and ``Secure`` to cookies sent over TLS.

    If a view has set a content security policy, that policy stays.
    """

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response = super().process_response(request, response)
        response.headers.setdefault("Content-Security-Policy", ADMIN_POLICY)
        if request.is_secure():
            for cookie in response.cookies.values():
                cookie["secure"] = True
        return response


class Sessions(PeopleOnly, SessionMiddleware):
    pass


class Csrf(PeopleOnly, CsrfViewMiddleware):
    async def process_view(self, request: HttpRequest, *args: Any) -> Any:  # type: ignore[override]
        if request.path_info.startswith(FOR_PEOPLE):
            return await sync_to_async(super().process_view)(request, *args)
        return None


class Authentication(PeopleOnly, AuthenticationMiddleware):
    async def process_view(self, request: HttpRequest, *args: Any) -> Any:
        return None  # the admin site asks for the login itself


class Messages(PeopleOnly, MessageMiddleware):
    pass


class ClickJacking(PeopleOnly, XFrameOptionsMiddleware):
    pass


class Metrics(PrometheusAfterMiddleware):
    """django-prometheus's middleware, run on the event loop. It only updates counters, so it needs no thread."""

    metrics_cls = PrometheusMetrics

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        self.process_request(request)
        response = await self.get_response(request)
        return cast(HttpResponseBase, self.process_response(request, response))

    async def process_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().process_view(request, *args, **kwargs)

    async def process_template_response(self, request: HttpRequest, response: Any) -> Any:
        return super().process_template_response(request, response)

    async def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        super().process_exception(request, exception)


class Compressed(GZipMiddleware):
    """Compresses HTML pages with gzip and random padding, so that their length reveals nothing about their content.

    Static files are compressed in advance (``voiceproject.static``). API responses are small, or audio.
    """

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        response = await cast("Awaitable[HttpResponseBase]", self.get_response(request))
        if isinstance(response, HttpResponse) and response.get("Content-Type", "").startswith("text/html"):
            return self.process_response(request, response)
        return response


class ContentLength:
    """Middleware that adds a Content-Length to each response whose body is complete, so it is not sent in chunks."""

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]]) -> None:
        self._get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = await self._get_response(request)
        if isinstance(response, HttpResponse):
            response.headers.setdefault("Content-Length", str(len(response.content)))
        return response
