"""Mail the weekly summary (``dashboard.weekly_summary``) to each recipient once, in their language."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone, translation

from core.mail_recipients import Recipient
from dashboard.models import MailedSummary
from dashboard.weekly_summary import Summary, last_whole_week


class NotMailed(Exception):
    """Raised when the summary could not be mailed to some recipients. The message has their addresses and the errors.

    ``got``: recipients who got the mail.
    ``reasons``: the errors by address.
    """

    def __init__(self, got: list[Recipient], reasons: dict[str, Exception]) -> None:
        super().__init__("; ".join(f"{address}: {reason}" for address, reason in reasons.items()))
        self.got = got
        self.reasons = reasons


class NotOver(Exception):
    """Raised by an attempt to mail a summary before its week is over.

    Such a summary would be incomplete, and the complete summary would not be mailed later.
    """


def recipients() -> list[Recipient]:
    """Return the recipients in the setting ``VOICE_SUMMARY_EMAILS``."""
    return [Recipient.of(text) for text in settings.VOICE_SUMMARY_EMAILS]


def send(week: date, now: datetime, to: Iterable[Recipient], *, again: bool = False) -> list[Recipient]:
    """Mail the summary of a week. Return the recipients who got it.

    ``week``: the Monday of the week.
    ``again``: whether to mail the summary also to recipients who already have it.

    Raise ``NotOver`` if the week is not over. If some mails fail, send the others and then raise ``NotMailed``. The
    next call tries the failed mails again.
    """
    if week > last_whole_week(now):
        raise NotOver
    got = []
    reasons: dict[str, Exception] = {}
    for recipient in to:
        if not again and MailedSummary.objects.filter(week=week, reader=recipient.address).exists():
            continue
        with translation.override(recipient.language):
            mail = _mail(Summary(week, now), recipient)
        try:
            if _send(mail, week, recipient, again=again):
                got.append(recipient)
        except (OSError, ValueError) as error:  # the server rejects the mail, or the address is invalid
            reasons[recipient.address] = error
    if reasons:
        raise NotMailed(got, reasons)
    return got


def _mail(summary: Summary, recipient: Recipient) -> EmailMultiAlternatives:
    """Return the mail with the summary as HTML, plain text and PDF, in the active language."""
    mail = EmailMultiAlternatives(
        f"[voice] {summary.title}",
        summary.text(),
        settings.DEFAULT_FROM_EMAIL,
        [recipient.address],
        headers={"Auto-Submitted": "auto-generated"},
    )
    mail.attach_alternative(summary.html(), "text/html")
    mail.attach(f"voice_{summary.week}.pdf", summary.pdf(), "application/pdf")
    return mail


def _send(mail: EmailMultiAlternatives, week: date, recipient: Recipient, *, again: bool) -> bool:
    """Mail the summary to one recipient. Return False if they have it already.

    The mail is not sent within a transaction, because on SQLite that would block all writers until the mail server has
    answered.
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
    """Return the addresses to which the summary of a week has been mailed."""
    return list(MailedSummary.objects.filter(week=week).order_by("reader").values_list("reader", flat=True))
