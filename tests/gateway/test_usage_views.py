from __future__ import annotations

import httpx
import pytest

from core.context import RequestContext, enter
from core.identity import Caller
from core.models import ApiKey
from gateway.gate import Kind, Work
from usage import quota
from usage.models import Correction, LedgerEntry, Plan, Rating
from usage.recent_transcripts import remember

ALI = {"X-Voice-User": "ali"}
BABA = {"X-Voice-User": "baba"}


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def add(request_id: str, user: str = "ali", transcript: str | None = None, **fields: object) -> LedgerEntry:
    """Write the ledger row of a finished request; return the row.

    ``transcript``: the transcript to store in the cache, so that feedback can use it; None for none.
    """
    key = await ApiKey.objects.aget()
    values = {"kind": "transcription", "status": 200, **fields}
    row = await LedgerEntry.objects.acreate(request_id=request_id, client_id=key.client_id, user=user, **values)
    if transcript is not None:
        enter(RequestContext(id=request_id))
        caller = Caller(key.client_id, "chat-ujian", user, key.prefix, "")
        await remember(Work(Kind.TRANSCRIPTION, caller), transcript)
    return row


class TestUsage:
    async def test_nothing_yet(self, api: httpx.AsyncClient) -> None:
        body = (await api.get("/v1/usage", headers=ALI)).json()
        assert (body["object"], body["user"], body["data"]) == ("usage", "ali", [])

    async def test_this_months_requests_by_kind(self, api: httpx.AsyncClient) -> None:
        await add("r1", audio_ms=1500)
        await add("r2", audio_ms=2500)
        await add("r3", audio_ms=9000, status=503)
        await add("r4", kind="speech", characters=120, audio_ms=4000)
        await add("r5", user="baba", audio_ms=7000)
        body = (await api.get("/v1/usage", headers=ALI)).json()
        assert body["data"] == [
            {"kind": "speech", "requests": 1, "failed": 0, "audio_seconds": 4.0, "characters": 120},
            {"kind": "transcription", "requests": 3, "failed": 1, "audio_seconds": 4.0, "characters": 0},
        ]
        assert body["period_start"].endswith("-01T00:00:00+08:00")

    async def test_the_plan_and_what_is_left_of_it(self, api: httpx.AsyncClient, small_plan: Plan) -> None:
        quota.forget()
        await api.post("/v1/audio/speech", json={"input": "x" * 850}, headers=ALI)
        body = (await api.get("/v1/usage", headers=ALI)).json()
        assert body["plan"] == {"id": "small", "description": ""}
        assert body["quotas"] == [
            {
                "measure": "audio",
                "unit": "seconds",
                "included": 300.0,
                "soft_limit": 480.0,
                "hard_limit": 600.0,
                "used": 0.0,
                "reserved": 0.0,
                "remaining": 600.0,
                "warning": False,
            },
            {
                "measure": "characters",
                "unit": "characters",
                "included": 500.0,
                "soft_limit": 800.0,
                "hard_limit": 1000.0,
                "used": 850.0,
                "reserved": 0.0,
                "remaining": 150.0,
                "warning": True,
            },
        ]
        assert body["period_end"].endswith("-01T00:00:00+08:00")
        assert body["period_end"] > body["period_start"]

    async def test_no_plan(self, api: httpx.AsyncClient) -> None:
        await Plan.objects.all().adelete()
        body = (await api.get("/v1/usage", headers=ALI)).json()
        assert body["plan"] is None
        assert [row["hard_limit"] for row in body["quotas"]] == [None, None]

    async def test_requests_appear_in_the_usage(self, api: httpx.AsyncClient) -> None:
        await api.post("/v1/audio/speech", json={"input": "Apa khabar?", "user": "ali"})
        (row,) = (await api.get("/v1/usage", headers=ALI)).json()["data"]
        assert (row["requests"], row["characters"]) == (1, 11)
        assert row["audio_seconds"] > 0.3


