"""An end user's data can be exported, erased and pruned as the law requires, and all totals stay the same."""

from __future__ import annotations

import io
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.models import Sum
from django.utils import timezone

from core.models import ClientApplication
from tests.usage.ledgers import Fill
from tests.usage.test_rebuild import rollups
from tests.usage.test_statements import last_month, moment
from usage.activity import PSEUDONYM, pseudonym
from usage.counter_entry import take_back
from usage.entry import Kind
from usage.models import (
    Consumption,
    Correction,
    DailyUse,
    LedgerEntry,
    Plan,
    PlanAssignment,
    Rating,
    Statement,
)
from usage.personal_data import prune
from usage.rebuild import rebuild
from usage.statement_generation import draft_month, finalise

OLD = timedelta(days=500)


def totals() -> dict[str, Any]:
    by_kind = LedgerEntry.objects.order_by("kind").values_list("kind").annotate(Sum("audio_ms"), Sum("characters"))
    days = DailyUse.objects.order_by("day").values_list("day").annotate(Sum("characters"), Sum("requests"))
    return {
        "ledger": list(by_kind),
        "days": list(days),
        "months": list(Consumption.objects.order_by("month").values_list("month").annotate(Sum("used"))),
        "people": DailyUse.objects.values("user").distinct().count(),
    }


class TestPrune:
    def test_pruning_replaces_user_ids_and_keeps_the_numbers(self, chat: ClientApplication, fill: Fill) -> None:
        now = timezone.now()
        for user in ("aminah", "bala"):
            fill(100, at=now - OLD, user=user, request_id="chat-with-aminah")
            fill(50, Kind.TRANSCRIPTION, at=now - OLD - timedelta(days=1), user=user)
        fill(7, user="chong")
        before = totals()
        out = io.StringIO()
        call_command("prune_usage", stdout=out)
        assert "2 end users" in out.getvalue()
        assert totals() == before
        old = LedgerEntry.objects.exclude(user="chong")
        assert all(row.user.startswith(PSEUDONYM) and row.request_id == "" for row in old)
        assert LedgerEntry.objects.get(user="chong").request_id == "r"
        as_pruned = rollups()
        rebuild()
        assert rollups() == as_pruned

    def test_recent_rows_keep_their_user_ids(self, chat: ClientApplication, fill: Fill) -> None:
        fill(100, at=timezone.now() - OLD)
        fill(100)
        assert prune(timezone.now() - timedelta(days=400)) == 1
        assert set(LedgerEntry.objects.values_list("user", flat=True)) == {pseudonym(chat.pk, "aminah"), "aminah"}
        assert prune(timezone.now() - timedelta(days=400)) == 0

    def test_only_whole_months_are_pruned(self, chat: ClientApplication, fill: Fill) -> None:
        fill(100, at=moment(last_month(), 2))
        fill(100, at=moment(last_month(), 20))
        assert prune(moment(last_month(), 10)) == 0
        assert prune(timezone.now()) == 1
        as_pruned = rollups()
        rebuild()
        assert rollups() == as_pruned

    def test_a_pseudonym_belongs_to_one_user_of_one_client(self, chat: ClientApplication) -> None:
        names = {pseudonym(chat.pk, "aminah"), pseudonym(chat.pk, "bala"), pseudonym(chat.pk + 1, "aminah")}
        assert len(names) == 3
        assert pseudonym(chat.pk, "aminah") in names
        assert not any("aminah" in name for name in names)

    def test_ids_of_keys_are_not_pruned(self, chat: ClientApplication, fill: Fill) -> None:
        fill(100, at=timezone.now() - OLD, user="key:vk_x")
        assert prune(timezone.now()) == 0

    def test_final_statements_are_pruned_too(self, chat: ClientApplication, small_plan: Plan, fill: Fill) -> None:
        fill(1500, at=moment(last_month()))
        draft_month(last_month())
        finalise(Statement.objects.get(user="aminah"), by="siti")
        prune(timezone.now() + timedelta(days=40))
        statement = Statement.objects.exclude(user="").get()
        assert (statement.user, statement.total_micros) == (pseudonym(chat.pk, "aminah"), 200_000)

    def test_zero_days_disable_pruning(self, fill: Fill) -> None:
        fill(100, at=timezone.now() - 9 * OLD)
        call_command("prune_usage", days=0, stdout=io.StringIO())
        assert LedgerEntry.objects.get().user == "aminah"


