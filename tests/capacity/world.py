from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.test import Client

from capacity import notifications, watch
from capacity.models import Alert
from capacity.presence import Presence, person
from core.models import ClientApplication
from rollout import roles
from rollout.feature import VOICE, Feature
from rollout.models import Flag
from tests.dependencies import free_port
from usage.models import LedgerEntry

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # 17:00 in Kuala Lumpur


@pytest.fixture
def seeded(db) -> None:
    """Ensure that the rules and phases of the migration exist, even if an earlier test has emptied the database."""
    import_module("capacity.migrations.0002_rules_and_phases").seed(apps, None)


class Webhook:
    """A webhook receiver.

    ``received``: the bodies of requests that it answered with status 200.
    ``statuses``: the statuses of its next responses. When the list is empty, the status is 200.
    """

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = webhook.statuses.pop(0) if webhook.statuses else 200
                if status == 200:
                    webhook.received.append(body)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/T0/B0/secret"

    def texts(self) -> list[str]:
        return [body["text"] for body in self.received]


@pytest.fixture
def webhook(settings) -> Iterator[Webhook]:
    receiver = Webhook()
    thread = threading.Thread(target=receiver.server.serve_forever, args=[0.02])
    thread.start()
    settings.VOICE_ALERT_WEBHOOKS = [receiver.url]
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


class Mailbox(Message):
    def __init__(self) -> None:
        super().__init__()
        self.received: list[Any] = []

    def handle_message(self, message: Any) -> None:
        self.received.append(message)

    def subjects(self) -> list[str]:
        return [str(make_header(decode_header(message["Subject"]))) for message in self.received]


@pytest.fixture
def mailbox(settings) -> Iterator[Mailbox]:
    """A mail server that receives the mail of the service."""
    received = Mailbox()
    controller = Controller(received, hostname="127.0.0.1", port=free_port())
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = controller.port
    settings.VOICE_ALERT_EMAILS = ["petugas@example.com"]
    yield received
    controller.stop()


class World:
    """Simulated time, users and requests, with alert rules evaluated every 15 s as by the real watcher."""

    def __init__(self) -> None:
        self.now = START
        self.users = 0
        self.gpu_percent: float | None = None
        self.requests: list[tuple[str, int, int]] = []  # kind, milliseconds, status; repeated at each step
        self.client = ClientApplication.objects.create(name="chat")

    def served(self) -> Presence:
        people = frozenset(person(self.client.pk, f"u{number}") for number in range(self.users))
        return Presence(people, frozenset(), people, self.gpu_percent)

    def wait(self, time: timedelta, every: timedelta = watch.EVALUATE_EVERY) -> None:
        """Let simulated time pass, and evaluate the alert rules each time ``every`` has passed.

        A longer interval makes the test faster: with the default, an hour takes 240 evaluations.
        """
        end = self.now + time
        while self.now < end:
            self.step(every)

    def step(self, every: timedelta = watch.EVALUATE_EVERY) -> None:
        self.now += every
        LedgerEntry.objects.bulk_create(
            LedgerEntry(
                request_id="r", kind=kind, client=self.client, user="u", total_ms=ms, status=status, created_at=self.now
            )
            for kind, ms, status in self.requests
        )
        watch.evaluate(self.now, self.served())
        notifications.send_due(self.now)

    def firing(self) -> set[str]:
        return {str(alert.rule) for alert in Alert.objects.filter(state=Alert.State.FIRING)}


@pytest.fixture
def world(seeded, settings) -> World:
    return World()


@pytest.fixture
def seeded_site(seeded) -> None:
    """Ensure that the rules, phases, flags and roles of the migrations exist, even in an emptied database."""
    Flag.objects.get_or_create(name=VOICE, defaults={"percent": 0, "note": "Voice"})
    for feature in Feature:
        Flag.objects.get_or_create(name=feature, defaults={"note": f"{feature} in words"})
    for config in apps.get_app_configs():
        roles.grant(config)


def logged_in(name: str, role: str = "", **rights: bool) -> Client:
    user = User.objects.create_user(name, is_staff=True, **rights)
    if role:
        user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def operator(seeded_site) -> Client:
    return logged_in("siti", roles.OPERATORS)


@pytest.fixture
def product(seeded_site) -> Client:
    return logged_in("farid", roles.PRODUCT)


@pytest.fixture
def boss(seeded_site) -> Client:
    return logged_in("boss", is_superuser=True)
