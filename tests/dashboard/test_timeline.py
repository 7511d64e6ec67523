"""The timeline on the admin's first page: which events it lists, and who was notified of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from capacity import deployment
from capacity.models import Alert, Delivery, Rule
from core.audit import Change, acting
from core.models import ApiKey, ClientApplication
from dashboard import timeline
from rollout import ramp as ramps
from rollout.models import Flag
from tests.emptying import restore_migrated_rows
from usage.plans import Plan


@pytest.fixture(autouse=True)
def migrated(db) -> None:
    restore_migrated_rows()


def fire(now) -> Alert:
    rule = Rule.objects.get(severity="critical", metric="users")
    at = {"since": now, "fired_at": now, "evaluated_at": now}
    of_rule = {"severity": rule.severity, "metric": rule.metric, "threshold": rule.threshold}
    return Alert.objects.create(rule=rule, state="firing", value=91, worst=91, **at, **of_rule)


def words() -> list[str]:
    found = timeline.latest(timezone.now(), rollout=True, capacity=True)
    return [f"{one.what} | {one.why} | {one.who}" for one in found]


def test_a_rollback_is_one_event_with_its_cause() -> None:
    now = timezone.now()
    with acting("siti", "As planned"):
        ramp = ramps.start(ramps.create(Flag.objects.get(name="voice")).pk, now)
    ramps.tick(now, ["concurrent users 91 > 80"])
    fire(now)
    deployment.note_version(now)
    told = "\n".join(words())
    assert (
        f"Ramp {ramp.pk} of voice rolled back | Back to 0 %. Critical: concurrent users 91 > 80 | ramp {ramp.pk}"
        in told
    )
    assert "voice 0 % → 1 %" in told
    assert "voice 1 % → 0 %" not in told
    assert "Critical alert: concurrent users 91 > 80 | nobody was notified" in told
    assert "deployed" in told


def test_a_deployment_is_listed_once(settings) -> None:
    now = timezone.now()
    assert deployment.note_version(now)
    assert not deployment.note_version(now)
    settings.VOICE_VERSION = "9.9.9"
    assert deployment.note_version(now + timedelta(minutes=1))
    assert words()[0].startswith("Version 9.9.9 deployed, after ")


def test_a_test_notification_shows_its_receivers(admin_client: Client, settings) -> None:
    assert "No receiver is configured" in admin_client.get("/admin/").content.decode()
    page = admin_client.post("/admin/capacity/delivery/test/", follow=True).content.decode()
    assert "No receiver is configured" in page
    settings.VOICE_ALERT_EMAILS = ["ops@example.com"]
    page = admin_client.post("/admin/capacity/delivery/test/", follow=True).content.decode()
    assert "Sent to ops@example.com." in page
    assert (len(mail.outbox), mail.outbox[0].subject) == (1, "[voice] Test notification")
    assert Delivery.objects.get().state == Delivery.State.SENT
    assert "No receiver is configured" not in admin_client.get("/admin/").content.decode()


def test_changes_of_keys_rules_plans_and_prices_are_listed(admin_client: Client) -> None:
    client = ClientApplication.objects.create(name="chat-x")
    with acting("siti", "A leak"):
        row, _key = ApiKey.issue(client, label="web")
        row.revoke()
    rule = Rule.objects.get(severity="warning", metric="users")
    rule.pending_for = timedelta(minutes=2)
    rule.save()
    plan = Plan.objects.create(name="plus", micros_per_audio_minute=50_000)
    plan.micros_per_audio_minute = 40_000
    plan.save()
    page = admin_client.get("/admin/rollout/change/").content.decode()
    for told in ("revoked no → yes", "A leak", "pending for 30 s → 2 min", "per audio minute 0.05 → 0.04"):
        assert told in page
    assert Change.objects.filter(who="siti", subject=f"API key {row}").count() == 2


def test_a_key_that_expired_is_refused() -> None:
    client = ClientApplication.objects.create(name="chat-x")
    row, key = ApiKey.issue(client, expires_at=timezone.now() + timedelta(hours=1))
    assert ApiKey.find(key) is not None
    ApiKey.objects.filter(pk=row.pk).update(expires_at=timezone.now())
    assert ApiKey.find(key) is None
