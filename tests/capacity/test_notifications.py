"""Notifications arrive, even if their receivers fail at first."""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import pairwise

import pytest

from capacity import notifications
from capacity.models import Alert, Delivery, Rule
from tests.capacity.world import Mailbox, Webhook, World
from tests.dependencies import free_port

MINUTE = timedelta(minutes=1)


@pytest.fixture
def fired(world: World) -> World:
    """A world in which one alert fires."""
    Rule.objects.filter(severity="warning").update(is_enabled=False)
    world.users = 90
    return world


def test_a_failed_notification_is_retried_with_growing_delays(fired: World, webhook: Webhook) -> None:
    webhook.statuses = [503, 500, 429]
    fired.wait(MINUTE)
    row = Delivery.objects.get()
    waits = []
    while row.state == Delivery.State.WAITING:
        waits.append(row.due_at)
        notifications.send_due(row.due_at)
        row.refresh_from_db()
    assert (row.state, row.attempts, row.error) == (Delivery.State.SENT, 4, "")
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(waits)]
    assert gaps == sorted(gaps)
    assert webhook.texts() == ["[voice] Critical: concurrent users 90 > 80"]


def test_a_dead_receiver_is_given_up_and_delays_no_other(fired: World, mailbox: Mailbox, settings) -> None:
    settings.VOICE_ALERT_WEBHOOKS = [f"http://127.0.0.1:{free_port()}/secret"]
    fired.wait(MINUTE)
    assert mailbox.subjects() == ["[voice] Critical: concurrent users 90 > 80"]
    row = Delivery.objects.get(channel="webhook")
    first = row.due_at
    while row.state == Delivery.State.WAITING:
        last = row.due_at
        notifications.send_due(row.due_at)
        row.refresh_from_db()
    assert (row.state, row.attempts, row.error) == (Delivery.State.FAILED, notifications.MAX_ATTEMPTS, "ConnectError")
    assert timedelta(minutes=30) < last - first < timedelta(hours=3)
    assert "secret" not in f"{row.receiver}{row.error}"


def test_a_refused_notification_is_not_retried(fired: World, webhook: Webhook) -> None:
    webhook.statuses = [404]
    fired.wait(MINUTE)
    row = Delivery.objects.get()
    assert (row.state, row.attempts, row.error) == (Delivery.State.FAILED, 1, "Status 404.")


def test_an_unavailable_mail_server(fired: World, mailbox: Mailbox, settings) -> None:
    port = settings.EMAIL_PORT
    settings.EMAIL_PORT = free_port()
    fired.wait(MINUTE)
    row = Delivery.objects.get()
    assert (row.state, row.attempts) == (Delivery.State.WAITING, 2)
    settings.EMAIL_PORT = port
    fired.wait(2 * MINUTE)
    assert mailbox.subjects() == ["[voice] Critical: concurrent users 90 > 80"]


def test_evaluating_rules_does_not_wait_for_receivers(fired: World, settings) -> None:
    from capacity import watch

    settings.VOICE_ALERT_WEBHOOKS = ["http://192.0.2.1/"]  # a reserved address, where nothing answers
    settings.VOICE_ALERT_EMAILS = ["petugas@example.com"]
    settings.EMAIL_HOST = "192.0.2.1"
    started = time.monotonic()
    for _ in range(5):
        fired.now += watch.EVALUATE_EVERY
        watch.evaluate(fired.now, fired.served())
    assert time.monotonic() - started < 3
    assert Delivery.objects.filter(state=Delivery.State.WAITING).count() == 2


def test_two_processes_send_a_notification_once(fired: World, webhook: Webhook) -> None:
    fired.wait(MINUTE)
    row = Delivery.objects.get()
    Delivery.objects.update(state=Delivery.State.WAITING, attempts=0)
    row.state = Delivery.State.WAITING
    row.attempts = 0
    assert notifications._attempt(row, fired.now)
    assert not notifications._attempt(row, fired.now)
    assert len(webhook.received) == 2
    assert Alert.objects.count() == 1
