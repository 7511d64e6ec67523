"""A developer tries the playground: without and with a key, with a recording, in conversation, and in Malay."""

from __future__ import annotations

import os
from pathlib import Path

import jiwer
import pytest
from playwright.async_api import Page, expect

from tests import sound
from tests.e2e import browser
from tests.services import Served

SPOKEN = "selamat pagi semua"
pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def microphone(tmp_path: Path) -> Path:
    """A WAV file for the microphone, in which a user asks, listens to the reply for a while, and interrupts it."""
    path = tmp_path / "spoken.wav"
    question = sound.said(SPOKEN)
    again = sound.said("terima kasih banyak")
    spoken = [sound.silence(2), question, sound.silence(5), again, sound.silence(40)]
    path.write_bytes(sound.wav(sound.joined(spoken)))
    return path


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "rakaman.wav"
    path.write_bytes(sound.wav(sound.said(SPOKEN)))
    return path


async def picture(page: Page, name: str) -> None:
    """Take a screenshot if ``make screenshots`` runs the test."""
    if folder := os.environ.get("SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"developer-{name}.png", full_page=True)


@pytest.mark.parametrize("size", [browser.PHONE, browser.DESKTOP], ids=["phone", "desktop"])
async def test_from_no_key_to_a_conversation(
    served_service: Served, size: tuple[int, int], microphone: Path, recording: Path
) -> None:
    where = "phone" if size == browser.PHONE else "desktop"
    async with browser.page(size, microphone=microphone, dark=size == browser.PHONE) as (page, errors):
        await page.goto(served_service.url)
        await expect(page.locator("#key-form")).to_contain_text("No key yet?")
        await picture(page, f"no-key-{where}")
        await page.fill("#key", served_service.key)
        await page.keyboard.press("Enter")
        await expect(page.locator("#voice option")).not_to_have_count(1)
        await expect(page.locator("#key-form")).to_be_hidden()

        await a_recording(page, recording, where)
        await a_file_of_speech(page)
        await a_conversation(page, where)

        await page.click(".switches a")
        await expect(page.locator("html")).to_have_attribute("lang", "ms")
        await expect(page.locator("#talk")).to_have_text("Mula berbual")
        await page.click("[data-source=file]")
        letter = recording.with_name("surat.txt")
        letter.write_text("Bukan rakaman. " * 99)
        await page.set_input_files("#file", letter)
        await expect(page.locator("#file-problem")).to_contain_text("Fail audio tidak dapat dinyahkod")
        await picture(page, f"malay-{where}")
        await page.reload()
        await expect(page.locator("html")).to_have_attribute("lang", "ms")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert [error for error in errors if "400" not in error] == []


async def a_recording(page: Page, recording: Path, where: str) -> None:
    await page.click("[data-source=file]")
    await page.set_input_files("#file", recording)
    words = page.locator("#timed .word")
    await expect(words).to_have_count(3, timeout=20_000)
    times = [float(time) for time in await words.locator("small").all_inner_texts()]
    assert times == sorted(times) and times[0] < 1 < times[-1] + 1
    await expect(page.locator("#file-facts")).to_contain_text("3 words")
    await words.nth(1).click()
    await expect(page.locator("#recording")).to_have_js_property("ended", True, timeout=10_000)
    assert await page.locator("#timed + p").text_content() == SPOKEN
    await page.click("#copy-file")
    await expect(page.locator("#copy-file")).not_to_have_text("Copy the text")
    await picture(page, f"upload-{where}")


async def a_file_of_speech(page: Page) -> None:
    await page.fill("#text", "Selamat pagi.")
    async with page.expect_download() as started:
        await page.click("#download")
    path = await (await started.value).path()
    assert path.read_bytes()[:3] in (b"ID3", b"\xff\xf3\x84", b"\xff\xf3\x64") or path.stat().st_size > 1000


async def a_conversation(page: Page, where: str) -> None:
    state = page.locator("#talk-state")
    await page.click("#talk")
    await expect(state).to_have_text("Listening", timeout=20_000)
    said = page.locator("#turns .person").first
    await expect(said).to_be_visible(timeout=20_000)
    answer = page.locator("#turns .service").first
    await expect(state).to_have_attribute("data-state", "speaking", timeout=20_000)
    assert jiwer.wer(SPOKEN, await said.inner_text()) <= 0.34
    await picture(page, f"talk-{where}")
    await expect(answer).to_have_attribute("data-end", "interrupted", timeout=20_000)
    await expect(answer.locator("em")).to_have_text("interrupted")
    await expect(page.locator("#talk-latency")).to_contain_text("your voice noticed")
    await expect(page.locator("#turns .person").nth(1)).to_be_visible(timeout=20_000)
    await picture(page, f"interrupted-{where}")
    await page.keyboard.press("Escape")
    await expect(page.locator("#talk")).to_have_attribute("aria-pressed", "false")
