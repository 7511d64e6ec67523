"""The admin's first page, as each role sees it."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from capacity.models import ActiveUsers, Alert, HourlyPeak, Phase, ProcessLease, Rule, Sample
from capacity.presence import Presence
from dashboard import homepage_data, navigation
from rollout import ramp as ramps
from rollout.models import Flag
from tests.capacity.world import logged_in
from usage.models import InfrastructureCost
from usage.period import start_of

HOME = "/admin/"
FRESH = "/admin/now.json"
# Session, account, rights: 4. Side bar and alerts: 2. Readings, levels, leases: 6. Roll-out: 3. The others are for
# figures that change slowly: the month's cost, uptime, growth, and the curves of two days.
MAX_QUERIES = 44
MAX_FRESH_QUERIES = 20


def served(users: int, fallbacks: int = 0) -> None:
    people = frozenset(f"1:u{number}" for number in range(users))
    expires_at = timezone.now() + timedelta(hours=1)
    presence = Presence(people, frozenset(), people, fallbacks=fallbacks)
    ProcessLease.objects.create(process="p", served=presence.as_json(), expires_at=expires_at)


def sampled(age: timedelta = timedelta(0), **readings: Any) -> Sample:
    return Sample.objects.create(at=timezone.now() - age, **readings)


def fire(severity: str = "critical", metric: str = "users", value: float = 93) -> Alert:
    now = timezone.now()
    rule = Rule.objects.get(severity=severity, metric=metric)
    alert = Alert.of(
        rule, state=Alert.State.FIRING, since=now, fired_at=now, evaluated_at=now, value=value, worst=value
    )
    alert.save()
    return alert


def words(html: str) -> str:
    """Return the visible text of a page, without scripts and tags, and with single spaces."""
    body = html[html.index('id="content"') :] if 'id="content"' in html else html
    plain = re.sub(r"<script.*?</script>|<[^>]+>", " ", body, flags=re.S)
    return re.sub(r"\s+", " ", plain.replace("&gt;", ">").replace("&lt;", "<"))


def page(client: Client) -> str:
    response = client.get(HOME)
    assert response.status_code == 200
    return response.content.decode()


def test_it_works(operator: Client) -> None:
    served(47)
    sampled(users=47, requests=312, asr_p95_s=1.234, tts_p95_s=3.6, error_percent=5.5, gpu_percent=58)
    shown = words(page(operator))
    for said in ("47 now", "1.23 s", "3.60 s warning", "5.5 % critical", "of 312 requests", "58 %"):
        assert said in shown
    assert "warning > 3 s, critical > 5 s" in shown.replace("\xa0", " ")
    assert "not running" not in shown


@pytest.mark.parametrize(
    ("users", "tone"), [(60, "ok"), (61, "warning"), (80, "warning"), (81, "critical"), (250, "critical")]
)
def test_the_gauge_shows_concurrent_users_and_alert_levels(seeded_site, users: int, tone: str) -> None:
    served(users)
    sampled(users=users)
    gauge = homepage_data.live(timezone.now())["gauge"]
    assert gauge.tone == tone
    assert [level for _percent, level in gauge.marks] == ["60", "80", "100"]
    assert 0 < gauge.percent <= 100
    assert all(percent < 100 for percent, _level in gauge.marks)


def test_a_brownout_is_shown(operator: Client) -> None:
    served(3)
    assert "brown-out" not in words(page(operator))
    ProcessLease.objects.all().delete()
    served(3, fallbacks=1)
    assert "brown-out: 1 new reply spoken by eSpeak NG" in words(page(operator))


def test_levels_come_from_the_rules(operator: Client) -> None:
    Rule.objects.filter(metric="users", severity="critical").update(threshold=70)
    served(75)
    assert "above the critical level" in words(page(operator))
    Rule.objects.filter(metric="users").update(is_enabled=False)
    assert "above the critical level" not in words(page(operator))


@pytest.mark.parametrize("age", [None, timedelta(minutes=3), timedelta(days=2)])
def test_a_stopped_watcher_is_reported(operator: Client, age: timedelta | None) -> None:
    if age is not None:
        sampled(age, users=12, asr_p95_s=1.5)
    shown = words(page(operator))
    assert "The watcher is not running." in shown
    assert ("There is no sample yet" if age is None else "The newest sample is of") in shown
    assert "No alert fires." not in shown  # without a watcher this is unknown
    assert "1.50 s" not in shown  # an old reading must not be shown as the current one


def test_an_unavailable_store_leaves_the_rest_of_the_page(operator: Client, settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    sampled(users=12, asr_p95_s=1.5)
    shown = words(page(operator))
    assert "cannot be read" in shown
    assert "1.50 s" in shown


def test_alerts_are_acknowledged_with_one_click(operator: Client) -> None:
    alert = fire()
    html = page(operator)
    assert "Concurrent users 93 > 80" in words(html)
    address = re.search(r'formaction="([^"]+)"', html)
    assert address is not None
    response = operator.post(address[1], follow=True)
    assert response.redirect_chain == [(HOME, 302)]
    alert.refresh_from_db()
    assert alert.acknowledged_by == "siti"
    assert "Acknowledged by siti" in words(page(operator))


def test_a_get_request_acknowledges_nothing(operator: Client) -> None:
    alert = fire()
    assert operator.get(f"/admin/capacity/alert/{alert.pk}/acknowledge/?home").status_code == 200
    alert.refresh_from_db()
    assert alert.acknowledged_at is None


def test_a_cross_site_form_acknowledges_nothing(operator: Client, seeded_site) -> None:
    alert = fire()
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="siti"))
    assert strict.post(f"/admin/capacity/alert/{alert.pk}/acknowledge/?home").status_code == 403
    alert.refresh_from_db()
    assert alert.acknowledged_at is None


def test_the_product_team_sees_alerts_but_cannot_acknowledge_them(product: Client) -> None:
    alert = fire()
    Flag.objects.filter(name="voice").update(percent=7)
    html = page(product)
    assert "Not acknowledged" in words(html)
    assert "7 %" in words(html)
    for forbidden in ("formaction", "/kill", "Kill switch"):
        assert forbidden not in html
    assert product.post(f"/admin/capacity/alert/{alert.pk}/acknowledge/?home").status_code == 403
    alert.refresh_from_db()
    assert alert.acknowledged_at is None


def test_the_roll_out_and_its_ramp_are_shown(operator: Client) -> None:
    flag = Flag.objects.get(name="voice")
    ramp = ramps.create(flag)
    ramps.start(ramp.pk, timezone.now())
    ramp.refresh_from_db()
    ramp.watched_s = 9 * 3600
    ramp.save()
    html = page(operator)
    assert f"Ramp {ramp.pk} of voice : 1 % held 9 h of 24 h, then 5 %" in words(html)
    assert f"/admin/rollout/flag/{flag.pk}/kill/" in html
    assert "/admin/rollout/flag/kill-all/" in html
    ramps.pause(ramp.pk)
    assert "is paused at 1 %" in words(page(operator))
    Flag.objects.update(killed=True)
    html = page(operator)
    assert words(html.partition("timeline-title")[0]).count("kill switch on") == 4
    assert f"/admin/rollout/flag/{flag.pk}/revive/" in html


def test_the_months_cost_and_the_phase_are_shown(operator: Client) -> None:
    InfrastructureCost.objects.all().delete()
    assert "No rates have been entered." in words(page(operator))
    long_ago = timezone.now() - timedelta(days=200)
    InfrastructureCost.objects.create(resource="other", price_micros=1_500_000_000, per="month", starts_at=long_ago)
    ActiveUsers.objects.create(day=timezone.localdate(), users=3_120)
    HourlyPeak.objects.create(hour=timezone.now() - timedelta(hours=1), users=74)
    shown = words(page(operator))
    for said in ("USD 1,500.00", "target < 1,000: not met", "Phase 2: Growth", "3,120", "2,000–5,000", "74"):
        assert said in shown
    assert "Next: Scale" in shown
    assert Phase.objects.get(number=3).needs() in shown
    Phase.objects.all().delete()
    assert "There are no phases." in words(page(operator))


def test_users_without_a_role_see_no_figures(seeded_site) -> None:
    client = logged_in("baru")
    fire()
    shown = words(page(client))
    assert "Your account has no role yet." in shown
    assert "Concurrent" not in shown
    answer = client.get(FRESH).json()
    assert "curve" not in answer
    assert "".join(answer["parts"].values()).strip() == ""


def test_one_permission_shows_one_section(seeded_site) -> None:
    client = logged_in("kira")
    user = User.objects.get(username="kira")
    user.user_permissions.add(Permission.objects.get(codename="view_infrastructurecost"))
    fire()
    html = page(client)
    assert "Cost of" in words(html)
    assert "Concurrent" not in words(html)
    assert "home-renewal" in html  # the page still renews itself


@pytest.mark.parametrize(
    ("who", "rooms_seen"),
    [
        ("operator", {"Roll-out", "Capacity", "Usage and billing", "Access"}),
        ("product", {"Roll-out", "Capacity", "Usage and billing", "Access"}),
        ("boss", {"Roll-out", "Capacity", "Usage and billing", "Access"}),
    ],
)
def test_the_side_bar(request: pytest.FixtureRequest, who: str, rooms_seen: set[str]) -> None:
    html = page(request.getfixturevalue(who))
    bar = html[html.index('id="nav-sidebar-apps"') : html.index('id="main"')]
    assert {section for section in rooms_seen if section in bar} == rooms_seen
    for link in ("/dashboard/", "/docs/", 'href="/"', "/admin/capacity/alert/", "/admin/voiceproject/apikey/"):
        assert link in bar
    assert ("/admin/auth/user/" in bar) == (who == "boss")


def test_models_of_an_app_without_a_section_are_in_the_last_section(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections = [section for section in navigation.SECTIONS if section.title != "Usage and billing"]
    monkeypatch.setattr(navigation, "SECTIONS", tuple(sections))
    html = page(boss)
    bar = html[html.index('id="nav-sidebar-apps"') : html.index('id="main"')]
    assert bar.index("Access") < bar.index("Other") < bar.index("/admin/usage/plan/") < bar.index("Elsewhere")


def test_the_side_bar_shows_the_number_of_alerts_by_permission(operator: Client, seeded_site) -> None:
    fire()
    bar = words(page(operator))
    html = page(operator)
    assert re.search(r"Alerts</span>\s*<span[^>]*>\s*1\s*</span>", html), bar
    html = page(logged_in("baru"))
    assert "/admin/capacity/" not in html
    assert "/dashboard/" in html


def test_every_page_of_the_side_bar_and_its_tabs_opens(boss: Client) -> None:
    html = page(boss)
    links = set(re.findall(r'href="(/admin/[a-z]+/[a-z]+/)"', html))
    for link in sorted(links):
        response = boss.get(link)
        assert response.status_code == 200, link
        links |= set(re.findall(r'href="(/admin/[a-z]+/[a-z]+/)"', response.content.decode()))
    from django.contrib import admin

    models = {f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in admin.site._registry}
    assert models <= links


class TestFresh:
    def test_only_changed_sections_differ(self, operator: Client) -> None:
        sampled(users=5, asr_p95_s=1.0)
        first = operator.get(FRESH).json()
        assert set(first["parts"]) == {"watcher", "alerts", "now", "readings", "rollout"}
        served(64)
        alert = fire()
        second = operator.get(FRESH).json()
        changed = {name for name in first["parts"] if first["parts"][name] != second["parts"][name]}
        assert changed == {"alerts", "now"}
        assert f"/alert/{alert.pk}/acknowledge/" in second["parts"]["alerts"]
        assert "csrf" not in json.dumps(second)  # parts of the page must not differ by a token

    def test_slow_sections_are_sent_on_request(self, operator: Client) -> None:
        assert {"cost", "phase"} <= set(operator.get(FRESH, {"slow": ""}).json()["parts"])

    def test_users_without_access_to_the_admin_are_refused(self, seeded_site) -> None:
        visitor = Client()
        assert visitor.get(FRESH).headers["Location"].startswith("/admin/login/")
        User.objects.create_user("tamu")
        visitor.force_login(User.objects.get(username="tamu"))
        assert visitor.get(FRESH).status_code == 302

    def test_the_response_is_not_cached(self, operator: Client) -> None:
        assert "no-store" in operator.get(FRESH).headers["Cache-Control"]
        assert operator.post(FRESH).status_code == 405

    @pytest.mark.parametrize("step", ["", "x", "-1", "1e9", "99999999999999999999", "٣", "100"])
    def test_the_curve_ends_now(self, operator: Client, step: str) -> None:
        sampled(users=31, asr_users=20, tts_users=15)
        curve = operator.get(FRESH, {"step": step}).json()["curve"]
        now = homepage_data.step_of(timezone.now())
        assert curve["first"] <= now
        assert curve["first"] + len(curve["together"]) in (now, now + 1)
        assert curve["together"][-1] == 31 or curve["together"][-2] == 31  # a new step may have begun in between


class TestCurve:
    def test_steps_of_a_day(self, seeded_site) -> None:
        now = timezone.make_aware(datetime(2026, 3, 2, 9, 3))
        for minutes, users in ((1, 4), (3, 9), (541, 30)):
            Sample.objects.create(at=start_of(now.date()) + timedelta(minutes=minutes), users=users)
        whole = homepage_data.curve(now)
        assert (whole["first"], len(whole["together"])) == (0, 109)
        assert (whole["together"][0], whole["together"][1], whole["together"][108]) == (9, None, 30)
        assert homepage_data.curve(now, 108) == {
            "day": "2026-03-02",
            "first": 108,
            "together": [30],
            "asr": [0],
            "tts": [0],
        }
        assert homepage_data.curve(now, 500)["first"] == 108

    def test_the_static_chart_has_gaps_for_missing_samples(self, seeded_site) -> None:
        drawn = {
            "today": {"together": [0, 55, None, 110]},
            "yesterday": [],
            "levels": {"warning": 60, "critical": 80, "design": 100},
        }
        still = homepage_data.static_curve(drawn)
        assert len(still["today"]) == 2
        assert [name for name, _level, _top in still["levels"]] == ["warning", "critical", "design"]
        heights = [float(point.split(",")[1]) for line in still["today"] for point in line.split()]
        assert heights == pytest.approx([100, 54.5, 9.1], abs=0.1)


@pytest.mark.parametrize("rows", [1, 40])
def test_the_number_of_queries_does_not_grow(operator: Client, django_assert_max_num_queries, rows: int) -> None:
    now = timezone.now()
    Sample.objects.bulk_create(Sample(at=now - timedelta(seconds=15 * number), users=number) for number in range(rows))
    HourlyPeak.objects.bulk_create(
        HourlyPeak(hour=now - timedelta(hours=number), users=number) for number in range(rows)
    )
    for rule in Rule.objects.all()[: min(rows, 8)]:
        fire(rule.severity, rule.metric, rule.threshold + 1)
    Flag.objects.update(percent=0)
    for flag in Flag.objects.all()[: min(rows, 3)]:
        ramps.start(ramps.create(flag).pk, now)
    InfrastructureCost.objects.bulk_create(
        InfrastructureCost(resource="other", price_micros=1, per="month") for _number in range(rows)
    )
    with django_assert_max_num_queries(MAX_QUERIES):
        operator.get(HOME)
    with django_assert_max_num_queries(MAX_FRESH_QUERIES):
        operator.get(FRESH)
