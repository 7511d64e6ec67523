"""Every message has a Malay translation, and the API responds in the requested language."""

from __future__ import annotations

import httpx
import pytest

from rollout import policy
from rollout.feature import Feature
from rollout.models import Flag
from tests import sound
from tools import messages

MALAY = {"Accept-Language": "ms-MY,ms;q=0.9,en;q=0.5"}


def test_every_message_is_translated() -> None:
    assert messages.problems() == []


def test_an_untranslated_message_is_noticed(monkeypatch) -> None:
    monkeypatch.setattr(messages, "BORROWED", (*messages.BORROWED, "A new {thing}."))
    [problem] = messages.problems()
    assert "missing: 'A new {thing}.'" in problem


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("ms-MY,ms;q=0.9,en;q=0.5", "Tiada teks untuk dituturkan."),
        ("en-GB, ms;q=0.5", "There is no text to speak."),
        ("fr, ta", "There is no text to speak."),
        ("fr, ms;q=0.2", "Tiada teks untuk dituturkan."),
        ("x" * 5000, "There is no text to speak."),
    ],
    ids=["malay", "english first", "neither", "malay after what is not here", "no browser's"],
)
async def test_an_error_is_in_the_callers_language(api: httpx.AsyncClient, language: str, words: str) -> None:
    answer = await api.post("/v1/audio/speech", json={"input": ""}, headers={"Accept-Language": language})
    error = answer.json()["error"]
    assert (error["message"], error["code"], error["param"]) == (words, "empty_input", "input")


async def test_errors_from_serializers_threads_and_other_processes_are_translated(api: httpx.AsyncClient) -> None:
    speech = await api.post("/v1/audio/speech", json={"speed": 9}, headers=MALAY)
    assert speech.json()["error"]["message"] == "input: Medan ini wajib diisi."
    files = {"file": ("clip.wav", b"no audio at all, only words" * 99)}
    damaged = await api.post("/v1/audio/transcriptions", files=files, headers=MALAY)
    assert damaged.json()["error"]["message"].startswith("Fail audio tidak dapat dinyahkod.")
    files = {"file": ("clip.wav", sound.wav(sound.silence(0.01)))}
    short = await api.post("/v1/audio/transcriptions", files=files, headers=MALAY)
    assert "terlalu pendek" in short.json()["error"]["message"]
    nowhere = await api.get("/v1/nowhere", headers=MALAY)
    assert nowhere.json()["error"]["message"] == "Tiada apa-apa di alamat ini."


async def test_voices_have_malay_names(api: httpx.AsyncClient) -> None:
    voices = (await api.get("/v1/audio/voices", headers=MALAY)).json()["data"]
    [default] = [voice["name"] for voice in voices if voice["default"]]
    assert default.endswith("(lalai)") and "Melayu" in default


async def test_availability_says_why_in_malay(api: httpx.AsyncClient) -> None:
    await Flag.objects.filter(name=Feature.ASR).aupdate(everyone=False)
    policy.forget()
    features = (await api.get("/v1/voice/availability", headers=MALAY)).json()["features"]
    assert features["asr"]["message"] == "Ciri suara dimatikan."


async def test_a_page_is_in_the_chosen_language(stranger: httpx.AsyncClient) -> None:
    by_header = await stranger.get("/", headers=MALAY)
    assert '<html lang="ms">' in by_header.text
    assert "Mod perbualan" in by_header.text
    assert by_header.headers["Content-Language"] == "ms"
    assert {"Accept-Language", "Cookie"} <= set(by_header.headers["Vary"].replace(" ", "").split(","))
    chosen = await stranger.get("/?lang=en", headers=MALAY)
    assert '<html lang="en">' in chosen.text
    assert '<html lang="en">' in (await stranger.get("/", headers=MALAY)).text  # the language of the cookie


async def test_the_admin_stays_english(stranger: httpx.AsyncClient) -> None:
    assert 'lang="en' in (await stranger.get("/admin/login/", headers=MALAY)).text
