"""Recipients of this service's mail, and the languages available to them.

Plain Python, because it is used to validate the settings before they exist. The weekly summary's mail uses it as well.
"""

from __future__ import annotations

from dataclasses import dataclass

LANGUAGES = {"en": "English", "ms": "Bahasa Melayu"}
DEFAULT_LANGUAGE = "en"
LONGEST_ADDRESS = 254  # RFC 5321, by its erratum 1690


@dataclass(frozen=True)
class Recipient:
    """A recipient of mail, and the language to write to them in."""

    address: str
    language: str

    @classmethod
    def of(cls, text: str, language: str = DEFAULT_LANGUAGE) -> Recipient:
        """Parse ``ms:puteri@example.com``, or an address alone, which gets ``language``. Raises ``ValueError``."""
        chosen, colon, address = text.rpartition(":")
        if colon:
            language = chosen
        if "@" not in address or len(address) > LONGEST_ADDRESS or language not in LANGUAGES:
            raise ValueError(text)
        return cls(address, language)

    @classmethod
    def is_one(cls, text: str) -> bool:
        """Return True if ``of`` accepts the text."""
        try:
            cls.of(text)
        except ValueError:
            return False
        return True
