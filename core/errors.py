"""The API's error class, and the conversion of all exceptions to error responses in OpenAI's format."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.core import exceptions as django_errors
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from django.utils.translation import gettext as _
from rest_framework import exceptions as drf
from rest_framework.response import Response

from core.error_codes import ErrorCode
from core.logs import without_messages
from core.store import StoreUnavailable

logger = logging.getLogger(__name__)

E = TypeVar("E", bound=BaseException)

BUSY_RETRY_AFTER_S = 1.0
UNAVAILABLE_RETRY_AFTER_S = 5.0


class DomainError(Exception):
    """Base class of errors with which an app of this project refuses a request. The message is shown to the user.

    Domain errors do not depend on HTTP. ``gateway.error_mapping`` converts them to ``ApiError``.

    ``retry_after_s``: seconds after which a retry may succeed; None if this is not known.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ApiError(Exception):
    """An error that is sent to the client of the API as a response.

    ``code``: error code of the API.
    ``message``: text to show to the user.
    ``param``: name of the request parameter that is wrong, or None.
    ``retry_after``: value of the Retry-After header in seconds, or None.
    ``status``: HTTP status; None to use the status of the error code.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status or code.status
        self.message = message
        self.param = param
        self.retry_after = retry_after

    def envelope(self) -> dict[str, dict[str, str | None]]:
        """Return the body of the error response, in OpenAI's format."""
        code = self.code
        param = None if self.param is None else _encodable(self.param)
        return {"error": {"message": _encodable(self.message), "type": code.type, "param": param, "code": code.value}}

    def headers(self) -> dict[str, str]:
        headers = {}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if self.retry_after is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        return headers


def _encodable(text: str) -> str:
    """Replace surrogates by question marks. JSON can contain them, and UTF-8, in which responses are sent, cannot."""
    return text.encode(errors="replace").decode()


_answers: dict[type[BaseException], Callable[[Any], ApiError]] = {}


def answer_with(kind: type[E], answer: Callable[[E], ApiError]) -> None:
    """Register ``answer`` as the function that converts exceptions of the class ``kind`` to API errors.

    It also converts exceptions of subclasses, unless another function is registered for the subclass.
    """
    _answers[kind] = answer


def as_api_error(error: BaseException) -> ApiError:
    """Convert an exception to an API error.

    For an unknown exception, the API error has status 500 and a message that reveals nothing about the exception.
    """
    for kind in type(error).__mro__:
        if kind in _answers:
            return _answers[kind](error)
    match error:
        case ApiError():
            return error
        case TimeoutError():
            return too_late(error)
        case DatabaseError():
            message = _("The service cannot reach its database. Try again.")
            return ApiError(ErrorCode.ENGINE_UNAVAILABLE, message, retry_after=UNAVAILABLE_RETRY_AFTER_S)
        case StoreUnavailable():
            message = _("The service cannot reach its Redis. Try again.")
            return ApiError(ErrorCode.ENGINE_UNAVAILABLE, message, retry_after=UNAVAILABLE_RETRY_AFTER_S)
        case asyncio.CancelledError():
            return ApiError(ErrorCode.CLIENT_CLOSED_REQUEST, _("The client closed the connection."))
        case drf.APIException():
            return _from_rest_framework(error)
        case django_errors.RequestDataTooBig():
            return ApiError(ErrorCode.FILE_TOO_LARGE, _("The request body is too large."))
        case Http404():
            return ApiError(ErrorCode.NOT_FOUND, _("There is nothing at this address."))
        case PermissionDenied():
            return ApiError(ErrorCode.FORBIDDEN, _("This is not yours to use."))
        case django_errors.SuspiciousOperation() | django_errors.BadRequest() | MultiPartParserError():
            return ApiError(ErrorCode.INVALID_VALUE, _("The request could not be understood."))
        case _:
            return ApiError(
                ErrorCode.INTERNAL_ERROR, _("The service failed. The error has been logged under this request's id.")
            )


def too_late(_error: BaseException) -> ApiError:
    """Return the error for a request that could not be finished in time."""
    message = _("The request could not be finished in time. Try again.")
    return ApiError(ErrorCode.OVER_CAPACITY, message, retry_after=BUSY_RETRY_AFTER_S)


def _from_rest_framework(error: drf.APIException) -> ApiError:
    match error:
        case drf.ValidationError():
            param, detail = _first_detail(error.detail)
            code = ErrorCode.MISSING_FIELD if detail.code == "required" else ErrorCode.INVALID_VALUE
            return ApiError(code, f"{param}: {detail}" if param else str(detail), param=param)
        case drf.ParseError():
            return ApiError(ErrorCode.INVALID_VALUE, str(error.detail))
        case drf.NotAuthenticated() | drf.AuthenticationFailed():
            return ApiError(ErrorCode.MISSING_CREDENTIALS, _("Send an API key: `Authorization: Bearer <key>`."))
        case drf.UnsupportedMediaType():
            return ApiError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, str(error.detail))
        case drf.MethodNotAllowed():
            return ApiError(ErrorCode.METHOD_NOT_ALLOWED, str(error.detail))
        case drf.NotFound():
            return ApiError(ErrorCode.NOT_FOUND, str(error.detail))
        case drf.PermissionDenied():
            return ApiError(ErrorCode.FORBIDDEN, str(error.detail))
        case drf.Throttled():
            return ApiError(ErrorCode.RATE_LIMIT_EXCEEDED, str(error.detail), retry_after=getattr(error, "wait", None))
        case _:
            return ApiError(ErrorCode.INVALID_VALUE, str(error.detail), status=error.status_code)


def _first_detail(detail: Any, param: str | None = None) -> tuple[str | None, drf.ErrorDetail]:
    """Return the path of the first invalid field, and the error of this field.

    For example, the path of the third item in the field ``tags`` is ``tags[2]``.

    ``detail``: the errors of a ``ValidationError``, which may be nested.
    ``param``: path of the field to which ``detail`` belongs; None at the top level.
    """
    if isinstance(detail, Mapping):
        field, nested = next(iter(detail.items()))
        if field == "non_field_errors":
            return _first_detail(nested, param)
        if isinstance(field, int):
            return _first_detail(nested, f"{param or ''}[{field}]")
        return _first_detail(nested, f"{param}.{field}" if param else str(field))
    if isinstance(detail, list):
        for index, item in enumerate(detail):
            if isinstance(item, Mapping) and item:
                return _first_detail(item, f"{param or ''}[{index}]")
            if not isinstance(item, Mapping):
                return _first_detail(item, param)
    if isinstance(detail, drf.ErrorDetail):
        return param, detail
    return param, drf.ErrorDetail("Invalid value.", code="invalid")


def report(error: BaseException) -> ApiError:
    """Convert an exception to an API error, and log the exception if an operator should know about it."""
    answer = as_api_error(error)
    if answer.status == 500:
        logger.error("unhandled error", exc_info=without_messages(error))
    elif isinstance(error, DatabaseError):
        logger.error("database error", exc_info=error)
    elif answer.code is ErrorCode.ENGINE_UNAVAILABLE:
        logger.warning("engine unavailable", extra={"reason": str(error)})
    return answer


def exception_handler(error: Exception, _context: Mapping[str, Any]) -> Response:
    """Convert an exception of a view to an error response. Django REST framework calls this function.

    Unlike the framework's default, this also converts exceptions that the framework does not know.
    """
    answer = report(error)
    return Response(answer.envelope(), status=answer.status, headers=answer.headers())
