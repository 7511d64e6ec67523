"""`make run` watches too."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from tests.services import Served, served

LONG = "Selamat pagi semua. Hari ini hujan turun dengan lebat sekali. Kami duduk di rumah sahaja. " * 40


def ask(state: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(state / "voice.sqlite3")) as database:
        return [row[0] for row in database.execute(query)]


def listen(server: Served, user: str) -> None:
    body = {"input": LONG, "response_format": "wav"}
    headers = server.headers(**{"X-Voice-User": user})
    httpx.post(f"{server.url}/v1/audio/speech", json=body, headers=headers, timeout=60)


def test_it_counts_samples_and_stops(tmp_path: Path) -> None:
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
