"""Alerts in simulated time, with a real webhook receiver and a real mail server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client

from capacity import alerts, watch
from capacity.models import Alert, Rule
from core.quantities import MICROS
from rollout import ramp as ramps
from rollout.models import Flag, Ramp
from tests.capacity.world import START, Mailbox, Webhook, World
from usage.cost import InfrastructureCost

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)

Change = Callable[[World], None]

FAST = [("transcription", 400, 200), ("speech", 900, 200)]


def set_users(number: int) -> Change:
    return lambda world: setattr(world, "users", number)


def set_gpu(percent: float) -> Change:
    return lambda world: setattr(world, "gpu_percent", percent)


def answer_in(ms: int, kind: str) -> Change:
    return lambda world: setattr(world, "requests", [*FAST, (kind, ms, 200), (kind, ms, 200)])


def fail(share: int) -> Change:
    """Return a change after which one in ``share`` requests fails."""
    ok = [("speech", 900, 200)] * (share - 1)
    return lambda world: setattr(world, "requests", [*ok, ("speech", 900, 503)])


def set_cost(usd: int) -> Change:
    """Return a change that sets the monthly cost of the whole infrastructure in US dollars."""

    def change(_world: World) -> None:
        InfrastructureCost.objects.update_or_create(
            resource="other",
            per="month",
            starts_at=START - timedelta(days=400),
            defaults={"price_micros": usd * MICROS},
        )

    return change


def calm(world: World) -> None:
    world.users = 5
    world.gpu_percent = 20.0
    world.requests = FAST
    set_cost(900)(world)


CASES = [
    ("critical: concurrent users > 80", set_users(81), ["concurrent users > 60"]),
    ("critical: p95 response > 5 s", answer_in(5_400, "transcription"), ["p95 response > 3 s"]),
    ("critical: error rate > 5 %", fail(15), ["error rate > 2 %"]),
    ("critical: GPU utilisation > 90 %", set_gpu(97), []),
    ("warning: concurrent users > 60", set_users(61), []),
    ("warning: p95 response > 3 s", answer_in(3_100, "speech"), []),
    ("warning: error rate > 2 %", fail(30), []),
    ("warning: monthly cost > 2,000 USD", set_cost(2_310), []),
]


@pytest.mark.parametrize(("rule", "trouble", "warnings"), CASES, ids=[case[0] for case in CASES])
def test_each_rule_fires_notifies_and_resolves(
    world: World, webhook: Webhook, mailbox: Mailbox, rule: str, trouble: Change, warnings: list[str]
) -> None:
    calm(world)
    world.wait(6 * MINUTE)
    assert world.firing() == set()
    trouble(world)
    world.wait(6 * MINUTE)
    assert world.firing() == {rule, *(f"warning: {warning}" for warning in warnings)}
    severity, condition = rule.split(": ")
    told = f"[voice] {severity.capitalize()}: {condition.split(' >')[0]}"
    for received in (webhook.texts(), mailbox.subjects()):
        assert len([text for text in received if text.startswith(told)]) == 1
        assert len(received) == 1 + len(warnings)
    calm(world)
    world.wait(8 * MINUTE)
    assert world.firing() == set()
    over = f"[voice] Resolved: {condition.split(' >')[0]}"
    for received in (webhook.texts(), mailbox.subjects()):
        assert len([text for text in received if text.startswith(over)]) == 1 + len(warnings)
    alert = Alert.objects.get(rule__severity=severity, rule__metric=Rule.objects.get(pk=_pk(rule)).metric)
    assert alert.since <= alert.fired_at <= alert.resolved_at
    assert alert.worst > alert.rule.threshold >= alert.value


def _pk(words: str) -> int:
    return next(rule.pk for rule in Rule.objects.all() if str(rule) == words)


def test_the_eight_rules_are_seeded(seeded) -> None:
    assert {str(rule) for rule in Rule.objects.all()} == {case[0] for case in CASES}


def test_the_content_of_a_notification(world: World, webhook: Webhook, mailbox: Mailbox) -> None:
    world.users = 93
    world.wait(MINUTE)
    message = next(body for body in webhook.received if "Critical" in body["text"])
    assert message["text"] == "[voice] Critical: concurrent users 93 > 80"
    (attachment,) = message["attachments"]
    assert "Since: 2026-03-02 17:00:15 +08" in attachment["text"]
    mail = next(mail for mail in mailbox.received if "Critical" in mail["Subject"])
    assert (mail["To"], mail["From"]) == ("petugas@example.com", "voice@localhost")
    assert "concurrent users 93 > 80" in mail.get_payload()


def test_a_critical_alert_stops_a_running_ramp_and_rolls_it_back(world: World) -> None:
    flag, _created = Flag.objects.get_or_create(name="voice", defaults={"percent": 0})
    ramp = ramps.create(flag, [(Decimal(1), 2 * MINUTE), (Decimal(5), timedelta(hours=1))])
    ramps.start(ramp.pk, world.now, "a test")
    world.users = 70  # a warning does not stop a ramp
    world.wait(4 * MINUTE)
    assert Flag.objects.get(pk=flag.pk).percent == 5
    world.users = 85
    world.wait(MINUTE)
    ramp.refresh_from_db()
    assert (ramp.state, Flag.objects.get(pk=flag.pk).percent) == (Ramp.State.ROLLED_BACK, 1)
    assert "concurrent users 85 > 80" in ramp.reason
    world.wait(5 * MINUTE)
    assert Flag.objects.get(pk=flag.pk).percent == 1


def test_an_alert_is_pending_first_and_dropped_if_it_clears(world: World) -> None:
    Rule.objects.filter(metric="gpu_percent").update(pending_for=2 * MINUTE)
    world.gpu_percent = 99
    world.wait(MINUTE)
    assert Alert.objects.get().state == Alert.State.PENDING
    world.gpu_percent = 10
    world.wait(MINUTE)
    assert not Alert.objects.exists()


def test_no_change_between_clear_level_and_threshold(world: World) -> None:
    Rule.objects.filter(severity="warning").update(is_enabled=False)
    world.users = 81
    world.wait(MINUTE)
    world.users = 75  # above the clear level: 80 less 10 %
    world.wait(30 * MINUTE, every=MINUTE)
    assert world.firing() == {"critical: concurrent users > 80"}
    assert Alert.objects.count() == 1
    world.users = 72
    world.wait(8 * MINUTE)
    assert world.firing() == set()
    world.users = 75
    world.wait(10 * MINUTE)
    assert world.firing() == set()
    assert Alert.objects.count() == 1


def test_an_alert_is_resolved_only_after_the_value_stays_clear(world: World) -> None:
    Rule.objects.filter(severity="warning").update(is_enabled=False)
    world.users = 81
    world.wait(MINUTE)
    world.users = 10
    world.wait(6 * MINUTE)  # the last 5 minutes are clear, but have been so for only one minute
    assert Alert.objects.get().clear_since is not None
    world.users = 81
    world.wait(MINUTE)
    assert Alert.objects.get().clear_since is None
    assert world.firing() == {"critical: concurrent users > 80"}


def test_no_data_never_fires(world: World) -> None:
    world.requests = [("speech", 60_000, 503)]  # 16 failures in 5 minutes are too few requests
    Rule.objects.update(least_requests=30)
    world.wait(10 * MINUTE)
    watch.evaluate(world.now + SECOND, None)
    assert not Alert.objects.exists()


def test_a_firing_alert_is_resolved_without_data(world: World, webhook: Webhook) -> None:
    world.requests = [("speech", 4_000, 200)] * 3
    world.wait(5 * MINUTE)
    assert world.firing() == {"warning: p95 response > 3 s"}
    world.requests = []
    world.wait(8 * MINUTE)
    assert world.firing() == set()
    assert Alert.objects.get().outcome == "There is no more data."
    assert webhook.texts()[-1] == "[voice] Resolved: p95 response 4 s > 3 s"


def test_acknowledging_ends_the_reminders(world: World, webhook: Webhook) -> None:
    Rule.objects.filter(severity="warning").update(is_enabled=False)
    world.users = 90
    world.wait(62 * MINUTE, every=MINUTE)
    assert len(webhook.received) == 2
    (alert,) = alerts.firing()
    assert alert.acknowledge("siti", world.now)
    assert not alert.acknowledge("paul", world.now)
    world.wait(70 * MINUTE, every=MINUTE)
    assert len(webhook.received) == 2
    assert Alert.objects.get().acknowledged_by == "siti"


def test_a_silenced_rule_notifies_nobody_until_the_silence_ends(world: World, webhook: Webhook) -> None:
    Rule.objects.filter(severity="warning").update(is_enabled=False)
    rule = Rule.objects.get(severity="critical", metric="users")
    rule.silence(world.now + 10 * MINUTE, by="siti", why="load test")
    world.users = 90
    world.wait(9 * MINUTE)
    assert world.firing() == {"critical: concurrent users > 80"}
    assert webhook.received == []
    world.wait(2 * MINUTE)
    assert webhook.texts() == ["[voice] Critical: concurrent users 90 > 80"]


def test_an_alert_that_ends_during_a_silence_notifies_nobody(world: World, webhook: Webhook) -> None:
    Rule.objects.update(silenced_until=world.now + 10 * MINUTE)
    world.users = 90
    world.wait(MINUTE)
    world.users = 0
    world.wait(12 * MINUTE)
    assert world.firing() == set()
    assert webhook.received == []


def test_a_rule_that_is_switched_off_resolves_its_alert(world: World) -> None:
    world.users = 90
    world.wait(MINUTE)
    Rule.objects.update(is_enabled=False)
    world.step()
    assert world.firing() == set()
    assert Alert.objects.first().outcome == "The rule was disabled."


def test_edited_rules_act_at_the_next_evaluation(world: World) -> None:
    Rule.objects.filter(metric="users", severity="warning").update(threshold=5, pending_for=timedelta(0))
    world.users = 6
    world.step()
    assert world.firing() == {"warning: concurrent users > 5"}


def test_an_alert_keeps_the_threshold_of_its_rule(world: World, webhook: Webhook, boss: Client) -> None:
    Rule.objects.filter(metric="users", severity="warning").update(is_enabled=False)
    world.users = 90
    world.wait(MINUTE)
    Rule.objects.filter(metric="users", severity="critical").update(threshold=500, severity="warning", metric="p95_s")
    world.wait(4 * MINUTE)
    alert = Alert.objects.get()
    assert alert.state == Alert.State.RESOLVED
    assert (alert.severity, alert.metric, alert.threshold) == ("critical", "users", 80)
    assert str(alert) == "critical: concurrent users 90 > 80"
    assert "Rule: critical: concurrent users > 80" in webhook.received[-1]["attachments"][0]["text"]
    for page in ("/admin/capacity/alert/", f"/admin/capacity/alert/{alert.pk}/change/"):
        shown = boss.get(page).content.decode()
        assert "Concurrent users 90 &gt; 80" in shown or "critical: concurrent users &gt; 80" in shown.lower()


def test_changing_a_rules_metric_resolves_its_alerts(world: World) -> None:
    Rule.objects.filter(metric="users", severity="warning").update(is_enabled=False)
    rules = Rule.objects.filter(pk=Rule.objects.get(metric="users", severity="critical").pk)
    world.users = 90
    world.wait(MINUTE)
    rules.update(metric="gpu_percent", threshold=10)
    world.gpu_percent = 50
    world.step()
    alert = Alert.objects.exclude(rule__severity="warning").get()
    assert (alert.state, alert.outcome) == (Alert.State.RESOLVED, "The rule's metric was changed.")
    assert (alert.metric, alert.value) == ("users", 90)
    world.step()
    pending = Alert.objects.get(state=Alert.State.PENDING)
    assert pending.metric == "gpu_percent"
    rules.update(metric="users", threshold=80)
    world.step()
    assert not Alert.objects.filter(pk=pending.pk).exists()


def test_alerts_of_the_previous_version_continue(world: World) -> None:
    Rule.objects.filter(metric="users", severity="warning").update(is_enabled=False)
    world.users = 90
    world.wait(MINUTE)
    Alert.objects.update(severity="", metric="", threshold=0)
    (alert,) = alerts.firing()
    assert str(alert)
    assert alert.runbook
    world.step()
    assert str(Alert.objects.get()) == "critical: concurrent users 90 > 80"


def test_a_pending_alert_follows_its_rule(world: World) -> None:
    Rule.objects.filter(metric="users").update(pending_for=timedelta(minutes=5))
    world.users = 90
    world.step()
    Rule.objects.filter(metric="users", severity="critical").update(threshold=70)
    world.wait(6 * MINUTE)
    assert Alert.objects.get(severity="critical").threshold == 70


def test_pending_time_counts_only_while_watched(world: World) -> None:
    Rule.objects.filter(severity="warning").update(is_enabled=False)
    world.users = 90
    world.step()
    world.now += timedelta(hours=3)
    world.step()
    assert world.firing() == set()
    world.wait(30 * SECOND)
    assert world.firing() == {"critical: concurrent users > 80"}


def test_an_evaluation_needs_a_bounded_number_of_queries(world: World, django_assert_max_num_queries) -> None:
    world.users = 5
    world.requests = FAST * 20
    world.wait(MINUTE)
    # Queries by part. Sample, peak and window: 10. Traffic: 5. Rules and alerts: 2. Firing alerts: 1. Running ramps: 1.
    # A savepoint and its release for each of the eight rules.
    with django_assert_max_num_queries(36):
        watch.evaluate(world.now + timedelta(seconds=15), world.served())
