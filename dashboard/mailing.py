"""The weekly summary's way to its readers: each in their own language, each once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from django.conf import settings
from django.db import transaction
from django.utils import translation

from dashboard.models import MailedSummary
from dashboard.weekly import Summary


@dataclass(frozen=True)
class Reader:
    """Somebody who gets the summary, and in which language."""

    address: str
    language: str

    @classmethod
    def of(cls, text: str, language: str = settings.LANGUAGE_CODE) -> Reader:
        """`ms:puteri@example.com`, or an address alone for the language given. Raises ``ValueError``."""
        chosen, colon, address = text.rpartition(":")
        if colon:
            language = chosen
        if "@" not in address or language not in dict(settings.LANGUAGES):
            raise ValueError(text)
        return cls(address, language)


def readers() -> list[Reader]:
    """Those of the settings."""
    return [Reader.of(text) for text in settings.VOICE_SUMMARY_EMAILS]


def send(week: date, now: datetime, to: Iterable[Reader], *, again: bool = False) -> list[Reader]:
    """Mail it to those who do not have it yet, with ``again`` to all. Gives who got it now. Raises ``OSError`` where
    the mail server does not take it; whoever comes after that one gets it by the next run."""
    return [reader for reader in to if _send(week, now, reader, again=again)]


def _send(week: date, now: datetime, reader: Reader, *, again: bool) -> bool:
    with transaction.atomic(), translation.override(reader.language):
        _row, is_new = MailedSummary.objects.get_or_create(week=week, reader=reader.address)
        if not is_new and not again:
            return False
        Summary(week, now).mail([reader.address]).send()
    return True


def mailed(week: date) -> list[str]:
    """The addresses that have it."""
    return list(MailedSummary.objects.filter(week=week).order_by("reader").values_list("reader", flat=True))
