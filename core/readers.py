"""Who reads what this service writes to people, and in which languages it can. Plain Python: the settings' rules ask it
before there are settings, and the weekly summary's mail afterwards."""

from __future__ import annotations

from dataclasses import dataclass

LANGUAGES = {"en": "English", "ms": "Bahasa Melayu"}
DEFAULT_LANGUAGE = "en"
LONGEST_ADDRESS = 254  # RFC 5321, by its erratum 1690


@dataclass(frozen=True)
class Reader:
    """Somebody who gets a mail, and in which language."""

    address: str
    language: str

    @classmethod
    def of(cls, text: str, language: str = DEFAULT_LANGUAGE) -> Reader:
        """`ms:puteri@example.com`, or an address alone for the language given. Raises ``ValueError``."""
        chosen, colon, address = text.rpartition(":")
        if colon:
            language = chosen
        if "@" not in address or len(address) > LONGEST_ADDRESS or language not in LANGUAGES:
            raise ValueError(text)
        return cls(address, language)

    @classmethod
    def is_one(cls, text: str) -> bool:
        """Whether ``of`` takes it."""
        try:
            cls.of(text)
        except ValueError:
            return False
        return True
