"""The report is a single HTML file that needs no other files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from capacity import loadtest_report
from tests.e2e.browser import DESKTOP, PHONE, chromium, page
from tests.tools.loadtests.made import facts
from tools.loadtests import report


def test_it_works(tmp_path: Path) -> None:
    path = report.write(facts(), tmp_path / "new" / "folder")
    stored = json.loads((path.parent / "report.json").read_text())
    assert (stored["scenario"], stored["verdict"], stored["most_users"]) == ("peak_load", "passed", 100)
    assert stored["kinds"]["asr"]["requests"] == 240
    assert stored["kinds"]["asr"]["rps"] == 4
    assert stored["kinds"]["asr"]["p95_s"] == pytest.approx(0.77, abs=0.02)
    assert sum(kind["refusals"] for kind in stored["kinds"].values()) == stored["reasons"][0]["number"] + sum(
        reason["number"] for reason in stored["reasons"][1:]
    )
    html = path.read_text()
    for text in (
        "Peak load",
        "Passed",
        "98.02 % of 960; 19 refused, 0 failed",
        "503 over_capacity",
        "Memory of the server",
        "kept 1.25 cores busy",
    ):
        assert text in html


def test_the_report_lists_the_voices() -> None:
    stored = facts()
    neural, embedded = stored["voices"]
    assert (neural["voice"], neural["degraded"]) == ("alloy", "")
    assert embedded["degraded"] == "busy"
    assert neural["audio_s"] == pytest.approx(2.5 * neural["replies"])
    assert neural["replies"] + embedded["replies"] == stored["kinds"]["tts"]["ok"] + stored["kinds"]["live_tts"]["ok"]
    assert neural["percent"] == pytest.approx(75, abs=1)
    html = loadtest_report.page(stored)
    assert "Voice that spoke" in html
    assert "eSpeak NG instead (busy)" in html
    del stored["voices"]  # older stored runs do not have it
    assert "Voice that spoke" not in loadtest_report.page(stored)


def test_the_report_is_self_contained() -> None:
    html = loadtest_report.page(facts())
    assert not re.search(r"(src|href)=|url\(|@import|<script|<link", html)


def test_texts_in_the_report_are_escaped() -> None:
    html = loadtest_report.page(facts(why="<script>alert(1)</script>", host="http://x/<b>"))
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "<b>" not in html


def test_an_incomplete_run_is_marked() -> None:
    html = loadtest_report.page(facts(incomplete_because="it was interrupted"))
    assert "Incomplete" in html
    assert "It was interrupted after 60 s" in html


def test_without_memory_and_answers() -> None:
    stored = facts()
    stored["memory"] = []
    stored["timeline"] = []
    stored["kinds"]["asr"] |= dict.fromkeys(("p50_s", "p95_s", "p99_s", "longest_s"))
    stored |= {"verdict": "not measured", "generator_lag_s": None}
    html = loadtest_report.page(stored)
    assert "No verdict" in html
    assert "Memory of the server" not in html


@pytest.mark.skipif(chromium() is None, reason="Chromium is not installed (make test installs it as root)")
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
async def test_in_a_browser(tmp_path: Path, size: tuple[int, int]) -> None:
    path = report.write(facts(), tmp_path)
    async with page(size) as (browser, errors):
        await browser.goto(path.as_uri())
        assert await browser.locator("svg").count() == 7
        width = await browser.evaluate("document.documentElement.scrollWidth")
        assert width <= size[0]  # the page does not scroll sideways
        assert errors == []
