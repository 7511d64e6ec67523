"""Map the errors of other apps, which know nothing of HTTP, to errors of the API."""

from __future__ import annotations

from django.utils.translation import gettext as _

from capacity.concurrent_users import TooManyUsers
from core.error_codes import ErrorCode
from core.errors import UNAVAILABLE_RETRY_AFTER_S, ApiError, answer_with, too_late
from inference.errors import DeadlineExceeded, EngineUnavailable, OverCapacity
from rollout.policy import VoiceNotEnabled
from usage.models import NoSuchRequest, RequestOfAnotherUser
from usage.quota import QuotaExceeded


def register() -> None:
    """Register the mapping. Call it once per process, when Django is ready."""
    answer_with(VoiceNotEnabled, _voice_not_enabled)
    answer_with(QuotaExceeded, _quota_exceeded)
    answer_with(TooManyUsers, _too_many_users)
    answer_with(NoSuchRequest, _no_such_request)
    answer_with(RequestOfAnotherUser, _request_of_another_user)
    answer_with(OverCapacity, _over_capacity)
    answer_with(DeadlineExceeded, too_late)
    answer_with(EngineUnavailable, _engine_unavailable)


def _voice_not_enabled(error: VoiceNotEnabled) -> ApiError:
    return ApiError(ErrorCode.VOICE_NOT_ENABLED, str(error))


def _quota_exceeded(error: QuotaExceeded) -> ApiError:
    return ApiError(ErrorCode.QUOTA_EXCEEDED, str(error), retry_after=error.retry_after_s)


def _too_many_users(error: TooManyUsers) -> ApiError:
    return ApiError(ErrorCode.OVER_CAPACITY, str(error), retry_after=error.retry_after_s)


def _no_such_request(error: NoSuchRequest) -> ApiError:
    return ApiError(ErrorCode.NOT_FOUND, str(error), param="request_id")


def _request_of_another_user(error: RequestOfAnotherUser) -> ApiError:
    return ApiError(ErrorCode.FORBIDDEN, str(error))


def _over_capacity(error: OverCapacity) -> ApiError:
    return ApiError(ErrorCode.OVER_CAPACITY, _("The service is busy. Try again."), retry_after=error.retry_after_s)


def _engine_unavailable(_error: EngineUnavailable) -> ApiError:
    """Return the error for an unavailable engine, without the cause.

    The cause is only logged (``core.errors.report``), because it names paths, models and libraries.
    """
    message = _("The speech engine is not available at the moment. Try again.")
    return ApiError(ErrorCode.ENGINE_UNAVAILABLE, message, retry_after=UNAVAILABLE_RETRY_AFTER_S)
