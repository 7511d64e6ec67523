"""Every change to the roll-out has a row in the audit trail: who, what, before, after, and why."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.migrations.exceptions import IrreversibleError

from core.append_only import AppendOnly
from core.audit import acting
from rollout import personal_data
from rollout.models import Change, ClientShare, Cohort, Flag, ListedUser


def newest() -> Change:
    return Change.objects.all()[0]


def test_it_works(flags: dict[str, Flag]) -> None:
    with acting("siti", "pilot went well"):
        flags["voice"].percent = 7
        flags["voice"].save()
    row = newest()
    assert (row.who, row.why, row.subject) == ("siti", "pilot went well", "voice")
    assert (row.before, row.after) == ({"percent": "0"}, {"percent": "7"})
    assert str(row) == "voice: percent 0 → 7"


def test_saving_without_a_change_leaves_no_row(flags: dict[str, Flag]) -> None:
    before = Change.objects.count()
    flags["asr"].save()
    assert Change.objects.count() == before


def test_a_change_that_fails_leaves_no_row(flags: dict[str, Flag]) -> None:
    before = Change.objects.count()
    flags["asr"].percent = 7
    with pytest.raises(RuntimeError), transaction.atomic():
        flags["asr"].save()
        raise RuntimeError
    assert Change.objects.count() == before


def test_a_change_by_a_command_has_the_commands_name(flags: dict[str, Flag], monkeypatch) -> None:
    monkeypatch.setattr("sys.argv", ["manage.py", "shell"])
    group = Group.objects.create(name="testers")
    flags["asr"].groups.add(group)
    assert (newest().who, newest().before, newest().after) == ("manage.py shell", {}, {"groups": "testers"})
    flags["asr"].delete()
    assert (newest().subject, newest().after) == ("asr", {})


def test_lists_percentages_and_cohorts_are_audited(flags: dict[str, Flag], chat) -> None:
    listed = ListedUser.objects.create(flag=flags["asr"], user="aminah", list="allow")
    assert newest().summary() == "list – → allow"
    listed.delete()
    assert (newest().subject, newest().before["list"]) == ("asr: end user aminah", "allow")
    ClientShare.objects.create(flag=flags["asr"], client=chat, percent=50)
    assert (newest().subject, newest().after) == ("asr: client chat", {"percent": "50", "kept_percent": "0"})
    pilot = Cohort.objects.create(name="pilot")
    pilot.add([f"user-{number}" for number in range(100)])
    assert newest().after["members"] == 100
    assert newest().after["added"].endswith("and 80 more")
    flags["asr"].cohorts.set([pilot])
    assert newest().after == {"cohorts": "pilot"}
    flags["asr"].cohorts.clear()
    assert newest().before == {"cohorts": "pilot"}


def test_long_names_are_not_truncated(flags: dict[str, Flag], chat) -> None:
    user = "u" * 200
    ListedUser.objects.create(flag=flags["voice"], client=chat, user=user, list="allow")
    assert newest().subject == f"voice: end user {user} of chat"
    assert newest().subject in [change["subject"] for change in personal_data.export(chat, user)["audit_trail"]]


def test_a_bulk_update_writes_one_row_per_flag(flags: dict[str, Flag]) -> None:
    before = Change.objects.count()
    Flag.objects.update(percent=3)
    assert Change.objects.count() == before + 4


def test_it_is_append_only(flags: dict[str, Flag]) -> None:
    flags["asr"].percent = 7
    flags["asr"].save()
    row = newest()
    row.why = "other"
    for rewrite in (row.save, row.delete, Change.objects.all().delete, lambda: Change.objects.update(why="other")):
        with pytest.raises(AppendOnly):
            rewrite()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE rollout_change SET why = 'other'")


@pytest.mark.django_db(transaction=True)
def test_migrating_backwards_keeps_the_trail_append_only_and_complete() -> None:
    Change.objects.create(who="siti", subject="s" * 200, before={}, after={}, why="")
    call_command("migrate", "rollout", "0005", verbosity=0)
    try:
        with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
            cursor.execute("UPDATE rollout_change SET why = 'other'")
    finally:
        call_command("migrate", "rollout", verbosity=0)
    Change.objects.create(who="siti", subject="s" * 201, before={}, after={}, why="")
    with pytest.raises(IrreversibleError, match="1 rows"):
        call_command("migrate", "rollout", "0005", verbosity=0)
    call_command("migrate", "rollout", verbosity=0)
