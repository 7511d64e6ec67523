"""The playground at ``/``, used in a browser as a visitor uses it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import jiwer
import pytest
from playwright.async_api import Page, expect

from tests import services, sound
from tests.e2e import browser
from tests.services import Served

SPOKEN = "selamat pagi semua"
GROUND = "getComputedStyle(document.body).backgroundColor"
LIGHT = "rgb(246, 245, 241)"
DARK = "rgb(17, 22, 21)"
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV file for the microphone: two seconds of silence, speech, and silence again."""
    path = tmp_path_factory.mktemp("microphone") / "spoken.wav"
    path.write_bytes(sound.wav(sound.joined([sound.silence(2), sound.said(SPOKEN), sound.silence(20)])))
    return path


def address(service: Served) -> str:
    return f"{service.url}/#key={service.key}"


async def ready(page: Page, service: Served) -> None:
    await page.goto(address(service))
    await expect(page.locator("#voice option")).not_to_have_count(1)


async def test_speech_appears_as_text(served_service: Served, microphone: Path) -> None:
    async with browser.page(microphone=microphone) as (page, errors):
        await ready(page, served_service)
        await page.click("#microphone")
        await expect(page.locator("#listen-state")).to_contain_text("Listening")
        final = page.locator("#words p:not(.open)").first
        await expect(final).to_be_visible(timeout=20_000)
        assert jiwer.wer(SPOKEN, await final.inner_text()) <= 0.34
        await expect(page.locator("#listen-latency")).to_contain_text("final")
        await page.keyboard.press("Escape")
        await expect(page.locator("#microphone")).to_have_attribute("aria-pressed", "false")
        assert errors == []


async def test_text_is_read_aloud_and_highlighted(served_service: Served) -> None:
    async with browser.page() as (page, errors):
        await ready(page, served_service)
        await page.fill("#text", "Selamat pagi semua. Harga tiket ialah RM12.50. Terima kasih.")
        await page.click("#read")
        mark = page.locator("#script mark")
        await expect(mark).to_have_text("Selamat pagi semua.", timeout=10_000)
        clock = "document.getElementById('player').currentTime"
        before = await page.evaluate(clock)
        await asyncio.sleep(0.5)
        assert await page.evaluate(clock) > before
        await expect(mark).to_have_text("Harga tiket ialah RM12.50.", timeout=10_000)
        await expect(page.locator("#speak-latency")).to_contain_text("first sound")
        await expect(page.locator("#read")).to_be_enabled(timeout=20_000)
        assert errors == []


async def test_stop_silences_the_voice(served_service: Served) -> None:
    async with browser.page() as (page, errors):
        await ready(page, served_service)
        await page.click("#read")
        await expect(page.locator("#script mark")).to_be_visible(timeout=10_000)
        await page.click("#stop")
        await expect(page.locator("#read")).to_be_enabled()
        await expect(page.locator("#text")).to_be_visible()
        assert errors == []


async def test_a_refused_microphone_is_explained(served_service: Served, microphone: Path) -> None:
    async with browser.page(microphone=microphone, refused=True) as (page, _errors):
        await ready(page, served_service)
        await page.keyboard.press("Space")
        await expect(page.locator("#listen-problem")).to_contain_text("microphone is blocked")
        await expect(page.locator("#microphone")).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "voice_not_enabled", "not switched on for you"),
        (429, "quota_exceeded", "allowance is used up"),
        (429, "too_many_streams", "Close another tab"),
        (503, "over_capacity", "at its capacity"),
        (418, "something_new", "Words of the service."),
    ],
)
async def test_refusals_are_explained(served_service: Served, status: int, code: str, said: str) -> None:
    async with browser.page() as (page, _errors):
        await ready(page, served_service)
        refusal = {"error": {"message": "Words of the service.", "type": "", "param": None, "code": code}}
        await page.route("**/client_secrets", lambda route: route.fulfill(status=status, json=refusal))
        await page.click("#read")
        await expect(page.locator("#speak-problem")).to_contain_text(said)
        await expect(page.locator("#read")).to_be_enabled()


async def test_a_lost_connection_is_reestablished(served_service: Served, microphone: Path) -> None:
    async with browser.page(microphone=microphone) as (page, _errors):
        await page.add_init_script(
            "window.WebSocket = class extends WebSocket { constructor(...all) { super(...all); window.last = this; } }"
        )
        await ready(page, served_service)
        await page.click("#microphone")
        await expect(page.locator("#listen-state")).to_contain_text("Listening")
        await page.evaluate("last.close(3000)")
        await expect(page.locator("#listen-problem")).to_contain_text("Trying again")
        await expect(page.locator("#listen-state")).to_contain_text("Listening")
        await expect(page.locator("#listen-problem")).to_be_hidden()
        await expect(page.locator("#words p:not(.open)").first).to_be_visible(timeout=20_000)


async def test_the_chosen_theme_is_kept(served_service: Served) -> None:
    async with browser.page(dark=True) as (page, errors):
        await ready(page, served_service)
        await page.click("[data-theme-toggle]")
        await page.reload()
        assert await page.evaluate(GROUND) == LIGHT
        assert errors == []


async def test_a_wrong_key_is_asked_for_again(served_service: Served) -> None:
    async with browser.page() as (page, _errors):
        await page.goto(f"{served_service.url}/#key=vk_wrong")
        await expect(page.locator("#key-problem")).to_contain_text("API key is not known")
        await page.fill("#key", served_service.key)
        await page.keyboard.press("Enter")
        await expect(page.locator("#voice option")).not_to_have_count(1)
        await expect(page.locator("#key-problem")).to_be_hidden()
        assert served_service.key in await page.inner_text("#sample")


async def test_a_stopped_server_is_reported_and_retried(tmp_path: Path, microphone: Path) -> None:
    with services.served(tmp_path) as service:
        async with browser.page(microphone=microphone) as (page, _errors):
            await ready(page, service)
            await page.click("#microphone")
            await expect(page.locator("#listen-state")).to_contain_text("Listening")
            await asyncio.to_thread(service.stop)
            await expect(page.locator("#listen-problem")).to_contain_text("Trying again", timeout=15_000)
            await page.keyboard.press("Escape")
            await page.click("#read")
            await expect(page.locator("#speak-problem")).to_contain_text("cannot be reached", timeout=15_000)


async def test_the_demo_model_is_mentioned(served_service: Served) -> None:
    async with browser.page(browser.PHONE) as (page, errors):
        await ready(page, served_service)
        await expect(page.locator("#notice")).to_contain_text("not people")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert "key=" not in page.url
        assert errors == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [browser.PHONE, browser.DESKTOP], ids=["phone", "desktop"])
async def test_the_page_fits_and_is_photographed(served_service: Served, size: tuple[int, int], dark: bool) -> None:
    """The page fits a desktop and a phone. ``make screenshots`` keeps screenshots of it."""
    async with browser.page(size, dark=dark) as (page, errors):
        await ready(page, served_service)
        assert await page.evaluate(GROUND) == (DARK if dark else LIGHT)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        folder = os.environ.get("SCREENSHOTS")
        if folder:
            name = f"playground-{'phone' if size == browser.PHONE else 'desktop'}-{'dark' if dark else 'light'}.png"
            await page.screenshot(path=Path(folder) / name, full_page=True)
        assert errors == []