@pytest.fixture
def a_life(chat: ClientApplication, small_plan: Plan, fill: Fill) -> None:
    speech = fill(1500, at=moment(last_month()))
    heard = fill(9000, Kind.TRANSCRIPTION, at=moment(last_month()))
    fill(70)
    fill(33, user="bala")
    Rating.objects.create(entry=speech, score=4)
    Correction.objects.create(entry=heard, word_error_rate=0.25, reference_words=8)
    PlanAssignment.objects.create(client=chat, user="aminah", plan=small_plan)
    draft_month(last_month())
    finalise(Statement.objects.get(user="aminah"), by="siti")


def test_export(a_life: None) -> None:
    out = io.StringIO()
    call_command("export_user", "chat", "aminah", stdout=out)
    data = json.loads(out.getvalue())
    assert (data["client"], data["user"]) == ("chat", "aminah")
    assert [row["kind"] for row in data["requests"]] == ["speech", "transcription", "speech"]
    assert [row["score"] for row in data["ratings"]] == [4]
    assert [row["word_error_rate"] for row in data["corrections"]] == [0.25]
    assert [row["plan_name"] for row in data["plans"]] == ["small"]
    assert data["statements"][0]["total_sen"] == 20
    assert "bala" not in out.getvalue()


def test_erase(a_life: None) -> None:
    before = totals()
    call_command("erase_user", "chat", "aminah", yes=True, stdout=io.StringIO())
    assert totals() == before
    for model in (LedgerEntry, DailyUse, Consumption, Statement, PlanAssignment):
        assert not model._default_manager.filter(user="aminah").exists()
    erased = set(LedgerEntry.objects.exclude(user="bala").values_list("user", flat=True))
    assert len(erased) == 1
    assert pseudonym(ClientApplication.objects.get().pk, "aminah") not in erased
    out = io.StringIO()
    call_command("export_user", "chat", "aminah", stdout=out)
    left = json.loads(out.getvalue())
    rollout = left.pop("rollout")
    assert [one["subject"] for one in rollout.pop("audit_trail")] == ["plan assignment chat: aminah: small"]
    assert not any(rollout.values())
    assert not any(value for name, value in left.items() if name not in ("client", "user"))
    as_erased = rollups()
    rebuild()
    assert rollups() == as_erased


