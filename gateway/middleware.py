"""Django's middleware, adapted so that API calls need no thread.

Django's middleware classes are synchronous, so each of them would run in a thread for every request. Here, the
middleware for logged-in users runs only for the admin and the dashboard. All other middleware runs on the event loop.
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
FOR_PEOPLE = ("/admin/", "/dashboard/")  # pages for logged-in users; all other paths take API keys and tokens

# "unsafe-inline" and "unsafe-eval" are needed because the admin's theme uses inline scripts and Alpine.js, which
# evaluates attributes.
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
    """Mixin that restricts a Django middleware to the pages for logged-in users: the admin and the dashboard."""

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(FOR_PEOPLE):
            return cast(HttpResponseBase, await super().__acall__(request))  # type: ignore[misc]
        return cast(HttpResponseBase, await self.get_response(request))  # type: ignore[attr-defined]


class Language:
    """Middleware that sets the language of the home page and the dashboard, the only translated pages.

    The visitor chooses a language with ``?lang=ms``, and a cookie stores the choice. Without a choice, the browser's
    preference counts.
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
    """Middleware that adds Django's security headers and a content security policy to the admin and the dashboard.

    A policy that a view has set is kept. Cookies that are sent over TLS get the attribute ``Secure``.
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
        return None  # no login check here: the admin site redirects to its own login page


class Messages(PeopleOnly, MessageMiddleware):
    pass


class ClickJacking(PeopleOnly, XFrameOptionsMiddleware):
    pass


class Metrics(PrometheusAfterMiddleware):
    """django-prometheus's middleware on the event loop. It needs no thread, because it only updates counters."""

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
    """Middleware that compresses HTML pages with gzip, with random padding against the BREACH attack.

    Other responses need no compression here: ``voiceproject.static`` compresses static files, and API responses are
    short or contain audio. BREACH (https://breachattack.com) infers secrets from the length of compressed pages.
    """

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        response = await cast("Awaitable[HttpResponseBase]", self.get_response(request))
        if isinstance(response, HttpResponse) and response.get("Content-Type", "").startswith("text/html"):
            return self.process_response(request, response)
        return response


class ContentLength:
    """Middleware that adds a Content-Length to every response except streams, so the server does not send chunks."""

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
