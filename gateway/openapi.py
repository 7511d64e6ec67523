"""The parts of the API's schema (``/schema/``) that apply to all views.

drf-spectacular describes each view. The post-processing hook ``complete`` adds authentication, common headers, errors,
tags that group the endpoints, and examples that can be run unchanged.
"""

from __future__ import annotations

import threading
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator

METHODS = ("get", "post")
TAGS = {
    "Speech to text": ("/v1/audio/transcriptions", "/v1/audio/translations"),
    "Text to speech": ("/v1/audio/speech", "/v1/audio/voices", "/v1/audio/models"),
    "Live": ("/v1/realtime",),
    "The end user": ("/v1/voice", "/v1/usage"),
    "Models": ("/v1/models",),
}
PUBLIC = ("/v1/models", "/v1/audio/models", "/v1/audio/voices")  # readable without a key
WORK = ("/v1/audio/transcriptions", "/v1/audio/translations", "/v1/audio/speech")  # speech work

ERRORS = {
    "400": "A field is missing or cannot be used (`missing_field`, `invalid_value`, `unsupported_parameter`, "
    "`invalid_audio`, `audio_too_short`, `unsupported_format`, `empty_input`); `param` names it.",
    "401": "`missing_credentials`, `invalid_api_key`, `expired_token`.",
    "403": "Voice is not enabled for this end user (`voice_not_enabled`), or access is denied (`forbidden`).",
    "404": "`model_not_found`, `voice_not_found`, `not_found`.",
    "405": "`method_not_allowed`.",
    "408": "The body arrived too slowly (`request_timeout`).",
    "413": "`file_too_large`, `audio_too_long`, `input_too_long`.",
    "415": "The content type or its charset is not supported (`unsupported_media_type`).",
    "422": "The Idempotency-Key was used with another body (`idempotency_mismatch`).",
    "429": "`rate_limit_exceeded`, `quota_exceeded`, `too_many_streams`; see Retry-After.",
    "503": "`over_capacity`, `engine_unavailable`; try again, see Retry-After.",
}

#: One event of a ``text/event-stream``. The string ``data`` contains JSON.
SSE_EVENT = {
    "type": "object",
    "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
    "required": ["data"],
}

USER = {
    "name": "X-Voice-User",
    "in": "header",
    "required": False,
    "description": "The end user's opaque id. Without one, or with an empty one, the key itself counts as the user.",
    "schema": {"type": "string", "maxLength": 200, "pattern": r"^([\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?)?$"},
    "example": "aminah",
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a retry safe: the same key gets the same answer and is charged once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$"},
}
ENVELOPE = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string", "description": "For people to read"},
                "type": {"type": "string", "example": "invalid_request_error"},
                "param": {"type": "string", "nullable": True, "description": "The field that caused the error"},
                "code": {"type": "string", "example": "invalid_value"},
            },
        }
    },
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "create_speech": {"input": "Selamat pagi. Harga tiket RM12.50.", "model": "tts-1", "voice": "alloy"},
    "create_speech_script": {"input": "Selamat pagi. Harga tiket RM12.50."},
    "rate_speech": {"score": 5},
    "correct_transcription": {"text": "selamat pagi semua"},
    "create_client_secret": {"user": "aminah", "session": {"type": "transcription"}},
}
SOCKETS = """
Speech to text and text to speech behind OpenAI's audio API. Malay first.

**Sockets**, which OpenAPI cannot describe:

- `/v1/realtime?intent=transcription`: OpenAI's realtime transcription session, for its SDKs
- `/ws/asr`: a `start` message and binary PCM in; partial and final texts out
- `/ws/tts`: text in, as a language model writes it; audio out; cancellable at any moment

Their messages are described in `docs/realtime.md`, `docs/live-speech.md` and, for web pages, `docs/frontend.md`.
"""


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes bearer authentication to drf-spectacular."""

    target_class = "core.identity.BearerAuthentication"
    match_subclasses = True
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API key, or a JWT signed by the chat product."}


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Add the common parts to the schema ``result``, and return the schema. drf-spectacular calls this hook."""
    result["info"]["description"] = SOCKETS.strip()
    result["tags"] = [{"name": name} for name in TAGS]
    result["components"].setdefault("schemas", {})["Error"] = ENVELOPE
    for path, operations in result["paths"].items():
        for method in METHODS:
            if method in operations:
                _complete(path, method, operations[method])
    return result


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    operation["tags"] = [next((tag for tag, starts in TAGS.items() if path.startswith(starts)), "Models")]
    parameters = operation.setdefault("parameters", [])
    operation["security"] = [{BearerScheme.name: []}]
    if path.startswith(PUBLIC):
        operation["security"].insert(0, {})
    else:
        parameters.append(USER)
    if method == "post":
        parameters.append(IDEMPOTENCY_KEY)
    for status in _statuses(path, method):
        schema = {"$ref": "#/components/schemas/Error"}
        content = {"application/json": {"schema": schema}}
        operation["responses"].setdefault(status, {"description": ERRORS[status], "content": content})
    for body in operation.get("requestBody", {}).get("content", {}).values():
        if operation["operationId"] in EXAMPLES:
            body["example"] = EXAMPLES[operation["operationId"]]


def _statuses(path: str, method: str) -> list[str]:
    found = ["400", "401", "429", "503"]
    if not path.startswith(PUBLIC):
        found.append("403")
    if "{" in path or path.startswith(WORK):
        found.append("404")
    if method == "post":
        found += ["408", "413", "415", "422"]
    return sorted(found)


class LockedSchemaGenerator(SchemaGenerator):
    """Makes the schema in one thread at a time.

    drf-spectacular imports the classes that it extends while it makes the first schema, and marks those that are not
    installed. A second thread that meets such a class half-way fails.
    """

    _lock = threading.Lock()

    def get_schema(self, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            return super().get_schema(*args, **kwargs)  # type: ignore[no-untyped-call]
