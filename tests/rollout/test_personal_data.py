"""Export and erasure of an end user's data in the roll-out app."""

from __future__ import annotations

import pytest

from core.models import ClientApplication
from rollout import personal_data
from rollout.models import Change, Cohort, CohortMember, Flag, ListedUser

pytestmark = pytest.mark.django_db


@pytest.fixture
def chat() -> ClientApplication:
    asr, tts = (Flag.objects.get_or_create(name=name, defaults={"percent": 0})[0] for name in ("asr", "tts"))
    client = ClientApplication.objects.create(name="chat")
    other = ClientApplication.objects.create(name="other")
    ListedUser.objects.create(flag=asr, client=client, user="aminah", list=ListedUser.List.ALLOW, note="asked for it")
    ListedUser.objects.create(flag=tts, user="aminah", list=ListedUser.List.DENY)
    ListedUser.objects.create(flag=asr, client=other, user="aminah", list=ListedUser.List.DENY)
    ListedUser.objects.create(flag=asr, client=client, user="aminah2", list=ListedUser.List.ALLOW)
    Cohort.objects.create(name="testers").add(["bala", "aminah", "aminah2"])
    return client


def test_export(chat: ClientApplication) -> None:
    held = personal_data.export(chat, "aminah")
    assert [(one["flag_name"], one["list"]) for one in held["lists"]] == [("asr", "allow"), ("tts", "deny")]
    assert held["cohorts"] == ["testers"]
    subjects = [(change["subject"], change.get("named_in")) for change in held["audit_trail"]]
    assert ("asr: end user aminah of chat", None) in subjects
    assert ("cohort testers", ["added"]) in subjects
    assert not any("bala" in str(change) or "aminah2" in str(change) for change in held["audit_trail"])


@pytest.mark.parametrize("user", ["voice", "5", "asr", "testers", "allow"])
def test_a_word_in_another_field_is_not_taken_for_a_user_id(chat: ClientApplication, user: str) -> None:
    """A word counts as a user's id only in fields that contain users. The history of a flag belongs to no user."""
    for flag in Flag.objects.all():
        flag.percent = 5
        flag.save()
    Flag.objects.get_or_create(name="voice", defaults={"percent": 5})
    assert personal_data.export(chat, user)["audit_trail"] == []
    Cohort.objects.get().add([user, "chong"])
    ListedUser.objects.create(flag=Flag.objects.get(name="asr"), user=user, list=ListedUser.List.DENY)
    trail = personal_data.export(chat, user)["audit_trail"]
    assert [(one["subject"], one.get("named_in")) for one in trail] == [
        ("cohort testers", ["added"]),
        (f"asr: end user {user}", None),
    ]


def test_erase(chat: ClientApplication) -> None:
    assert personal_data.erase(chat, "aminah") == {"lists": 2, "cohorts": 1}
    held = personal_data.export(chat, "aminah")
    assert len(held.pop("audit_trail")) > 0
    assert not any(held.values())
    left = {(one.client and one.client.name, one.user) for one in ListedUser.objects.all()}
    assert left == {("other", "aminah"), ("chat", "aminah2")}
    assert [one.user for one in CohortMember.objects.all()] == ["bala", "aminah2"]
    assert {change.who for change in Change.objects.all()[:3]} == {"erase_user"}


def test_an_unknown_user(chat: ClientApplication) -> None:
    assert personal_data.erase(chat, "nobody") == {"lists": 0, "cohorts": 0}
