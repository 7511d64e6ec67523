from __future__ import annotations

import pytest
from django.db import OperationalError
from rest_framework import exceptions, serializers

from core.error_codes import ErrorCode
from core.errors import ApiError, as_api_error
from inference.errors import DeadlineExceeded, EngineUnavailable, OverCapacity


class Tags(serializers.Serializer):
    tags = serializers.ListField(child=serializers.IntegerField())
    name = serializers.CharField()


def complaint(data: dict) -> ApiError:
    order = Tags(data=data)
    with pytest.raises(exceptions.ValidationError) as caught:
        order.is_valid(raise_exception=True)
    return as_api_error(caught.value)


def test_envelope() -> None:
    error = ApiError(ErrorCode.INVALID_VALUE, "Bad speed.", param="speed")
    assert error.envelope() == {
        "error": {"message": "Bad speed.", "type": "invalid_request_error", "param": "speed", "code": "invalid_value"}
    }


def test_a_missing_field_is_named() -> None:
    error = complaint({"tags": [1]})
    assert (error.status, error.code, error.param) == (400, "missing_field", "name")


def test_a_bad_item_of_a_list_is_named() -> None:
    error = complaint({"name": "x", "tags": [1, "dua"]})
    assert (error.status, error.code, error.param) == (400, "invalid_value", "tags[1]")


@pytest.mark.parametrize(
    ("cause", "status", "code"),
    [
        (OverCapacity(2.5), 503, "over_capacity"),
        (DeadlineExceeded(1.0), 503, "over_capacity"),
        (EngineUnavailable("no model at /secret/path"), 503, "engine_unavailable"),
        (OperationalError("gone"), 503, "engine_unavailable"),
        (exceptions.UnsupportedMediaType("text/csv"), 415, "unsupported_media_type"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed"),
        (exceptions.ParseError("bad JSON"), 400, "invalid_value"),
        (RuntimeError("secret detail"), 500, "internal_error"),
    ],
)
def test_exceptions_become_error_responses(cause: Exception, status: int, code: str) -> None:
    answer = as_api_error(cause)
    assert (answer.status, answer.code) == (status, code)
    assert "secret" not in answer.message


def test_retryable_errors_have_retry_after() -> None:
    assert as_api_error(OverCapacity(2.5)).headers() == {"Retry-After": "3"}
    assert ApiError(ErrorCode.RATE_LIMIT_EXCEEDED, "", retry_after=0.2).headers() == {"Retry-After": "1"}
