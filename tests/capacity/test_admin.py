"""The admin pages of the capacity app."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from capacity.models import Alert, Rule, Sample
from rollout import roles

PAGES = ["rule", "alert", "phase", "sample", "hourlypeak", "activeusers", "delivery", "probeday", "outage"]


def person(name: str, role: str) -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def roles_made(seeded) -> None:
    from django.apps import apps

    for config in apps.get_app_configs():
        roles.grant(config)


@pytest.fixture
def operator(roles_made) -> Client:
    return person("siti", roles.OPERATORS)


@pytest.fixture
def product(roles_made) -> Client:
    return person("paul", roles.PRODUCT)


@pytest.fixture
def alert(seeded) -> Alert:
    now = timezone.now()
    rule = Rule.objects.get(severity="critical", metric="users")
    alert = Alert.of(rule, state=Alert.State.FIRING, since=now, fired_at=now, evaluated_at=now, value=93, worst=93)
    alert.save()
    return alert


def text(client: Client, url: str, data: dict[str, object] | None = None) -> str:
    response = client.post(url, data, follow=True) if data is not None else client.get(url, follow=True)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize("page", PAGES)
def test_both_roles_see_every_page(operator: Client, product: Client, alert: Alert, page: str) -> None:
    Sample.objects.create(at=timezone.now(), users=3)
    for client in (operator, product):
        assert client.get(f"/admin/capacity/{page}/").status_code == 200


def test_alerts_are_listed_and_acknowledged(operator: Client, alert: Alert) -> None:
    page = text(operator, "/admin/capacity/alert/")
    assert "Concurrent users 93 &gt; 80" in page
    url = f"/admin/capacity/alert/{alert.pk}/acknowledge/"
    assert "Cancel" in text(operator, url)
    assert not Alert.objects.exclude(acknowledged_at=None).exists()
    assert "acknowledged." in text(operator, url, {})
    alert.refresh_from_db()
    assert alert.acknowledged_by == "siti"


def test_several_alerts_are_acknowledged_together(operator: Client, alert: Alert) -> None:
    form = {"action": "acknowledge_selected", "_selected_action": [alert.pk]}
    assert "Acknowledged 1." in text(operator, "/admin/capacity/alert/", form)


@pytest.mark.parametrize("where", ["alert", "rule"])
def test_a_silence_is_entered_and_ended(operator: Client, alert: Alert, where: str) -> None:
    row = alert if where == "alert" else alert.rule
    url = f"/admin/capacity/{where}/{row.pk}/silence/"
    assert "Cancel" in text(operator, url)
    assert "This field is required" in text(operator, url, {"hours": "4", "why": ""})
    assert "Silenced until" in text(operator, url, {"hours": "4", "why": "load test"})
    rule = Rule.objects.get(pk=alert.rule_id)
    assert rule.is_silenced(timezone.now() + timedelta(hours=3.9))
    assert not rule.is_silenced(timezone.now() + timedelta(hours=4.1))
    assert (rule.silenced_by, rule.silenced_why) == ("siti", "load test")
    assert "load test" in text(operator, f"/admin/capacity/rule/{rule.pk}/change/")
    text(operator, f"/admin/capacity/rule/{rule.pk}/speak/", {})
    assert not Rule.objects.get(pk=rule.pk).is_silenced(timezone.now())


def test_rules_are_edited(operator: Client, alert: Alert) -> None:
    form = {
        "severity": "critical",
        "metric": "users",
        "threshold": "70",
        "is_enabled": "on",
        "pending_for": "00:01:00",
        "margin_percent": "5",
        "clear_for": "00:02:00",
        "least_requests": "20",
    }
    assert "was changed successfully" in text(operator, f"/admin/capacity/rule/{alert.rule_id}/change/", form)
    assert str(Rule.objects.get(pk=alert.rule_id)) == "critical: concurrent users > 70"


def test_measured_rows_cannot_be_changed(operator: Client, alert: Alert) -> None:
    for url in ("sample/add/", "alert/add/", f"alert/{alert.pk}/delete/", f"rule/{alert.rule_id}/delete/"):
        assert operator.get(f"/admin/capacity/{url}").status_code == 403


def test_the_product_team_cannot_change_anything(product: Client, alert: Alert) -> None:
    for url in (f"alert/{alert.pk}/acknowledge/", f"alert/{alert.pk}/silence/", f"rule/{alert.rule_id}/silence/"):
        assert product.post(f"/admin/capacity/{url}").status_code == 403
    assert "Acknowledge selected" not in text(product, "/admin/capacity/alert/")
    product.post(f"/admin/capacity/rule/{alert.rule_id}/change/", {"threshold": "1"})
    assert Rule.objects.get(pk=alert.rule_id).threshold == 80


def test_viewing_an_alert_does_not_acknowledge_it(product: Client, alert: Alert) -> None:
    assert "concurrent users" in text(product, f"/admin/capacity/alert/{alert.pk}/change/")
    alert.refresh_from_db()
    assert alert.acknowledged_at is None
