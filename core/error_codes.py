"""The error codes of the API, each with its HTTP status, OpenAI's error type, and the party that is responsible.

If several endpoints refuse a request for the same reason, they use the same code.
"""

from __future__ import annotations

from enum import Enum, StrEnum


class Fault(Enum):
    """The party responsible for a failed request. The product dashboard groups errors by this party."""

    CALLER = "a mistake in the request"
    POLICY = "refused"
    SERVICE = "our failure"
    LEFT = "the caller left"


class ErrorCode(StrEnum):
    """An error code of the API.

    ``status``: HTTP status.
    ``fault``: party that is responsible for the error.
    ``type``: OpenAI's error type, which is coarser than the code.
    """

    status: int
    fault: Fault
    type: str

    def __new__(cls, code: str, status: int = 500, fault: Fault = Fault.CALLER, coarse: str = "") -> ErrorCode:
        member = str.__new__(cls, code)
        member._value_ = code
        member.status = status
        member.fault = fault
        member.type = coarse or ("server_error" if status >= 500 else "invalid_request_error")
        return member

    INVALID_VALUE = "invalid_value", 400
    MISSING_FIELD = "missing_field", 400
    UNSUPPORTED_PARAMETER = "unsupported_parameter", 400
    EMPTY_INPUT = "empty_input", 400
    INVALID_AUDIO = "invalid_audio", 400
    UNSUPPORTED_FORMAT = "unsupported_format", 400
    AUDIO_TOO_SHORT = "audio_too_short", 400
    COMMIT_EMPTY = "input_audio_buffer_commit_empty", 400

    MISSING_CREDENTIALS = "missing_credentials", 401
    INVALID_API_KEY = "invalid_api_key", 401
    EXPIRED_TOKEN = "expired_token", 401

    VOICE_NOT_ENABLED = "voice_not_enabled", 403, Fault.POLICY
    FORBIDDEN = "forbidden", 403, Fault.POLICY

    NOT_FOUND = "not_found", 404
    MODEL_NOT_FOUND = "model_not_found", 404
    VOICE_NOT_FOUND = "voice_not_found", 404
    METHOD_NOT_ALLOWED = "method_not_allowed", 405
    REQUEST_TIMEOUT = "request_timeout", 408
    IDLE_TIMEOUT = "idle_timeout", 408

    FILE_TOO_LARGE = "file_too_large", 413
    AUDIO_TOO_LONG = "audio_too_long", 413
    INPUT_TOO_LONG = "input_too_long", 413
    MESSAGE_TOO_LARGE = "message_too_large", 413
    SESSION_EXPIRED = "session_expired", 413
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", 415
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch", 422
    HEADERS_TOO_LARGE = "headers_too_large", 431

    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded", 429, Fault.POLICY, "requests"
    TOO_MANY_STREAMS = "too_many_streams", 429, Fault.POLICY, "requests"
    QUOTA_EXCEEDED = "quota_exceeded", 429, Fault.POLICY, "insufficient_quota"
    CLIENT_CLOSED_REQUEST = "client_closed_request", 499, Fault.LEFT

    INTERNAL_ERROR = "internal_error", 500, Fault.SERVICE
    OVER_CAPACITY = "over_capacity", 503, Fault.SERVICE
    ENGINE_UNAVAILABLE = "engine_unavailable", 503, Fault.SERVICE
