"""Choose the voice for a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from core.error_codes import ErrorCode
from core.errors import ApiError
from gateway.catalogue import Task, resolve
from tts.voices import OPENAI_VOICES, LanguageNotFound, Voice, VoiceNotFound, catalogue, default_voice


def requested_voice(fields: Mapping[str, Any]) -> Voice:
    """Return the voice for the fields ``model``, ``voice`` and ``language``, each optional.

    Raise ``ApiError``: 404 for an unknown model or voice, 400 if no voice speaks the language.
    """
    model = fields.get("model")
    voice = fields.get("voice")
    language = fields.get("language")
    card = resolve(model, Task.SPEECH)
    try:
        return catalogue().resolve(
            default=default_voice().id, model=card.id if model == card.id else None, voice=voice, language=language
        )
    except VoiceNotFound as error:
        message = _("There is no voice {value!r} here. GET /v1/audio/voices lists them.").format(value=str(error))
        raise ApiError(ErrorCode.VOICE_NOT_FOUND, message, param="voice") from error
    except LanguageNotFound as error:
        raise ApiError(
            ErrorCode.INVALID_VALUE, _("No voice speaks {value!r}.").format(value=str(error)), param="language"
        ) from error


def follows_text(fields: Mapping[str, Any]) -> bool:
    """Return True if the voice may change with the language of a sentence.

    It may change if the request names no voice, or one of OpenAI's. A voice named by its id is kept, except for
    Tamil and Chinese sentences that it cannot speak (``sentence_voice``).
    """
    return fields.get("voice") in (None, *OPENAI_VOICES)
