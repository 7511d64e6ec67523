"""No end user gets more than the plan allows, however many requests come at once and however they end."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError
from django.db.models import Sum
from django.utils import timezone, translation

from core.context import RequestContext, current, enter
from core.db_health import database
from core.errors import as_api_error
from core.identity import Caller
from core.models import ApiKey
from tests.usage.ledgers import Fill, entry_of
from usage import quota
from usage.entry import Entry, Kind, Measure
from usage.ledger_writer import ledger
from usage.models import Consumption, DailyUse, LedgerEntry, Plan, PlanAssignment, ReservedQuota
from usage.period import end_of_month, month_after, month_of
from usage.plans import Terms
from usage.quota import QuotaStatus, Reservation
from usage.rebuild import rebuild
from usage.reservations import free_all_stale

SENTENCE = "Selamat pagi, semua."  # 20 characters

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
async def fresh() -> None:
    enter(RequestContext())
    quota.forget()


def entry(caller: Caller, units: int, held: Reservation, kind: Kind = Kind.SPEECH, **fields: object) -> Entry:
    amounts = {"audio_ms": 0, "characters": 0, "characters" if kind is Kind.SPEECH else "audio_ms": units}
    return entry_of(caller.client_id, kind=kind, user=caller.user, reservation=held.key, **amounts, **fields)


async def cover(caller: Caller, units: int, kind: Kind = Kind.SPEECH) -> Reservation:
    held = Reservation(kind)
    await held.reserve(caller, caller.user, units=units)
    return held


async def used_and_reserved(caller: Caller, kind: Kind = Kind.SPEECH) -> tuple[int, int]:
    row = await Consumption.objects.aget(client_id=caller.client_id, user=caller.user, measure=kind.measure.value)
    return row.used, row.reserved


async def test_ten_of_fifty_simultaneous_requests_fit_the_quota(api: httpx.AsyncClient, small_plan: Plan) -> None:
    await Plan.objects.aupdate(hard_characters=10 * len(SENTENCE))
    headers = {"X-Voice-User": "aminah"}
    posts = [api.post("/v1/audio/speech", json={"input": SENTENCE}, headers=headers) for _ in range(50)]
    responses = await asyncio.gather(*posts)
    refused = [response for response in responses if response.status_code != 200]
    assert len(refused) == 40
    for response in refused:
        assert (response.status_code, response.json()["error"]["code"]) == (429, "quota_exceeded")
        assert response.json()["error"]["type"] == "insufficient_quota"
        assert int(response.headers["Retry-After"]) >= 1
    used = 10 * len(SENTENCE)
    rows = LedgerEntry.objects.filter(user="aminah")
    assert await rows.acount() == 50
    assert (await rows.filter(status=200).aaggregate(sum=Sum("characters")))["sum"] == used
    for _ in ("as written", "as rebuilt"):
        day = await DailyUse.objects.aget(user="aminah")
        assert (day.requests, day.failed, day.characters) == (50, 40, used)
        row = await Consumption.objects.aget(user="aminah")
        assert (row.used, row.reserved) == (used, 0)
        await sync_to_async(rebuild)()
    assert not await ReservedQuota.objects.aexists()


async def test_reserved_units_cannot_be_reserved_twice(caller: Caller, small_plan: Plan) -> None:
    first = await cover(caller, 900)
    with pytest.raises(quota.QuotaExceeded) as refusal:
        await cover(caller, 101)
    assert as_api_error(refusal.value).retry_after == quota.RETRY_WHEN_HELD_S  # the first may use less
    await ledger().write(entry(caller, 900, first))
    await cover(caller, 100)
    assert await used_and_reserved(caller) == (900, 100)


async def test_an_exhausted_quota_refuses_until_the_next_month(caller: Caller, small_plan: Plan, fill: Fill) -> None:
    await sync_to_async(fill)(1000)
    with pytest.raises(quota.QuotaExceeded) as refusal:
        await quota.check(caller, "aminah", Kind.SPEECH)
    left = (end_of_month(month_of(timezone.now())) - timezone.now()).total_seconds()
    assert as_api_error(refusal.value).retry_after == pytest.approx(left, abs=10)
    assert (as_api_error(refusal.value).status, as_api_error(refusal.value).code) == (429, "quota_exceeded")
    await quota.check(caller, "aminah", Kind.TRANSCRIPTION)  # a quota of another kind
    await quota.check(caller, "bala", Kind.SPEECH)
    await sync_to_async(fill)(1000, at=end_of_month(month_of(timezone.now())), user="bala")
    quota.forget()
    await quota.check(caller, "bala", Kind.SPEECH)  # use in another month does not count


@pytest.mark.parametrize("status", [400, 403, 429, 500, 503])
async def test_a_failed_request_releases_its_reservation(caller: Caller, small_plan: Plan, status: int) -> None:
    held = await cover(caller, 700)
    await ledger().write(entry(caller, 700, held, status=status))
    assert await used_and_reserved(caller) == (0, 0)


async def test_settling_corrects_the_reserved_amount(caller: Caller, small_plan: Plan) -> None:
    for held_units, used_units, expected in ((100, 60, 60), (100, 130, 190)):
        held = await cover(caller, held_units)
        await ledger().write(entry(caller, used_units, held))
        assert await used_and_reserved(caller) == (expected, 0)


async def test_a_stream_reserves_more_as_it_goes(caller: Caller, small_plan: Plan) -> None:
    held = Reservation(Kind.REALTIME)
    for seconds in (10, 20, 600):
        await held.reserve(caller, "aminah", units=1000 * seconds)
        assert await used_and_reserved(caller, Kind.REALTIME) == (0, 1000 * seconds)
    with pytest.raises(quota.QuotaExceeded):
        await held.reserve(caller, "aminah", units=600_001)
    assert await used_and_reserved(caller, Kind.REALTIME) == (0, 600_000)
    await ledger().write(entry(caller, 595_000, held, Kind.REALTIME))
    assert await used_and_reserved(caller, Kind.REALTIME) == (595_000, 0)


async def test_no_query_if_the_reservation_already_covers_the_units(
    caller: Caller, small_plan: Plan, monkeypatch
) -> None:
    held = await cover(caller, 100)
    monkeypatch.setattr(ledger(), "reserve", None)
    await held.reserve(caller, "aminah", units=100)
    await held.reserve(caller, "aminah", units=7)


async def test_a_reservation_moves_to_another_end_user(caller: Caller, small_plan: Plan) -> None:
    held = await cover(caller, 100)
    await held.reserve(caller, "bala", units=100)
    assert await used_and_reserved(caller) == (0, 0)
    assert (await Consumption.objects.aget(user="bala")).reserved == 100


async def test_reservations_of_dead_processes_expire(caller: Caller, small_plan: Plan) -> None:
    dead = await cover(caller, 1000)
    with pytest.raises(quota.QuotaExceeded):
        await cover(caller, 1)
    await ReservedQuota.objects.aupdate(expires_at=timezone.now() - timedelta(seconds=1))
    await cover(caller, 1000)
    assert await used_and_reserved(caller) == (0, 1000)
    assert not await ReservedQuota.objects.filter(key=dead.key).aexists()


async def test_the_check_ignores_expired_reservations(caller: Caller, small_plan: Plan) -> None:
    await cover(caller, 1000)
    await ReservedQuota.objects.aupdate(expires_at=timezone.now() - timedelta(seconds=1))
    quota.forget()
    await quota.check(caller, "aminah", Kind.SPEECH)
    assert await used_and_reserved(caller) == (0, 0)


async def test_work_that_outlives_its_reservation_is_settled(caller: Caller, small_plan: Plan) -> None:
    held = await cover(caller, 300)
    await ReservedQuota.objects.aupdate(expires_at=timezone.now() - timedelta(seconds=1))
    assert await sync_to_async(free_all_stale)() == 1
    assert await used_and_reserved(caller) == (0, 0)
    await held.reserve(caller, "aminah", units=400)
    assert await used_and_reserved(caller) == (0, 400)
    await ledger().write(entry(caller, 400, held))
    assert await used_and_reserved(caller) == (400, 0)


async def test_work_that_ends_in_the_next_month(caller: Caller, small_plan: Plan, monkeypatch) -> None:
    held = await cover(caller, 300)
    this_month = month_of(timezone.now())
    later = end_of_month(this_month) + timedelta(seconds=5)
    monkeypatch.setattr(timezone, "now", lambda: later)
    quota.forget()
    await held.reserve(caller, "aminah", units=400)
    await ledger().write(entry(caller, 400, held))
    rows = {row.month: (row.used, row.reserved) async for row in Consumption.objects.all()}
    assert rows == {this_month: (0, 0), month_after(this_month): (400, 0)}


async def test_simultaneous_reservations_share_a_transaction(caller: Caller, small_plan: Plan, monkeypatch) -> None:
    outcomes = await asyncio.gather(*(cover(caller, 100) for _ in range(30)), return_exceptions=True)
    assert sum(isinstance(outcome, Reservation) for outcome in outcomes) == 10
    assert await used_and_reserved(caller) == (0, 1000)


async def test_without_a_plan_nothing_is_limited(caller: Caller) -> None:
    await Plan.objects.all().adelete()
    held = await cover(caller, 10**12)
    assert held.key == ""
    assert not await Consumption.objects.aexists()


async def test_a_users_own_plan_applies(caller: Caller, small_plan: Plan) -> None:
    large = await Plan.objects.acreate(name="large", hard_characters=5000)
    client = {"client_id": caller.client_id, "user": caller.user}
    now = timezone.now()
    await PlanAssignment.objects.acreate(**client, plan=large, starts_at=now - timedelta(days=1))
    await PlanAssignment.objects.acreate(**client, plan=small_plan, starts_at=now + timedelta(days=1))
    await cover(caller, 5000)
    with pytest.raises(quota.QuotaExceeded):
        await cover(Caller(caller.client_id, "chat", "bala", "vk_x", "key:vk_x"), 5000)


async def test_a_client_applications_plan_applies(caller: Caller, small_plan: Plan) -> None:
    large = await Plan.objects.acreate(name="large", hard_characters=5000)
    await PlanAssignment.objects.acreate(client_id=caller.client_id, plan=large)
    await cover(caller, 5000)
    assert (await quota.account(caller, "aminah")).plan == large


@pytest.mark.parametrize(
    ("measure", "used", "units", "held", "expected"),
    [
        (
            Measure.CHARACTERS,
            800,
            1_201,
            0,
            "This request needs 1,201 characters, but this month's text-to-speech quota has only 200 left.",
        ),
        (
            Measure.AUDIO,
            500,
            950,
            400,
            "This request needs 0.6 s of audio, but this month's speech-to-text quota has only 0.1 s left.",
        ),
        (
            Measure.CHARACTERS,
            999,
            2,
            0,
            "This request needs 2 characters, but this month's text-to-speech quota has only 1 left.",
        ),
        (Measure.CHARACTERS, 1_000, 1, 0, "This month's text-to-speech quota is used up."),
        (Measure.AUDIO, 950, 400, 0, "This month's speech-to-text quota is used up."),
    ],
)
def test_a_refusal_says_what_is_left(measure: Measure, used: int, units: int, held: int, expected: str) -> None:
    status = QuotaStatus(Terms(0, None, 1_000, 0, 1), measure, used, held)
    assert str(status.refusal(units, held=held)) == expected


def test_a_refusal_says_what_is_left_in_malay() -> None:
    status = QuotaStatus(Terms(0, None, 1_000, 0, 1), Measure.CHARACTERS, 800, 0)
    expected = "Permintaan ini memerlukan 201 aksara, tetapi baki kuota teks ke pertuturan bulan ini hanya 200."
    with translation.override("ms"):
        assert str(status.refusal(201)) == expected


class TestHeaders:
    async def test_headers_show_limit_and_remaining_quota(self, caller: Caller, small_plan: Plan) -> None:
        await quota.check(caller, "aminah", Kind.SPEECH)
        await cover(caller, 100)
        assert current().headers == {
            "X-Voice-Quota-Limit-Characters": "1000",
            "X-Voice-Quota-Remaining-Characters": "900",
        }

    async def test_headers_warn_near_the_limit(self, caller: Caller, small_plan: Plan) -> None:
        await cover(caller, 510_000, Kind.TRANSCRIPTION)
        assert current().headers == {
            "X-Voice-Quota-Limit-Audio-Seconds": "600",
            "X-Voice-Quota-Remaining-Audio-Seconds": "90",
            "X-Voice-Quota-Warning": "85 % of this month's speech-to-text quota is used",
        }

    async def test_responses_have_the_headers(self, api: httpx.AsyncClient, small_plan: Plan) -> None:
        response = await api.post("/v1/audio/speech", json={"input": SENTENCE * 41}, headers={"X-Voice-User": "aminah"})
        assert response.headers["X-Voice-Quota-Remaining-Characters"] == "180"
        assert response.headers["X-Voice-Quota-Warning"].startswith("82 %")
        response = await api.post("/v1/audio/speech", json={"input": SENTENCE * 10}, headers={"X-Voice-User": "aminah"})
        assert response.status_code == 429
        needed = len(SENTENCE) * 10
        expected = f"This request needs {needed} characters, but this month's text-to-speech quota has only 180 left."
        assert response.json()["error"]["message"] == expected


async def test_a_transcription_over_quota_is_refused_before_the_work(api: httpx.AsyncClient, small_plan: Plan) -> None:
    speech = await api.post("/v1/audio/speech", json={"input": SENTENCE, "response_format": "wav"})
    await Plan.objects.aupdate(hard_audio_minutes=1, soft_audio_minutes=None)
    client_id = (await ApiKey.objects.aget()).client_id
    month = month_of(timezone.now())
    await Consumption.objects.acreate(client_id=client_id, user="bala", month=month, measure="audio", used=59_500)
    files = {"file": ("pagi.wav", speech.content)}
    response = await api.post("/v1/audio/transcriptions", files=files, headers={"X-Voice-User": "bala"})
    assert (response.status_code, response.json()["error"]["code"]) == (429, "quota_exceeded")
    row = await LedgerEntry.objects.aget(user="bala")
    assert (row.status, row.units) == (429, 0)


async def test_a_caller_who_leaves_during_the_reservation(caller: Caller, small_plan: Plan) -> None:
    held = Reservation(Kind.SPEECH)
    covering = asyncio.ensure_future(held.reserve(caller, "aminah", units=500))
    while not held.key:
        await asyncio.sleep(0)
    covering.cancel()
    await asyncio.gather(covering, return_exceptions=True)
    await ledger().write(entry(caller, 0, held, status=499))
    assert await used_and_reserved(caller) == (0, 0)


async def test_each_reservation_has_its_own_key(caller: Caller, small_plan: Plan) -> None:
    keys = {(await cover(caller, 1)).key for _ in range(3)}
    assert len(keys) == 3
    assert all(uuid.UUID(key) for key in keys)


@pytest.mark.usefixtures("undrained")
async def test_in_a_database_outage_the_last_known_quota_applies(caller: Caller, small_plan: Plan, fill: Fill) -> None:
    await sync_to_async(fill)(300)
    await quota.check(caller, caller.user, Kind.SPEECH)
    stranger = replace(caller, user="bala")
    database.note_unavailable(OperationalError("gone"))
    try:
        quota._accounts()._tasks.clear()  # as if two seconds had passed
        await cover(caller, 400)
        await cover(caller, 300)
        with pytest.raises(quota.QuotaExceeded) as refusal:
            await cover(caller, 1)
        assert as_api_error(refusal.value).code == "quota_exceeded"
        assert str(refusal.value) == "This month's text-to-speech quota is used up."
        with pytest.raises(OperationalError):  # without the database the quota is unknown
            await cover(stranger, 1)
    finally:
        database.note_available()
    quota._accounts()._tasks.clear()
    assert await used_and_reserved(caller) == (300, 0)
    await cover(caller, 700)


@pytest.mark.usefixtures("undrained")
async def test_a_refusal_in_a_database_outage_counts_what_was_granted(caller: Caller, small_plan: Plan) -> None:
    await quota.check(caller, caller.user, Kind.SPEECH)
    database.note_unavailable(OperationalError("gone"))
    try:
        held = await cover(caller, 600)
        await cover(caller, 300)
        with pytest.raises(quota.QuotaExceeded) as refusal:
            await held.reserve(caller, caller.user, units=900)
    finally:
        database.note_available()
    expected = "This request needs 300 characters, but this month's text-to-speech quota has only 100 left."
    assert str(refusal.value) == expected


@pytest.mark.usefixtures("undrained")
async def test_a_refusal_in_a_database_outage_counts_its_own_grants_once(caller: Caller, small_plan: Plan) -> None:
    await cover(caller, 500)
    quota.forget()
    await quota.check(caller, caller.user, Kind.SPEECH)
    database.note_unavailable(OperationalError("gone"))
    try:
        held = await cover(caller, 300)
        with pytest.raises(quota.QuotaExceeded) as refusal:
            await held.reserve(caller, caller.user, units=800)
    finally:
        database.note_available()
    assert str(refusal.value) == "Your other requests hold the rest of this month's text-to-speech quota. Try again."


class TestTheLookUp:
    """The database look-up of a user's quota.

    Each request makes it, unless the user's last request was only a moment ago.
    """

    def test_it_costs_one_query(self, caller: Caller, django_assert_num_queries) -> None:
        plan = Plan.objects.create(name="small", hard_characters=100, is_default=True)
        Consumption.objects.create(
            client_id=caller.client_id, user="aminah", month=month_of(timezone.now()), measure="characters", used=7
        )
        with django_assert_num_queries(1):
            found = quota.load(caller.client_id, "aminah")
        assert found.plan == plan
        assert {measure.value: one.used for measure, one in found.quotas.items()} == {"audio": 0, "characters": 7}

    def test_a_users_newest_plan_precedes_the_clients_and_the_default(self, caller: Caller) -> None:
        client = caller.client_id
        now = timezone.now()
        plans = {name: Plan.objects.create(name=name) for name in ("default", "client", "old", "new", "later")}
        Plan.objects.filter(name="default").update(is_default=True)
        assert quota.load(client, "aminah").plan == plans["default"]
        PlanAssignment.objects.create(client_id=client, plan=plans["client"], starts_at=now - timedelta(days=9))
        assert quota.load(client, "aminah").plan == plans["client"]
        for name, days in (("new", -1), ("old", -3), ("later", 1)):
            starts_at = now + timedelta(days=days)
            PlanAssignment.objects.create(client_id=client, user="aminah", plan=plans[name], starts_at=starts_at)
        assert quota.load(client, "aminah").plan == plans["new"]
        assert quota.load(client, "badrul").plan == plans["client"]

    def test_users_without_a_plan_are_counted_but_not_limited(self, caller: Caller) -> None:
        Plan.objects.all().delete()
        month = month_of(timezone.now())
        Consumption.objects.create(
            client_id=caller.client_id, user="aminah", month=month, measure="audio", used=5, reserved=2
        )
        found = quota.load(caller.client_id, "aminah")
        assert found.plan is None
        assert [(one.used, one.reserved, one.remaining) for one in found.quotas.values()] == [
            (5, 2, None),
            (0, 0, None),
        ]
