from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from datetime import date, datetime
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client
from django.utils import timezone

from core.identity import Caller
from core.models import ClientApplication
from rollout import roles
from tests.usage.believable import history
from tests.usage.boards import DAYS
from usage import ledger_writer
from usage.entry import Entry, Kind, Measure
from usage.ledger_posting import write
from usage.ledger_writer import ledger
from usage.models import LedgerEntry, Plan

Fill = Callable[..., LedgerEntry]


class _NothingToDrain:
    async def drain(self) -> None:
        pass


@pytest.fixture
async def undrained(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Keep a service that other tests have started in this process from draining the ledger's spool.

    Every second, it would settle the spooled entries and note that the database is available.
    """
    with monkeypatch.context() as patched:
        patched.setattr(ledger_writer, "ledger", _NothingToDrain)
        await ledger().run(lambda: None)  # waits for a drain that has begun
        yield


@pytest.fixture
def chat(db) -> ClientApplication:
    return ClientApplication.objects.create(name="chat")


@pytest.fixture
def caller(chat: ClientApplication) -> Caller:
    return Caller(chat.pk, chat.name, "aminah", "vk_x", "key:vk_x")


@pytest.fixture
def small_plan(db) -> Plan:
    """A plan with a hard limit of 10 minutes and 1,000 characters, half of which are included."""
    Plan.objects.filter(is_default=True).update(is_default=False)
    return Plan.objects.create(
        name="small",
        is_default=True,
        included_audio_minutes=5,
        soft_audio_minutes=8,
        hard_audio_minutes=10,
        micros_per_audio_minute=50_000,
        included_characters=500,
        soft_characters=800,
        hard_characters=1000,
        micros_per_1000_characters=200_000,
    )


def entry_of(client_id: int, **fields: Any) -> Entry:
    """Return the entry of a successful request for speech. ``fields`` replace its values."""
    values = {
        "request_id": "req_0",
        "kind": Kind.SPEECH,
        "client_id": client_id,
        "user": "aminah",
        "model": "m",
        "voice": "v",
        "language": "ms",
        "audio_ms": 1,
        "characters": 10,
        "queue_ms": 3,
        "total_ms": 4,
        "status": 200,
        "error_code": "",
        "settlement": uuid.uuid4().hex,
    }
    return Entry(**{**values, **fields})


@pytest.fixture
def fill(chat: ClientApplication) -> Fill:
    """A function that writes a ledger row with a number of units, and updates the roll-ups."""

    def fill(units: int, kind: Kind = Kind.SPEECH, *, at: datetime | None = None, **fields: Any) -> LedgerEntry:
        amount = "characters" if kind.measure is Measure.CHARACTERS else "audio_ms"
        values = {"client": chat, "user": "aminah", "status": 200, "request_id": "r", amount: units, **fields}
        row = LedgerEntry(kind=kind.value, created_at=at or timezone.now(), **values)
        with transaction.atomic():
            write([row])
        return row

    return fill


@pytest.fixture
def used(db) -> date:
    """The last day of a history that has been written to the ledger."""
    today = timezone.localdate()
    history(today, DAYS, people=40)
    return today


@pytest.fixture
def product(db) -> Client:
    for config in apps.get_app_configs():
        roles.grant(config)
    person = User.objects.create_user("puteri", is_staff=True)
    person.groups.add(Group.objects.get(name=roles.PRODUCT))
    client = Client()
    client.force_login(person)
    return client
