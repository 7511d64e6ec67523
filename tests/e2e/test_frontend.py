"""The example in docs/frontend.md on another origin: token, live text, reading aloud, interruption, reconnecting."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests import dependencies, services, sound
from tests.e2e import browser
from tests.services import ROOT, served

pytestmark = pytest.mark.timeout(240)
ORIGINS = "http://127.0.0.1:*"


def page_server(service: services.Served) -> Generator[str, None, None]:
    port = dependencies.free_port()
    environment = {**os.environ, "VOICE_URL": service.url, "VOICE_KEY": service.key}
    command = [sys.executable, str(ROOT / "docs" / "examples" / "chat" / "server.py"), str(port)]
    process = subprocess.Popen(command, env=environment)
    try:
        dependencies._wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def microphone(tmp_path: Path) -> Path:
    """A WAV file for the microphone, in which a user asks, listens to the reply for a while, and interrupts it."""
    path = tmp_path / "spoken.wav"
    question = sound.said("selamat pagi semua")
    again = sound.said("terima kasih banyak")
    spoken = [sound.silence(3), question, sound.silence(5), again, sound.silence(30)]
    path.write_bytes(sound.wav(sound.joined(spoken)))
    return path


async def test_it_works(tmp_path: Path, microphone: Path) -> None:
    port = dependencies.lasting_port()
    with served(tmp_path, port=port, VOICE_CORS_ORIGINS=ORIGINS) as service:
        pages = page_server(service)
        url = next(pages)
        async with browser.page(microphone=microphone) as (page, errors):
            await page.goto(url)
            await expect(page.locator("#talk")).to_be_visible()
            await page.click("#talk")
            await expect(page.locator("#status")).to_contain_text("Mendengar")
            asked = page.locator("#chat p:not(.reply)").first
            await expect(asked).to_contain_text("pagi", timeout=20_000)
            reply = page.locator("#chat .reply").first
            await expect(reply).to_contain_text("mencelah", timeout=20_000)
            await expect(reply).to_have_attribute("data-end", "interrupted", timeout=20_000)
            assert errors == []
            service.stop()
            await expect(page.locator("#status")).not_to_contain_text("Mendengar", timeout=20_000)
            with served(tmp_path, port=port, VOICE_CORS_ORIGINS=ORIGINS):
                await expect(page.locator("#status")).to_contain_text("Mendengar", timeout=60_000)
        pages.close()


async def test_a_page_from_an_unknown_origin(tmp_path: Path) -> None:
    with served(tmp_path, VOICE_CORS_ORIGINS="https://chat.example.com") as service:
        pages = page_server(service)
        async with browser.page() as (page, errors):
            await page.goto(next(pages))
            await page.wait_for_timeout(500)
            await expect(page.locator("#talk")).to_be_hidden()
            assert any("CORS" in error for error in errors)
        pages.close()
