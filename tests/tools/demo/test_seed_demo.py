"""``manage.py seed_demo`` writes a quarter into the database, and all its figures agree."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.models import Count, F, Max, Min, Sum
from django.test import Client, TestCase
from django.utils import timezone

from capacity import hardware, notifications, phase_outlook
from capacity.models import ActiveUsers, Alert, Delivery, HourlyPeak, ProbeDay, Sample
from capacity.phase_outlook import outlook
from core.models import ClientApplication
from core.quantities import MICROS
from rollout.models import Change, Flag, Ramp
from rollout.policy import load
from rollout.status import features
from tests.emptying import restore_migrated_rows
from tools.demo.billing import make_costs
from tools.demo.filling import Filled, NotEmpty, _machines, fill
from tools.demo.narrative import Quarter
from usage.cost import month_cost
from usage.ledger_posting import DAILY
from usage.models import (
    Consumption,
    Correction,
    CreditNote,
    InfrastructureCost,
    LedgerEntry,
    PlanAssignment,
    Rating,
    Statement,
)
from usage.period import month_of
from usage.rebuild import rebuild
from voiceproject import demo

ROWS = 4000
# A day near the end of a month: the previous month is closed, and this month has data.
NOW = datetime(2026, 11, 24, 20, 30, tzinfo=ZoneInfo("Asia/Kuala_Lumpur"))


def snapshot() -> dict[str, list[Any]]:
    tables: list[Any] = [*DAILY, Consumption]
    return {
        model.__name__: sorted(model._default_manager.order_by().values_list(*_all_but_id(model)), key=repr)
        for model in tables
    }


def _all_but_id(model: Any) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields if not field.primary_key]


class TestTheQuarter(TestCase):
    """The tests of this class share one database, which is filled only once."""

    filled: Filled

    @classmethod
    def setUpTestData(cls) -> None:
        restore_migrated_rows()
        cls.filled = fill(days=90, users=150, rows=ROWS, seed=4, now=NOW)

    def test_it_works(self) -> None:
        assert LedgerEntry.objects.filter(counters=None).count() == ROWS == self.filled.ledger.rows
        assert Correction.objects.count() == self.filled.ledger.corrections > 10
        assert Rating.objects.count() == self.filled.ledger.ratings > 10
        times = LedgerEntry.objects.aggregate(first=Min("created_at"), last=Max("created_at"))
        assert NOW - timedelta(days=90) < times["first"] < NOW - timedelta(days=60)
        assert NOW - timedelta(hours=12) < times["last"] <= NOW
        assert self.filled.changes and self.filled.costs

    def test_the_roll_ups_match_the_ledger(self) -> None:
        written = snapshot()
        assert written["DailyUse"] and written["Consumption"]
        rebuild()
        assert snapshot() == written

    def test_feedback_has_the_time_of_its_request(self) -> None:
        for model in (Correction, Rating):
            assert not model._default_manager.exclude(created_at=F("entry__created_at")).exists()

    def test_statements_of_past_months_are_final_and_the_current_one_is_a_draft(self) -> None:
        months = {
            (month, state) for month, state in Statement.objects.order_by().values_list("month", "state").distinct()
        }
        this_month = month_of(NOW)
        assert (this_month, "draft") in months
        assert all((state == "draft") == (month == this_month) for month, state in months)
        assert len(months) >= 3
        assert self.filled.statements.final == Statement.objects.filter(state="final").count()
        assert Statement.objects.filter(state="final").aggregate(sum=Sum("total_micros"))["sum"] > 0
        assert all(
            one.finalised_at and one.drafted_at <= one.finalised_at < NOW
            for one in Statement.objects.filter(state="final")
        )

    def test_the_roll_out_went_from_1_to_5_to_7(self) -> None:
        changes = Change.objects.filter(subject="voice", after__has_key="percent").order_by("id")
        percents = [change.after["percent"] for change in changes]
        assert percents[-5:] == ["1", "5", "1", "5", "7"]
        assert Flag.objects.get(name="voice").percent == 7
        assert {feature.percent for feature in features()} == {7}  # the features reach as many users as voice
        times = list(Change.objects.order_by("id").values_list("at", flat=True))
        assert times == sorted(times) and times[-1] <= NOW
        states = dict(Ramp.objects.order_by().values_list("state").annotate(Count("id")))
        assert states == {"rolled_back": 1, "finished": 2, "draft": 1}
        assert "p95 response 6.2 s > 5 s" in Ramp.objects.filter(state="rolled_back")[0].reason

    def test_the_demo_key_keeps_voice(self) -> None:
        client = ClientApplication.objects.get(name=demo.CLIENT)
        assert all(load().decide(client.pk, "key:whatever", name).allowed for name in ("asr", "tts", "realtime"))

    def test_the_capacity_has_a_history(self) -> None:
        assert Sample.objects.count() == self.filled.samples > 8 * 24 * 60 - 3
        assert HourlyPeak.objects.count() == self.filled.peaks > 89 * 24
        busiest = Sample.objects.aggregate(most=Max("users"))["most"]
        assert (
            HourlyPeak.objects.filter(hour__gte=NOW - timedelta(days=8, hours=1)).aggregate(m=Max("users"))["m"]
            >= busiest
        )
        assert ProbeDay.objects.count() == 90 and ProbeDay.objects.aggregate(n=Sum("failures"))["n"] > 100
        assert ActiveUsers.objects.count() == 13
        found = outlook(NOW)
        assert found is not None and found.use.active_users and found.use.peak_concurrent

    def test_alerts_with_histories(self) -> None:
        resolved = Alert.objects.filter(state="resolved")
        assert resolved.count() == self.filled.alerts - 1
        for alert in resolved:
            assert alert.since <= alert.fired_at < alert.resolved_at <= NOW
            assert alert.worst > alert.rule.threshold > alert.value
        assert resolved.exclude(acknowledged_by="").count() >= 3
        firing = Alert.objects.get(state="firing")
        assert firing.acknowledged_at is None and firing.rule.severity == "warning"
        assert not Delivery.objects.exclude(
            state="sent"
        ).exists()  # otherwise a watcher that starts now would send old mail

    def test_the_running_hardware_is_what_the_phase_needs(self) -> None:
        outlook = phase_outlook.outlook(NOW)
        assert outlook is not None
        gpus = InfrastructureCost.objects.filter(resource="t4").order_by("starts_at")
        assert [row.quantity for row in gpus] == [1]  # the phase for so few users has one GPU
        assert hardware.running(NOW).against(outlook.phase) == "what this phase needs"

    def test_its_pages_do_not_contradict_each_other(self) -> None:
        """The cost fits the phase that is shown. Without receivers, the firing alert has no notification."""
        outlook = phase_outlook.outlook(NOW)
        assert outlook is not None
        forecast = month_cost(NOW).forecast_micros / MICROS
        assert outlook.phase.cost_from_usd <= forecast <= outlook.phase.cost_to_usd
        assert notifications.receivers() == []
        firing = Alert.objects.get(state="firing")
        assert (firing.notified(), firing.notified_at) == ("nobody was notified", None)

    def test_plans_apply_to_all_and_to_single_users(self) -> None:
        assert PlanAssignment.objects.filter(user="").count() == 3
        assert PlanAssignment.objects.exclude(user="").exists()
        assert not PlanAssignment.objects.exclude(created_at=F("starts_at")).exists()

    def test_the_pages_open(self) -> None:
        client = Client()
        client.force_login(User.objects.create_superuser("siti"))
        for page in ("usage/ledgerentry", "usage/statement", "rollout/ramp", "rollout/change", "capacity/alert"):
            assert client.get(f"/admin/{page}/").status_code == 200


@pytest.mark.parametrize("users", [3000, 7000, 12_000])
def test_machines_and_cost_are_those_of_the_phase(db, users: int) -> None:
    machines = _machines(users)
    quarter = Quarter(90, NOW, machines)
    assert make_costs(quarter)
    phase = phase_outlook.phase_of(phase_outlook.MeasuredUse(users, None))
    assert phase is not None
    assert hardware.running(NOW).against(phase) in ("what this phase needs", "")
    assert phase.cost_from_usd <= month_cost(NOW).forecast_micros / MICROS <= phase.cost_to_usd


def test_a_credit_note_with_its_counter_entry(db) -> None:
    filled = fill(days=90, users=60, rows=ROWS, seed=4, now=NOW)
    note = CreditNote.objects.get()
    assert filled.statements.credit_note == note
    entry = LedgerEntry.objects.exclude(counters=None).get()
    assert entry.user == note.statement.user and entry.characters < 0
    assert 0 < note.amount_sen <= note.statement.total_sen


class TestNotByAccident:
    def test_a_second_quarter_is_refused(self, db) -> None:
        fill(days=14, users=20, rows=50)
        with pytest.raises(NotEmpty, match="has a demo quarter already"):
            fill(days=90, users=100, sure=True)

    def test_real_requests_are_not_mixed_with_the_demo(self, real_request: LedgerEntry) -> None:
        with pytest.raises(CommandError, match="real requests"):
            call_command("seed_demo", "--users", "20", "--rows", "50")
        assert LedgerEntry.objects.count() == 1
        assert not Ramp.objects.exists()

    def test_real_requests_are_accepted_with_yes(self, real_request: LedgerEntry) -> None:
        out = io.StringIO()
        call_command("seed_demo", "--yes", "--days", "14", "--users", "20", "--rows", "50", stdout=out)
        assert "50 requests" in out.getvalue() and "/admin/" in out.getvalue()
        assert LedgerEntry.objects.filter(counters=None).count() == 51

    def test_an_existing_roll_out_is_left_alone(self, db) -> None:
        flag = Flag.objects.get(name="voice")
        flag.percent = 3
        flag.save()
        out = io.StringIO()
        call_command("seed_demo", "--days", "14", "--users", "20", "--rows", "50", stdout=out)
        assert "roll-out was left alone" in out.getvalue()
        assert Flag.objects.get(name="voice").percent == 3

    def test_existing_costs_are_left_alone(self, db) -> None:
        InfrastructureCost.objects.create(resource="other", price_micros=1, per="month")
        assert not fill(days=14, users=20, rows=50).costs
        assert InfrastructureCost.objects.count() == 4

    @pytest.mark.parametrize("argument", ["--days=3", "--days=x", "--users=0", "--rows=-5"])
    def test_invalid_arguments_are_refused(self, db, argument: str) -> None:
        with pytest.raises((CommandError, SystemExit)):
            call_command("seed_demo", argument)


@pytest.fixture
def real_request(db) -> LedgerEntry:
    chat = ClientApplication.objects.create(name="chat")
    return LedgerEntry.objects.create(request_id="r", kind="speech", client=chat, user="aminah", status=200)


@pytest.mark.parametrize("moment", ["2026-11-01T00:20:00", "2026-12-01T00:30:00", "2027-01-02T09:00:00"])
def test_at_the_turn_of_a_month(db, moment: str) -> None:
    """The demo can be written while the last month's statements cannot be final, because requests may be unsettled."""
    now = datetime.fromisoformat(moment).replace(tzinfo=timezone.get_default_timezone())
    fill(days=40, users=40, rows=800, now=now)
    assert LedgerEntry.objects.aggregate(last=Max("created_at"))["last"] <= now
    assert Statement.objects.exists()
