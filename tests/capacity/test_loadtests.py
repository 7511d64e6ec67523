"""Stored load tests are shown in the admin and next to the phases."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from capacity import loadtests
from capacity.models import LoadTestRun, Phase
from tests.tools.loadtests.made import facts


@pytest.fixture
def admin(seeded) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("pengarah"))
    return client


def keep(scenario: str = "peak_load", users: int = 100, **more) -> LoadTestRun:
    return loadtests.keep(facts(scenario, users, **more))


def text(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def test_an_empty_list_says_where_runs_come_from(admin: Client) -> None:
    assert "manage.py loadtest stores its results here" in text(admin, "/admin/capacity/loadtestrun/")


def test_it_works(seeded) -> None:
    run = keep()
    assert (run.scenario, run.concurrent_users, run.passed, run.is_complete) == ("peak_load", 100, True, True)
    proven = {phase.number: loadtests.latest_for(phase) for phase in Phase.objects.all()}
    assert proven == {1: run, 2: run, 3: None, 4: None}


def test_only_complete_passed_runs_prove_a_phase(seeded) -> None:
    keep(refused_each=2)
    keep(incomplete_because="the load generator broke off")
    assert LoadTestRun.objects.filter(passed=False).count() == 2
    assert loadtests.latest_for(Phase.objects.get(number=1)) is None
    assert loadtests.proven() is None


def test_the_latest_run_counts(seeded) -> None:
    keep()
    later = facts()
    later["started_at"] = "2026-12-24T10:00:00+00:00"
    last = loadtests.keep(later)
    keep("stress_test", 99)
    assert loadtests.latest_for(Phase.objects.get(number=2)) == last


def test_the_admin_shows_them(admin: Client) -> None:
    run = keep()
    page = text(admin, "/admin/capacity/loadtestrun/")
    assert "98.02 %" in page
    assert "Passed" in page
    page = text(admin, f"/admin/capacity/loadtestrun/{run.pk}/change/")
    assert "19 refused" in page
    assert page.count("<svg viewBox=") == 7


def test_phases_link_to_the_run_that_proves_them(admin: Client) -> None:
    run = keep()
    page = text(admin, "/admin/capacity/phase/")
    assert page.count(f"/admin/capacity/loadtestrun/{run.pk}/change/") == 2


def test_stored_runs_cannot_be_changed(admin: Client) -> None:
    run = keep()
    for url in ("add/", f"{run.pk}/delete/"):
        assert admin.get(f"/admin/capacity/loadtestrun/{url}").status_code == 403
    admin.post(f"/admin/capacity/loadtestrun/{run.pk}/change/", {"passed": ""})
    run.refresh_from_db()
    assert run.passed


def test_a_report_runs_no_scripts(admin: Client) -> None:
    run = keep(why="<script>alert(1)</script>", host="http://x/<img src=x>")
    for url in (f"{run.pk}/change/", f"{run.pk}/report/"):
        page = text(admin, f"/admin/capacity/loadtestrun/{url}")
        assert "<script>alert" not in page
        assert "<img src=x" not in page
    policy = admin.get(f"/admin/capacity/loadtestrun/{run.pk}/report/")["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")


def test_anonymous_visitors_see_no_report(seeded) -> None:
    run = keep()
    for url in ("", f"{run.pk}/change/", f"{run.pk}/report/"):
        assert Client().get(f"/admin/capacity/loadtestrun/{url}").status_code == 302


def test_a_report_needs_the_permission_for_its_run(seeded) -> None:
    run = keep()
    client = Client()
    client.force_login(User.objects.create_user("tamu", is_staff=True))
    for url in ("", f"{run.pk}/change/", f"{run.pk}/report/"):
        assert client.get(f"/admin/capacity/loadtestrun/{url}").status_code == 403


def test_a_run_that_does_not_exist(admin: Client) -> None:
    assert admin.get("/admin/capacity/loadtestrun/999/report/").status_code == 404
