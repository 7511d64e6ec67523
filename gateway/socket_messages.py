"""Parse text messages on a WebSocket, limit their size, and repair characters that were split in two."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from core.error_codes import ErrorCode
from core.errors import ApiError
from gateway.strict_json import InvalidJson, strict_loads
from inference.pool import in_pool

PARSE_IN_POOL_CHARACTERS = 65_536
MESSAGE_BYTES = 256  # memory of a queued message in addition to its content
NORMAL = 1000  # close code (RFC 6455, section 7.4.1)
INTERNAL_ERROR = 1011  # close code


@dataclass(frozen=True)
class Close:
    """A command in the queue of outgoing messages: close the WebSocket with this code and reason."""

    code: int
    reason: str


def close_code(answer: ApiError) -> int:
    """Return the WebSocket close code: 4000 plus the HTTP status, or 1011 (internal error) for a 500."""
    return INTERNAL_ERROR if answer.status == 500 else 4000 + answer.status


def whole_characters(text: str) -> str:
    """Join surrogate pairs into the characters that they encode, and replace unpaired surrogates with U+FFFD.

    This is needed because UTF-8 cannot encode surrogates.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


async def parsed(text: str, splittable: frozenset[str]) -> dict[str, Any]:
    """Return the JSON object in a text message.

    Raise ``ApiError``: 400 if the text is not strict JSON, or not an object with a ``type``; 413 if it is too long.

    ``splittable``: names of fields whose text a client may split within a character. Unpaired surrogates are kept in
    these fields, and replaced in all others.
    """
    check_size(len(text), settings.VOICE_WS_MAX_JSON_BYTES)
    try:
        message = await in_pool(strict_loads, text) if len(text) > PARSE_IN_POOL_CHARACTERS else strict_loads(text)
        if "\\ud" in text or "\\uD" in text:  # may be a surrogate, that is, half a character
            as_sent = message
            message = strict_loads(whole_characters(json.dumps(message, ensure_ascii=False)))
            if isinstance(message, dict):
                message |= {name: as_sent[name] for name in splittable & message.keys()}
    except InvalidJson as error:
        raise _not_json(str(error)) from error
    except RecursionError as error:  # in ``dumps``
        raise _not_json("nested too deeply") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ApiError(ErrorCode.MISSING_FIELD, _("A message must be a JSON object with a `type`."), param="type")
    return message


def _not_json(reason: str) -> ApiError:
    return ApiError(ErrorCode.INVALID_VALUE, _("A text message must be JSON. ({reason})").format(reason=reason))


def memory_of(message: dict[str, Any]) -> int:
    """Return the approximate memory that a queued ASGI event with a message occupies, in bytes."""
    return MESSAGE_BYTES + len(message.get("text") or message.get("bytes") or "")


def check_size(size: int, limit: int) -> None:
    """Raise ``ApiError`` 413 if a message of ``size`` bytes is larger than ``limit``."""
    if size > limit:
        raise ApiError(
            ErrorCode.MESSAGE_TOO_LARGE, _("The message is larger than {limit:,} bytes.").format(limit=limit)
        )
