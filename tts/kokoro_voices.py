"""The voices of Kokoro: bundled ones (``kokoro_voices.toml``), and style packs that the operator has added."""

from __future__ import annotations

import logging
from pathlib import Path

from inference.errors import EngineUnavailable
from tts.kokoro import PACKS, read_pack
from tts.voices import Voice, read_voices

logger = logging.getLogger(__name__)

VOICES_FILE = Path(__file__).with_name("kokoro_voices.toml")
ADDED = "voices"  # the folder in the model's directory for published packs (.bin) that the operator adds
_MALAY_TOO = ("ms", "en-US", "en-GB")
# The first letter of a published pack's name stands for its language, the second for the speaker's sex.
_LANGUAGES = {
    "a": "en-US",
    "b": "en-GB",
    "e": "es",
    "f": "fr",
    "h": "hi",
    "i": "it",
    "j": "ja",
    "p": "pt-BR",
    "z": "zh",
}
_GENDERS = {"f": "female", "m": "male"}


def kokoro_voices(directory: Path | None) -> list[Voice]:
    """Return the bundled voices and those that the operator has added to ``directory``.

    A voice whose pack cannot be read is left out, with a warning in the log.
    """
    voices = [*read_voices(VOICES_FILE), *_added(directory)]
    return [voice for voice in voices if _is_usable(voice)]


def _added(directory: Path | None) -> list[Voice]:
    if directory is None:
        return []
    return [_voice_of(path) for path in sorted((directory / ADDED).glob("*.bin"))]


def _voice_of(path: Path) -> Voice:
    language = _LANGUAGES.get(path.stem[:1], "ms")
    return Voice(
        id=f"kokoro/{path.stem}",
        name=f"Kokoro {path.stem}",
        language=language if language in ("en-US", "en-GB", "zh") else "ms",
        languages=("zh", *_MALAY_TOO) if language == "zh" else _MALAY_TOO,
        model="kokoro-82m",
        engine="kokoro",
        license="Apache-2.0",
        commercial_use=True,
        gender=_GENDERS.get(path.stem[1:2]),
        parameters={"pack": str(path.resolve())},
    )


def _is_usable(voice: Voice) -> bool:
    path = Path(str(voice.parameters["pack"]))
    try:
        read_pack(path if path.is_absolute() else PACKS / f"{path}.f16")
    except EngineUnavailable as error:
        logger.warning("a voice is left out", extra={"voice": voice.id, "reason": str(error)})
        return False
    return True
