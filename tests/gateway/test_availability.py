"""The availability endpoint, by which front ends decide whether to show the microphone."""

from __future__ import annotations

import httpx
from asgiref.sync import sync_to_async
from pytest_django import Settings

from capacity.concurrent_users import leases
from capacity.presence import person
from core.models import ClientApplication
from rollout.feature import Feature
from rollout.models import Flag
from usage.plans import Plan


async def asked(api: httpx.AsyncClient, user: str = "aminah") -> dict[str, dict[str, object]]:
    response = await api.get("/v1/voice/availability", headers={"X-Voice-User": user})
    answer = response.json()
    assert (response.status_code, answer["user"], set(answer["features"])) == (200, user, set(Feature))
    assert answer["available"] == any(feature["available"] for feature in answer["features"].values())
    return answer["features"]


async def test_it_works(api: httpx.AsyncClient) -> None:
    for feature in (await asked(api)).values():
        assert feature == {
            "available": True,
            "reason": "everyone",
            "blocked_by": None,
            "code": None,
            "message": None,
            "retry_after_s": None,
        }


async def test_outside_the_roll_out(api: httpx.AsyncClient) -> None:
    await sync_to_async(Flag.objects.filter(name="asr").update)(killed=True)
    features = await asked(api)
    asr = features["asr"]
    assert (asr["available"], asr["reason"], asr["blocked_by"]) == (False, "kill_switch", "rollout")
    assert asr["code"] == "voice_not_enabled"
    assert features["tts"]["available"]


async def test_over_the_quota(api: httpx.AsyncClient) -> None:
    await Plan.objects.all().aupdate(is_default=False)
    await Plan.objects.acreate(name="listen", is_default=True, hard_audio_minutes=0)
    features = await asked(api)
    for name in ("asr", "realtime"):
        assert (features[name]["blocked_by"], features[name]["code"]) == ("quota", "quota_exceeded")
        assert features[name]["retry_after_s"] > 0
    assert features["tts"]["available"]


async def test_over_capacity(api: httpx.AsyncClient, settings: Settings) -> None:
    settings.VOICE_MAX_CONCURRENT_USERS = 1
    client = await ClientApplication.objects.aget()
    someone = person(client.pk, "bala")
    leases().enter(someone, Feature.TTS)
    try:
        features = await asked(api)
        assert (features["asr"]["blocked_by"], features["asr"]["code"]) == ("capacity", "over_capacity")
        assert all(feature["available"] for feature in (await asked(api, "bala")).values())
    finally:
        leases().leave(someone, Feature.TTS)


async def test_the_gate_gives_the_same_reason(api: httpx.AsyncClient) -> None:
    await sync_to_async(Flag.objects.filter(name="tts").update)(everyone=None, percent=0)
    tts = (await asked(api))["tts"]
    headers = {"X-Voice-User": "aminah"}
    error = (await api.post("/v1/audio/speech", json={"input": "Hai"}, headers=headers)).json()["error"]
    assert (error["code"], error["message"]) == (tts["code"], tts["message"])
