"""The service that ``make run`` starts also runs the capacity watcher."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from tests.services import Served, inference_tier, served

LONG = "Selamat pagi semua. Hari ini hujan turun dengan lebat sekali. Kami duduk di rumah sahaja. " * 40


def ask(state: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(state / "voice.sqlite3")) as database:
        return [row[0] for row in database.execute(query)]


def listen(server: Served, user: str) -> None:
    body = {"input": LONG, "response_format": "wav"}
    headers = server.headers(**{"X-Voice-User": user})
    httpx.post(f"{server.url}/v1/audio/speech", json=body, headers=headers, timeout=60)


def test_serve_counts_users_takes_samples_and_stops(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with served(tmp_path, VOICE_TTS_CACHE_BYTES="0", VOICE_LEASE_S="4") as server:
        listeners = [threading.Thread(target=listen, args=[server, user]) for user in ("aminah", "bala", "bala")]
        for listener in listeners:
            listener.start()
        deadline = time.monotonic() + 60
        while 2 not in ask(state, "select tts_users from capacity_sample"):
            assert time.monotonic() < deadline
            time.sleep(0.5)
        for listener in listeners:
            listener.join()
        assert set(ask(state, "select asr_users from capacity_sample")) == {0}
        assert ask(state, "select holder from capacity_leadership")
        assert server.stop() == 0
        assert "Traceback" not in server.log.read_text()
    assert ask(state, "select holder from capacity_leadership") == []
    assert ask(state, "select process from capacity_processlease") == []


def test_a_full_gpu_of_the_inference_tier_raises_an_alert(tmp_path: Path) -> None:
    """A full GPU of the inference tier raises an alert in a service that has no GPU itself."""
    tier_settings = {
        "DJANGO_SETTINGS_MODULE": "tools.benchmarks.throttled_settings",
        "THROTTLED_UNITS_S": "8",
        "THROTTLED_GPU": "97 61",
    }
    state = tmp_path / "state"
    (tmp_path / "tier").mkdir()
    with (
        inference_tier(tmp_path / "tier", **tier_settings) as tier,
        served(tmp_path, VOICE_INFERENCE_URL=tier.url, VOICE_TTS_CACHE_BYTES="0") as server,
    ):
        with closing(sqlite3.connect(state / "voice.sqlite3")) as database, database:
            database.execute("update capacity_rule set pending_for = 0 where metric = 'gpu_percent'")
        query = "select metric from capacity_alert where state = 'firing' and severity = 'critical'"
        deadline = time.monotonic() + 90
        while not ask(state, query):
            assert time.monotonic() < deadline
            listen(server, "aminah")  # GPU readings count only while somebody is served
            time.sleep(1)  # without pauses, the two processes would keep both cores busy
        assert ask(state, query) == ["gpu_percent"]
        assert 97.0 in ask(state, "select gpu_percent from capacity_sample")
        assert 61.0 in ask(state, "select gpu_memory_percent from capacity_sample")
