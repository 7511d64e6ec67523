"""The admin pages of the roll-out, as an operator sees them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.test import Client

from rollout import ramp as ramps
from rollout import roles
from rollout.models import Change, ClientShare, Cohort, Flag, ListedUser, Ramp

NO_SHARES = {"shares-TOTAL_FORMS": 0, "shares-INITIAL_FORMS": 0}


def person(name: str, role: str) -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def operator(flags: dict[str, Flag]) -> Client:
    return person("siti", roles.OPERATORS)


@pytest.fixture
def product(flags: dict[str, Flag]) -> Client:
    return person("paul", roles.PRODUCT)


def page_of(row: Model) -> str:
    return f"/admin/rollout/{type(row).__name__.lower()}/{row.pk}/change/"


def act(client: Client, row: Model, action: str, why: str = "because") -> str:
    """Choose an action for a row and confirm it; return the HTML of the next page."""
    url = page_of(row).replace("change/", f"{action}/")
    assert "Cancel" in client.get(url).content.decode()
    return client.post(url, {"why": why}, follow=True).content.decode()


def set_percent(client: Client, flag: Flag, percent: str, **fields: object) -> str:
    form: dict[str, Any] = {
        "percent": percent,
        "previewed": percent,
        "everyone": "unknown",
        "note": flag.note,
        "why": "a test",
    }
    form |= {**NO_SHARES, **fields}
    return client.post(page_of(flag), form, follow=True).content.decode()


def test_setting_a_percentage(operator: Client, flags: dict[str, Flag]) -> None:
    flag = flags["voice"]
    assert "was changed successfully" in set_percent(operator, flag, "7")
    assert Flag.objects.get(pk=flag.pk).percent == 7
    row = Change.objects.all()[0]
    assert (row.who, row.why, row.summary()) == ("siti", "a test", "percent 0 → 7")


def test_a_percentage_is_previewed_before_it_is_saved(operator: Client, flags: dict[str, Flag]) -> None:
    flag = flags["voice"]
    page = set_percent(operator, flag, "7", previewed="")
    assert "See the effects below" in page
    for shown in ("Effects of 0 % → 7 %", "7 % of end users", "Peak concurrent users", "Needs", "Cost"):
        assert shown in page
    assert Flag.objects.get(pk=flag.pk).percent == 0
    preview = operator.get(page_of(flag).replace("change", "preview"), {"percent": "7"}).content.decode()
    assert "Effects of 0 % → 7 %" in preview
    for nonsense in ("x", "-1", "101", "nan", "1e999"):
        assert operator.get(page_of(flag).replace("change", "preview"), {"percent": nonsense}).status_code == 400


def test_a_change_needs_a_reason(operator: Client, flags: dict[str, Flag]) -> None:
    set_percent(operator, flags["voice"], "7", why="")
    assert Flag.objects.get(name="voice").percent == 0


@pytest.mark.parametrize(
    ("form", "asked"),
    [
        ({"percent": "3", "previewed": "3"}, "takes the feature from 2 %"),
        ({"percent": "50", "previewed": "50"}, "another 45 %"),
        ({"percent": "5", "everyone": "true"}, "on for everyone"),
        ({"percent": "5", "everyone": "false"}, "off for everyone"),
    ],
)
def test_harmful_changes_need_confirmation(
    operator: Client, flags: dict[str, Flag], form: dict[str, str], asked: str
) -> None:
    set_percent(operator, flags["voice"], "5")
    trail = Change.objects.count()
    assert asked in set_percent(operator, flags["voice"], **form)
    assert Change.objects.count() == trail
    set_percent(operator, flags["voice"], **form, is_meant="on")
    assert Change.objects.count() == trail + 1


def test_the_kill_switch(operator: Client, flags: dict[str, Flag]) -> None:
    flag = flags["tts"]
    assert "kill switch" in act(operator, flag, "kill", "on fire")
    assert Flag.objects.get(pk=flag.pk).killed
    row = Change.objects.all()[0]
    assert (row.who, row.why, row.after) == ("siti", "on fire", {"killed": True})
    act(operator, flag, "revive")
    assert not Flag.objects.get(pk=flag.pk).killed


def test_the_kill_switch_for_all(operator: Client, flags: dict[str, Flag]) -> None:
    assert "Emergency: switched off" in operator.get("/admin/rollout/flag/kill-all/").content.decode()
    operator.post("/admin/rollout/flag/kill-all/", {"why": ""})
    assert not Flag.objects.filter(killed=True).exists()
    operator.post("/admin/rollout/flag/kill-all/", {"why": "on fire"})
    assert [flag.name for flag in Flag.objects.filter(killed=True)] == ["voice"]


def test_the_flags_page_checks_an_end_user(operator: Client, flags: dict[str, Flag], chat) -> None:
    flag = flags["voice"]
    pilot = Cohort.objects.create(name="pilot")
    pilot.add(["aminah", "bala"])
    flag.cohorts.add(pilot)
    ListedUser.objects.create(flag=flag, user="chong", list="deny")
    ClientShare.objects.create(flag=flag, client=chat, percent=50)
    page = operator.get(page_of(flag)).content.decode()
    for shown in ("2: aminah, bala", "1: chong", "chat 50"):
        assert shown in page
    page = operator.get(page_of(flag), {"end_user": "chong", "client": ""}).content.decode()
    assert "chong does not have it: on the deny-list" in page
    assert re.search(r"Included from \d+\.\d\d % of end users on", page)


def test_a_cohort_is_filled_with_one_user_per_line(operator: Client) -> None:
    operator.post("/admin/rollout/cohort/add/", {"name": "pilot", "add_members": "aminah\n bala \n\n"})
    cohort = Cohort.objects.get()
    assert [str(member) for member in cohort.members.all()] == ["aminah", "bala"]
    page = operator.post(page_of(cohort), {"name": "pilot", "add_members": "ok\nböse"}).content.decode()
    assert "Line 2" in page
    operator.post(page_of(cohort), {"name": "pilot", "remove_members": "aminah"})
    assert [str(member) for member in cohort.members.all()] == ["bala"]


def test_an_end_user_is_listed(operator: Client, flags: dict[str, Flag]) -> None:
    form = {"flag": flags["voice"].pk, "user": "aminah", "list": "allow", "note": "asked for it"}
    operator.post("/admin/rollout/listeduser/add/", form)
    assert Change.objects.all()[0].why == "asked for it"
    page = operator.post("/admin/rollout/listeduser/add/", {**form, "list": "deny"}).content.decode()
    assert "on a list of this flag already" in page


def test_a_ramp_from_draft_to_end(operator: Client, flags: dict[str, Flag]) -> None:
    page = operator.get("/admin/rollout/ramp/add/").content.decode()
    steps = re.findall(r'name="(steps-\d+-(?:percent|hold))"[^>]*value="([^"]*)"', page) or re.findall(
        r'value="([^"]*)"[^>]*name="(steps-\d+-(?:percent|hold))"', page
    )
    assert len(steps) == 2 * len(ramps.USUAL_STEPS)
    form = {"flag": flags["voice"].pk, "steps-TOTAL_FORMS": 3, "steps-INITIAL_FORMS": 0}
    operator.post("/admin/rollout/ramp/add/", {**form, **dict(steps)})
    ramp = Ramp.objects.get()
    assert [step.percent for step in ramp.steps.all()] == [percent for percent, _hold in ramps.USUAL_STEPS]
    for action, state, percent in [("start", "running", 1), ("pause", "paused", 1), ("resume", "running", 1)]:
        act(operator, ramp, action)
        ramp.refresh_from_db()
        assert (ramp.state, Flag.objects.get(name="voice").percent) == (state, percent)
    assert (ramp.started_by, ramp.reason) == ("siti", "because")
    page = operator.get(page_of(ramp)).content.decode()
    assert "/abort/" in page
    assert "/start/" not in page
    act(operator, ramp, "abort", "enough")
    ramp.refresh_from_db()
    assert (ramp.state, ramp.reason) == ("aborted", "enough")
    assert operator.post(page_of(ramp).replace("change", "start"), {"why": "again"}).status_code == 403


def test_a_ramp_that_cannot_start_says_why(operator: Client, flags: dict[str, Flag]) -> None:
    Flag.objects.filter(name="voice").update(percent=50)
    ramp = ramps.create(flags["voice"])
    assert "No step is above the 50 %" in act(operator, ramp, "start")


def test_viewers_see_the_steps_of_a_draft_with_their_units(product: Client, flags: dict[str, Flag]) -> None:
    ramp = Ramp.objects.create(flag=flags["voice"])
    ramp.steps.create(percent=10, hold=timedelta(days=3))
    page = product.get(page_of(ramp)).content.decode()
    assert "3 days" in page and "10 %" in page
    assert "0:00:00" not in page


def test_the_product_team_can_only_view(product: Client, flags: dict[str, Flag]) -> None:
    flag = flags["voice"]
    ramp = ramps.create(flags["voice"])
    for path in ("flag/", "ramp/", "change/", "cohort/", "listeduser/"):
        assert product.get(f"/admin/rollout/{path}").status_code == 200
    page = product.get(page_of(flag)).content.decode()
    assert 'name="_save"' not in page
    assert "/kill/" not in page
    assert set_percent(product, flag, "7").find("was changed successfully") == -1
    for url in (page_of(flag).replace("change", "kill"), page_of(ramp).replace("change", "start")):
        assert product.post(url, {"why": "x"}).status_code == 403
    assert product.post("/admin/rollout/flag/kill-all/", {"why": "x"}).status_code == 403
    assert not Change.objects.filter(who="paul").exists()


def test_the_audit_trail_is_read_only(admin_client: Client, flags: dict[str, Flag]) -> None:
    Flag.objects.update(percent=1)
    row = Change.objects.all()[0]
    assert "percent 0 → 1" in admin_client.get("/admin/rollout/change/").content.decode()
    assert admin_client.get("/admin/rollout/change/add/").status_code == 403
    assert 'name="_save"' not in admin_client.get(f"/admin/rollout/change/{row.pk}/change/").content.decode()
    assert admin_client.post(f"/admin/rollout/change/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin_client.get("/admin/rollout/flag/add/").status_code == 403


def test_rows_deleted_with_a_client_are_audited(admin_client: Client, flags: dict[str, Flag], chat) -> None:
    ClientShare.objects.create(flag=flags["voice"], client=chat, percent=50)
    admin_client.post(f"/admin/voiceproject/clientapplication/{chat.pk}/delete/", {"post": "yes"})
    client, share = Change.objects.all()[:2]
    assert client.summary() == "name chat → –, is active yes → –"
    assert share.summary() == "percent 50 → –, kept percent 0 → –"
