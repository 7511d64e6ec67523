"""Mail the weekly summary to its recipients, each in their language, and only once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import timezone, translation

from core.mail_recipients import Recipient
from dashboard.models import MailedSummary
from dashboard.weekly import Summary, last_whole_week


class NotMailed(Exception):
    """Raised when some recipients did not get the summary. The message says who and why.

    ``got``: recipients who got it.
    ``reasons``: the error for each address that did not get it.
    """

    def __init__(self, got: list[Recipient], reasons: dict[str, Exception]) -> None:
        super().__init__("; ".join(f"{address}: {reason}" for address, reason in reasons.items()))
        self.got = got
        self.reasons = reasons


class NotOver(Exception):
    """Raised when the week is not over.

    Its summary would be incomplete, and the complete one would not be mailed again on Monday.
    """


def recipients() -> list[Recipient]:
    """Return the recipients named in the settings."""
    return [Recipient.of(text) for text in settings.VOICE_SUMMARY_EMAILS]


def send(week: date, now: datetime, to: Iterable[Recipient], *, again: bool = False) -> list[Recipient]:
    """Mail the summary to recipients who do not have it yet (with ``again``, to all). Return those who got it.

    Raises ``NotOver``. Raises ``NotMailed`` at the end for the recipients whose mail failed; the next run tries them
    again.
    """
    if week > last_whole_week(now):
        raise NotOver
    got = []
    reasons: dict[str, Exception] = {}
    for recipient in to:
        if not again and MailedSummary.objects.filter(week=week, reader=recipient.address).exists():
            continue
        with translation.override(recipient.language):
            mail = Summary(week, now).mail([recipient.address])
        try:
            if _send(mail, week, recipient, again=again):
                got.append(recipient)
        except (OSError, ValueError) as error:  # the server does not accept it, or the address is invalid
            reasons[recipient.address] = error
    if reasons:
        raise NotMailed(got, reasons)
    return got


def _send(mail: EmailMessage, week: date, recipient: Recipient, *, again: bool) -> bool:
    """Mail the summary to one recipient. Return False if they already have it.

    This runs outside of a transaction: on SQLite nobody else could write while the mail server takes its time.
    """
    row, is_new = MailedSummary.objects.get_or_create(week=week, reader=recipient.address)
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
