"""Send notifications of alerts by e-mail and webhook, from a queue in the database.

A notification is queued in the transaction that changes the alert, and another thread sends it. An evaluation therefore
never waits for a mail server, and no notification is lost if the process ends before it is sent. Failed deliveries are
retried, up to ``MAX_ATTEMPTS`` attempts, unless a retry would fail too.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import timezone

from capacity.models import Alert, Delivery, Rule

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
MAX_ATTEMPTS = 10
FIRST_BACKOFF = timedelta(seconds=10)
LONGEST_BACKOFF = timedelta(minutes=15)  # with this limit, the last attempt is about an hour after the first
AT_ONCE = 20  # maximum deliveries per call of ``send_due``

_COLOURS = {Rule.Severity.CRITICAL.value: "#c62828", Rule.Severity.WARNING.value: "#ef6c00"}
_RESOLVED_COLOUR = "#2e7d32"

Channel = Delivery.Channel
State = Delivery.State


class Undeliverable(Exception):
    """Raised when a delivery has failed and a retry would fail too."""


def receivers() -> list[tuple[Delivery.Channel, str]]:
    """Return the channel and the name of each receiver in the settings.

    The name is an e-mail address, or the ``label`` of a webhook.
    """
    found = [(Channel.EMAIL, address) for address in settings.VOICE_ALERT_EMAILS]
    return found + [(Channel.WEBHOOK, label(url)) for url in settings.VOICE_ALERT_WEBHOOKS]


def put(alert: Alert, now: datetime) -> int:
    """Queue a notification of an alert for every receiver. Return the number of receivers."""
    return len(_put(alert, subject_of(alert), text_of(alert), now))


def _put(alert: Alert | None, subject: str, text: str, due_at: datetime) -> list[Delivery]:
    return Delivery.objects.bulk_create(
        Delivery(alert=alert, channel=channel, receiver=receiver, subject=subject, text=text, due_at=due_at)
        for channel, receiver in receivers()
    )


def send_test(now: datetime, by: str) -> list[Delivery]:
    """Queue a test notification for every receiver, and attempt each delivery immediately. Return the deliveries.

    Their states show the results of the attempts. A failed delivery is retried later, like that of an alert.
    """
    text = f"A test of the voice service's notifications, sent by {by} at {_time(now)}. Nothing is wrong."
    deliveries = _put(None, "[voice] Test notification", text, now)
    for one in deliveries:
        _attempt(one, now)
        one.refresh_from_db()
    return deliveries


def label(url: str) -> str:
    """Return the name that is shown for a webhook: its host and a hash of its URL, because the URL is often secret."""
    return f"{urlsplit(url).hostname} ({hashlib.sha256(url.encode()).hexdigest()[:8]})"


def subject_of(alert: Alert) -> str:
    return f"[voice] {_heading(alert)}: {alert.in_words()}"


def _heading(alert: Alert) -> str:
    return "Resolved" if alert.state == Alert.State.RESOLVED else alert.get_severity_display()


def text_of(alert: Alert) -> str:
    lines = [f"{_heading(alert)}: {alert.in_words()}", f"Rule: {alert.condition()}", f"Since: {_time(alert.since)}"]
    if alert.state == Alert.State.RESOLVED and alert.resolved_at is not None:
        lines += [f"Resolved: {_time(alert.resolved_at)}. {alert.outcome}", f"Worst: {alert.reading(alert.worst)}"]
    else:
        lines.append(f"What to do: {alert.runbook}")
    return "\n".join(lines)


def _time(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S %Z}"


def send_due(now: datetime) -> int:
    """Attempt the deliveries that are due, at most ``AT_ONCE``. Return the number of attempts."""
    due = list(
        Delivery.objects.filter(state=State.WAITING, due_at__lte=now).select_related("alert").order_by("due_at")
    )[:AT_ONCE]
    return sum(_attempt(delivery, now) for delivery in due)


def _attempt(delivery: Delivery, now: datetime) -> bool:
    # The attempt is counted before sending. Otherwise a second sender, or repeated crashes, could flood the receiver.
    attempts = delivery.attempts + 1
    backoff = min(FIRST_BACKOFF * 2 ** (attempts - 1), LONGEST_BACKOFF)
    claim = Delivery.objects.filter(pk=delivery.pk, state=State.WAITING, attempts=delivery.attempts)
    if not claim.update(attempts=attempts, due_at=now + backoff):
        return False
    mine = Delivery.objects.filter(pk=delivery.pk)
    try:
        _send(delivery)
    except Exception as error:  # noqa: BLE001 - no error may affect the next receiver
        is_last = isinstance(error, Undeliverable) or attempts >= MAX_ATTEMPTS
        words = (str(error) or type(error).__name__)[:500]
        mine.update(state=State.FAILED if is_last else State.WAITING, error=words)
        where = {"receiver": delivery.receiver, "attempts": attempts}
        logger.warning("a notification was given up" if is_last else "a notification failed", extra=where)
    else:
        mine.update(state=State.SENT, sent_at=timezone.now(), error="")
    return True


def _send(delivery: Delivery) -> None:
    if delivery.channel == Channel.EMAIL:
        EmailMessage(
            delivery.subject,
            delivery.text + "\n",
            settings.DEFAULT_FROM_EMAIL,
            [delivery.receiver],
            headers={"Auto-Submitted": "auto-generated"},
        ).send()
        return
    url = {label(url): url for url in settings.VOICE_ALERT_WEBHOOKS}.get(delivery.receiver)
    if url is None:
        raise Undeliverable("This webhook is no longer in the settings.")
    import httpx  # slow to import, so imported only where it is used

    try:
        response = httpx.post(url, json=slack_message(delivery), timeout=TIMEOUT_S)
    except httpx.HTTPError as error:
        raise ConnectionError(type(error).__name__) from None  # the original message may contain the secret URL
    if response.status_code in (408, 429) or response.status_code >= 500:
        raise ConnectionError(f"Status {response.status_code}.")
    if not response.is_success:
        raise Undeliverable(f"Status {response.status_code}.")


def slack_message(delivery: Delivery) -> dict[str, Any]:
    """Return the message in the format of Slack's incoming webhooks.

    Mattermost, Rocket.Chat and Discord (at the address that ends with ``/slack``) accept this format, too.
    """
    is_over = delivery.subject.startswith("[voice] Resolved")
    alert = delivery.alert  # None for a test notification
    colour = _RESOLVED_COLOUR if is_over or alert is None else _COLOURS[alert.severity]
    return {"text": delivery.subject, "attachments": [{"color": colour, "text": delivery.text}]}