class TestTrails:
    @pytest.fixture
    def traces(self, a_life: None, admin_user: User) -> LedgerEntry:
        """A ledger entry of the user, with notes and log entries of the staff about this user and about others."""
        entry = LedgerEntry.objects.filter(user="aminah", kind=Kind.SPEECH).latest("pk")
        take_back(entry, why="Puan Aminah rang up", by="siti")
        for row, words in [
            (entry, "Reversed 70 characters: Puan Aminah rang up"),
            (Plan.objects.get(name="small"), [{"added": {"name": "plan assignment", "object": "chat: aminah: small"}}]),
            (Plan.objects.get(name="small"), [{"added": {"name": "listed user", "object": "aminah"}}]),
            (Plan.objects.get(name="small"), [{"added": {"name": "listed user", "object": "aminah2"}}]),
        ]:
            LogEntry.objects.log_actions(admin_user.pk, [row], CHANGE, words, single_object=True)
        return entry

    def test_export(self, traces: LedgerEntry) -> None:
        out = io.StringIO()
        call_command("export_user", "chat", "aminah", stdout=out)
        trail = json.loads(out.getvalue())["admin_log"]
        assert len(trail) == 3
        assert "rang up" in trail[0]["message"]
        assert any("rang up" in row["note"] for row in json.loads(out.getvalue())["requests"])

    def test_erase(self, traces: LedgerEntry, admin_user: User) -> None:
        PlanAssignment.objects.update(note="for Aminah's mother")
        call_command("erase_user", "chat", "aminah", yes=True, stdout=io.StringIO())
        (note,) = LedgerEntry.objects.exclude(note="").values_list("note", flat=True)
        assert note == f"{timezone.localdate()} siti:"
        logged = list(LogEntry.objects.order_by("pk"))
        assert [entry.user_id for entry in logged] == [admin_user.pk] * 4
        assert "rang up" not in logged[0].change_message
        assert traces.request_id not in logged[0].object_repr.split()
        assert "aminah2" in logged[3].change_message
        words = re.findall(r"[\w.]+", " ".join(entry.change_message for entry in logged))
        assert "aminah" not in words
        assert PlanAssignment.objects.get().note == ""

    def test_entries_about_other_users_are_kept(self, traces: LedgerEntry) -> None:
        before = list(LogEntry.objects.values_list("object_repr", "change_message"))
        call_command("erase_user", "chat", "bala", yes=True, stdout=io.StringIO())
        assert list(LogEntry.objects.values_list("object_repr", "change_message")) == before
        assert LedgerEntry.objects.filter(note__contains="rang up").exists()

    @pytest.mark.parametrize("user", ["voice", "5", "small"])
    def test_a_word_in_another_field_is_not_taken_for_a_user_id(
        self, chat: ClientApplication, small_plan: Plan, admin_user: User, user: str
    ) -> None:
        """A word counts as a user's id only in fields that contain users."""
        elsewhere = [
            "Gave voice to 5 %, as for the small plan.",
            [{"changed": {"fields": ["Voice", "5", "small"]}}],
            [{"added": {"name": "plan assignment", "object": "chat: small"}}],
            [{"added": {"name": "plan assignment", "object": "chat: bala: 5"}}],
            [{"added": {"name": "group", "object": user}}],
        ]
        for words in elsewhere:
            LogEntry.objects.log_actions(admin_user.pk, [small_plan], CHANGE, words, single_object=True)
        before = list(LogEntry.objects.values_list("object_repr", "change_message"))
        theirs = [{"deleted": {"name": "cohort member", "object": user}}]
        LogEntry.objects.log_actions(admin_user.pk, [small_plan], CHANGE, theirs, single_object=True)
        out = io.StringIO()
        call_command("export_user", "chat", user, stdout=out)
        assert len(json.loads(out.getvalue())["admin_log"]) == 1
        call_command("erase_user", "chat", user, yes=True, stdout=io.StringIO())
        after = list(LogEntry.objects.order_by("pk").values_list("object_repr", "change_message"))
        assert sorted(after[:-1]) == sorted(before)
        assert json.loads(after[-1][1])[0]["deleted"]["object"].startswith(PSEUDONYM)

    def test_a_name_that_is_not_ascii(self, chat: ClientApplication, small_plan: Plan, admin_user: User) -> None:
        message = [{"deleted": {"name": "listed user", "object": "陈秀英"}}]
        LogEntry.objects.log_actions(admin_user.pk, [small_plan], CHANGE, message, single_object=True)
        call_command("erase_user", "chat", "陈秀英", yes=True, stdout=io.StringIO())
        assert "陈秀英" not in LogEntry.objects.get().get_change_message()


def test_erasing_asks_for_confirmation(a_life: None, monkeypatch) -> None:
    monkeypatch.setattr("builtins.input", lambda _question: "bala")
    with pytest.raises(CommandError, match="Nothing was erased"):
        call_command("erase_user", "chat", "aminah")
    with pytest.raises(CommandError, match="no client application"):
        call_command("export_user", "nobody", "aminah")
