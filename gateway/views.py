"""Base classes of the API's views, which run on the event loop and need no thread per request."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from adrf.views import APIView
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request

from core import identity, rate_limit
from core.context import current
from gateway import idempotency
from inference.pool import in_first_pool

PARSE_IN_POOL_BYTES = 65_536  # parsing a smaller body takes less time than handing it to another thread


class IgnoreAcceptHeader(DefaultContentNegotiation):
    """Content negotiation that ignores the Accept header.

    Clients of text to speech often accept only audio, but errors must still be sent to them as JSON.
    """

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class ApiView(APIView):
    """Base class of all views of the API.

    ``gated``: True if the view opens ``request_gate``, which refuses requests over the rate limit and records them.
    """

    gated: ClassVar[bool] = False
    content_negotiation_class = IgnoreAcceptHeader

    async def async_dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.args = args
        self.kwargs = kwargs
        self.headers = self.default_response_headers
        if request.method == "OPTIONS":
            return await self.options(request)
        self.request = api_request = self.initialize_request(request, *args, **kwargs)
        try:
            await self.prepare(api_request)
            response = await idempotency.run_once(api_request, self._handle)
        except Exception as error:  # noqa: BLE001 - the exception handler answers all errors
            response = self.handle_exception(error)
        return cast(HttpResponseBase, self.finalize_response(api_request, response, *args, **kwargs))

    async def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Return the allowed methods. ``gateway.cors`` answers preflight requests of browsers before this method."""
        answer = HttpResponse(status=204, headers={"Allow": ", ".join(self.allowed_methods)})
        del answer["Content-Type"]  # there is no content
        return answer

    async def _handle(self) -> HttpResponseBase:
        method = str(self.request.method).lower()
        handler = getattr(self, method, None) if method in self.http_method_names else None
        if handler is None:
            raise MethodNotAllowed(str(self.request.method))
        return cast(HttpResponseBase, await handler(self.request, *self.args, **self.kwargs))

    async def prepare(self, request: Request) -> None:
        """Negotiate the content type, authenticate the caller, and check the rate limit and the permissions.

        This does the work of Django REST framework's ``initial``, but on the event loop.
        """
        self.format_kwarg = None
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        for authenticator in cast("list[identity.BearerAuthentication]", self.get_authenticators()):
            caller, request.auth = await authenticator.authenticate(request)
            request.user = cast(Any, caller)
        if isinstance(request.user, identity.Caller):
            current().notes["client"] = request.user.client_name
            rate = await rate_limit.spend(request.user)
            if not self.gated:
                rate.check()
        for permission in self.get_permissions():
            if not permission.has_permission(request, self):
                self.permission_denied(request)

    async def body(self, request: Request) -> dict[str, Any]:
        """Return the parsed body. A large body is parsed in a thread pool.

        Call this inside the gate, so that a request with an invalid body is recorded too.
        """
        if int(request.META.get("CONTENT_LENGTH") or 0) > PARSE_IN_POOL_BYTES:
            return await in_first_pool(lambda: cast("dict[str, Any]", request.data))
        return cast("dict[str, Any]", request.data)


class OptionalBearerAuthentication(identity.BearerAuthentication):
    """Authentication for endpoints that need no credential.

    If a credential is sent, it must be valid, so a client can test its key with these endpoints.
    """

    async def authenticate(self, request: Request) -> tuple[identity.Caller, None] | tuple[None, None]:  # type: ignore[override]
        if "Authorization" not in request.headers:
            return None, None
        return await super().authenticate(request)


class PublicApiView(ApiView):
    """Base class of views that can be read without a key."""

    authentication_classes = [OptionalBearerAuthentication]
    permission_classes: ClassVar[list[type]] = []
