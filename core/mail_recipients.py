"""The recipients of this service's mail, and the languages in which mail can be written.

This module does not import Django, because it validates settings before Django has loaded them.
"""

from __future__ import annotations

from dataclasses import dataclass

LANGUAGES = {"en": "English", "ms": "Bahasa Melayu"}
DEFAULT_LANGUAGE = "en"
LONGEST_ADDRESS = 254  # characters; RFC 5321 as corrected by erratum 1690


@dataclass(frozen=True)
class Recipient:
    """A recipient of mail.

    ``address``: email address.
    ``language``: code of the language in which to write to this recipient, one of ``LANGUAGES``.
    """

    address: str
    language: str

    @classmethod
    def of(cls, text: str, language: str = DEFAULT_LANGUAGE) -> Recipient:
        """Parse an email address, which may have a language prefix, as in ``ms:puteri@example.com``.

        ``language``: language to use if there is no prefix.

        Raise ``ValueError`` if the address is invalid or the language is not available.
        """
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