class TestCorrection:
    url = "/v1/audio/transcriptions/{}/correction"

    async def test_it_works(self, api: httpx.AsyncClient) -> None:
        await add("r1", transcript="saya suka makan nasi lemah")
        response = await api.post(self.url.format("r1"), json={"text": "Saya suka makan nasi lemak."}, headers=ALI)
        assert response.status_code == 200
        assert response.json() == {
            "object": "transcription.correction",
            "request_id": "r1",
            "word_error_rate": 0.2,
            "reference_words": 5,
        }
        correction = await Correction.objects.select_related("entry").aget()
        assert (correction.entry.request_id, correction.word_error_rate) == ("r1", 0.2)

    async def test_spelling_differences_are_no_errors(self, api: httpx.AsyncClient) -> None:
        await add("r1", transcript="dividen enam peratus dari pada k w s p")
        response = await api.post(self.url.format("r1"), json={"text": "Dividen 6% daripada KWSP"}, headers=ALI)
        assert response.json()["word_error_rate"] == 0.0

    async def test_an_implausible_correction_is_not_compared(self, api: httpx.AsyncClient) -> None:
        await add("r1", transcript="satu dua")
        response = await api.post(self.url.format("r1"), json={"text": "satu dua " * 1000}, headers=ALI)
        assert code(response) == (413, "input_too_long")

    async def test_a_number_is_refused_as_text(self, api: httpx.AsyncClient) -> None:
        response = await api.post(self.url.format("r1"), json={"text": -2.8})
        assert (response.status_code, response.json()["error"]["param"]) == (400, "text")

    async def test_a_second_correction_replaces_the_first(self, api: httpx.AsyncClient) -> None:
        await add("r1", transcript="satu dua")
        for text, rate in (("satu tiga", 0.5), ("satu dua", 0.0)):
            response = await api.post(self.url.format("r1"), json={"text": text}, headers=ALI)
            assert response.json()["word_error_rate"] == rate
        assert (await Correction.objects.aget()).word_error_rate == 0.0

    async def test_somebody_elses(self, api: httpx.AsyncClient) -> None:
        await add("r1", transcript="satu")
        response = await api.post(self.url.format("r1"), json={"text": "satu"}, headers=BABA)
        assert code(response) == (403, "forbidden")

    async def test_no_such_request(self, api: httpx.AsyncClient) -> None:
        await add("r1", kind="speech")
        for request_id in ("r1", "r2"):
            response = await api.post(self.url.format(request_id), json={"text": "satu"}, headers=ALI)
            assert code(response) == (404, "not_found")

    async def test_a_transcript_that_is_no_longer_stored(self, api: httpx.AsyncClient) -> None:
        await add("r9")
        response = await api.post(self.url.format("r9"), json={"text": "satu"}, headers=ALI)
        assert code(response) == (404, "not_found")

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({}, (400, "missing_field")),
            ({"text": ""}, (400, "invalid_value")),
            ({"text": "?!"}, (400, "empty_input")),
            ({"text": ["satu"]}, (400, "invalid_value")),
            ({"text": "x" * 100_001}, (400, "invalid_value")),
        ],
    )
    async def test_bad_bodies(self, api: httpx.AsyncClient, body: dict, expected: tuple[int, str]) -> None:
        await add("r1", transcript="satu")
        response = await api.post(self.url.format("r1"), json=body, headers=ALI)
        assert code(response) == expected
        assert response.json()["error"]["param"] == "text"


class TestRating:
    url = "/v1/audio/speech/{}/rating"

    async def test_a_rating_replaces_an_earlier_one(self, api: httpx.AsyncClient) -> None:
        spoken = await api.post("/v1/audio/speech", json={"input": "Apa khabar?"}, headers=ALI)
        request_id = spoken.headers["X-Request-Id"]
        for score in (2, 5):
            response = await api.post(self.url.format(request_id), json={"score": score}, headers=ALI)
            assert response.json() == {"object": "speech.rating", "request_id": request_id, "score": score}
        assert (await Rating.objects.aget()).score == 5

    @pytest.mark.parametrize("score", [0, 6, "baik", None, 3.5])
    async def test_a_score_is_from_one_to_five(self, api: httpx.AsyncClient, score: object) -> None:
        await add("r1", kind="speech")
        response = await api.post(self.url.format("r1"), json={"score": score}, headers=ALI)
        assert code(response) == (400, "invalid_value")

    async def test_somebody_elses(self, api: httpx.AsyncClient) -> None:
        await add("r1", kind="speech")
        assert code(await api.post(self.url.format("r1"), json={"score": 5}, headers=BABA)) == (403, "forbidden")
