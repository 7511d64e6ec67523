"""Language names as clients write them, and as OpenAI's API answers them."""

from __future__ import annotations

from django.conf import settings
from faster_whisper.tokenizer import _LANGUAGE_CODES

from asr.checkpoint import Checkpoint
from core.errors import ApiError

#: OpenAI answers English names, in lower case. Only those of the service's own languages differ by country.
NAMES = {
    "ms": "malay", "en": "english", "zh": "chinese", "ta": "tamil", "id": "indonesian", "yue": "cantonese",
    "hi": "hindi", "ar": "arabic", "th": "thai", "vi": "vietnamese", "tl": "tagalog", "jw": "javanese",
    "su": "sundanese", "ja": "japanese", "ko": "korean", "fr": "french", "de": "german", "es": "spanish",
    "pt": "portuguese", "it": "italian", "ru": "russian", "nl": "dutch", "tr": "turkish", "bn": "bengali",
    "ur": "urdu", "ne": "nepali", "my": "myanmar", "km": "khmer", "lo": "lao", "ml": "malayalam", "te": "telugu",
}  # fmt: skip
_CODES = {name: code for code, name in NAMES.items()} | {"bahasa melayu": "ms", "melayu": "ms", "mandarin": "zh"}


def name(code: str) -> str:
    return NAMES.get(code, code)


def parse(text: str, checkpoint: Checkpoint) -> str | None:
    """``ms``, ``ms-MY``, ``Malay`` → ``ms``; empty or ``auto`` → None. Raises ``ApiError`` for what cannot be done."""
    wanted = text.strip().lower()
    if wanted in ("", "auto"):
        return None
    code = _CODES.get(wanted, wanted.replace("_", "-").split("-")[0])
    if code not in _LANGUAGE_CODES:
        message = f"{text!r} is not a language code; use ISO 639-1, for example 'ms' or 'en'."
        raise ApiError(400, "invalid_value", message, param="language")
    if checkpoint.languages and code not in checkpoint.languages:
        known = ", ".join(checkpoint.languages)
        message = (
            f"The model {checkpoint.name!r} understands {known} only, not {code!r}. "
            "The operator can set VOICE_ASR_MODEL to a multilingual Whisper checkpoint."
        )
        raise ApiError(400, "invalid_value", message, param="language")
    return code


def on_offer() -> list[str]:
    return list(settings.VOICE_ASR_LANGUAGES)
