"""The weekly summary's way to its readers: each in their own language, each once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import timezone, translation

from core.readers import Reader
from dashboard.models import MailedSummary
from dashboard.weekly import Summary, last_whole_week


class NotMailed(Exception):
    """Some readers did not get the summary: who, and why. ``got``: the readers who did."""

    def __init__(self, got: list[Reader], reasons: dict[str, Exception]) -> None:
        super().__init__("; ".join(f"{address}: {reason}" for address, reason in reasons.items()))
        self.got = got
        self.reasons = reasons


class NotOver(Exception):
    """The week is not over: its summary would be incomplete, and would not be mailed again on Monday."""


def readers() -> list[Reader]:
    """Return the readers that the settings name."""
    return [Reader.of(text) for text in settings.VOICE_SUMMARY_EMAILS]


def send(week: date, now: datetime, to: Iterable[Reader], *, again: bool = False) -> list[Reader]:
    """Mail the summary to the readers who do not have it yet, with ``again`` to all; return those who got it now.

    Raises ``NotOver``, or at the end ``NotMailed`` for the readers whose mail failed: the next run tries them again.
    """
    if week > last_whole_week(now):
        raise NotOver
    got = []
    reasons: dict[str, Exception] = {}
    for reader in to:
        if not again and MailedSummary.objects.filter(week=week, reader=reader.address).exists():
            continue
        with translation.override(reader.language):
            mail = Summary(week, now).mail([reader.address])
        try:
            if _send(mail, week, reader, again=again):
                got.append(reader)
        except (OSError, ValueError) as error:  # the server does not take it; what is given is no address
            reasons[reader.address] = error
    if reasons:
        raise NotMailed(got, reasons)
    return got


def _send(mail: EmailMessage, week: date, reader: Reader, *, again: bool) -> bool:
    """Outside of a transaction: on SQLite nobody else could write while the mail server takes its time."""
    row, is_new = MailedSummary.objects.get_or_create(week=week, reader=reader.address)
    if not is_new and not again:
        return False
    try:
        mail.send()
    except BaseException:
        if is_new:
            row.delete()
        raise
    row.mailed_at = timezone.now()
    row.save(update_fields=["mailed_at"])
    return True


def mailed(week: date) -> list[str]:
    """Return the addresses that already have this week's summary."""
    return list(MailedSummary.objects.filter(week=week).order_by("reader").values_list("reader", flat=True))
