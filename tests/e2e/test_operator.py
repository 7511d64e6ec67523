"""An operator's day: a member of Operators, no superuser, in a real browser against a real service that is watched."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, expect

from rollout.policy import ACTS_WITHIN_S
from tests import services
from tests.e2e import browser, filling
from tests.services import Served

pytestmark = pytest.mark.timeout(240)
SETTLED_MS = 45_000  # the watcher evaluates every 15 s


@pytest.fixture(autouse=True)
def needs_chromium() -> None:
    if browser.chromium() is None:
        message = "Chromium is not installed (make test installs it as root)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with services.served(tmp_path_factory.mktemp("operator")) as running:
        filling.fill(running, "day")
        yield running


async def sign_in(page: Page, service: Served, name: str = filling.OPERATOR) -> None:
    await page.goto(f"{service.url}/admin/")
    await page.fill("[name=username]", name)
    await page.fill("[name=password]", filling.PASSWORD)
    await page.click("[type=submit]")
    await expect(page.locator("#users-now")).to_be_visible()


async def speak(service: Served, seconds: float = 0) -> httpx.Response:
    """Ask for speech as the chat does; with ``seconds``, again and again until it is refused or they are over."""
    body = {"model": "tts-1", "voice": "alloy", "input": "Selamat pagi."}
    deadline = time.monotonic() + seconds
    async with httpx.AsyncClient(base_url=service.url, headers=service.headers()) as client:
        while True:
            response = await client.post("/v1/audio/speech", json=body)
            if response.status_code != 200 or time.monotonic() > deadline:
                return response
            await asyncio.sleep(0.1)


async def allow_everybody(page: Page, service: Served, flag: str) -> None:
    await page.goto(f"{service.url}/admin/rollout/flag/")
    await page.click(f"#result_list a:text-is('{flag}')")
    await page.select_option("[name=everyone]", "true")
    await page.fill("[name=why]", "All of them may speak")
    await page.check("[name=is_meant]")
    await page.click("[name=_save]")


async def test_a_day(service: Served) -> None:
    async with browser.page() as (page, errors):
        await sign_in(page, service)

        # The alert fires while the page is open, and appears by itself.
        button = page.get_by_role("button", name="Acknowledge")
        await expect(button).to_have_count(1, timeout=SETTLED_MS)
        await expect(page.locator("[data-part=alerts]")).to_contain_text("Concurrent users 67 > 60")
        await button.click()
        await expect(page.locator("[data-part=alerts]")).to_contain_text("Acknowledged by siti")
        await expect(button).to_have_count(0)

        # 7 % of end users get live recognition.
        await page.click("text=Live speech to text")
        await page.fill("[name=percent]", "7")
        await page.fill("[name=why]", "The next step")
        await page.click("[name=_save]")
        await expect(page.locator("body")).to_contain_text("was changed successfully")
        await page.goto(f"{service.url}/admin/")
        await expect(page.locator("#rollout-realtime")).to_have_text("7 %")

        # A ramp takes it on from there.
        await page.goto(f"{service.url}/admin/rollout/ramp/add/")
        await page.select_option("[name=flag]", label="realtime")
        await page.click("[name=_save]")
        await page.get_by_role("link", name="Start").click()
        await page.fill("[name=why]", "As planned")
        await page.get_by_role("button", name="Start this ramp").click()
        await expect(page.locator("body")).to_contain_text("is running")
        await page.goto(f"{service.url}/admin/")
        await expect(page.locator("#rollout-realtime")).to_have_text("10 %")
        await expect(page.locator("[data-part=rollout]")).to_contain_text("its last step")

        # The kill switch: it asks first, then requests are refused everywhere.
        await allow_everybody(page, service, "tts")
        assert (await speak(service)).status_code == 200
        await page.goto(f"{service.url}/admin/")
        await page.click("text=Kill switch for all voice")
        await expect(page.locator("body")).to_contain_text("stops for everybody at once")
        assert (await speak(service)).status_code == 200
        await page.fill("[name=why]", "Something is wrong")
        await page.get_by_role("button", name="Switch off for everybody").click()
        await expect(page.locator("body")).to_contain_text("All voice is off.")
        refused = await speak(service, ACTS_WITHIN_S)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "voice_not_enabled")
        await page.goto(f"{service.url}/admin/")
        await expect(page.locator("[data-part=rollout] .badge")).to_have_text(["kill switch on"] * 3)

        # Who did what is kept.
        await page.goto(f"{service.url}/admin/rollout/change/")
        await expect(page.locator("#result_list")).to_contain_text("Something is wrong")
        assert errors == []


async def one_renewal_keeps(page: Page, selector: str) -> bool:
    """Whether an element outlives a renewal that brings nothing new for it; a ramp's clock moves at some."""
    for _attempt in range(4):
        before = await page.evaluate(f"(it = document.querySelector('{selector}')).isTheSame = true, it.outerHTML")
        async with page.expect_response("**/now.json**"):
            pass
        updated = await page.inner_text("#home-updated")
        await expect(page.locator("#home-updated")).not_to_have_text(updated, timeout=20_000)  # now this one is drawn
        if await page.evaluate(f"document.querySelector('{selector}').outerHTML") == before:
            return bool(await page.evaluate(f"document.querySelector('{selector}').isTheSame"))
    raise AssertionError("every renewal brought something new")


async def test_the_page_renews_itself_in_place(service: Served) -> None:
    async with browser.page() as (page, errors):
        await sign_in(page, service, filling.PRODUCT_MANAGER)
        await page.evaluate("window.isTheSamePage = true")
        before = await page.inner_text("#home-updated")
        async with page.expect_response("**/now.json**") as answered:
            pass
        assert (await answered.value).status == 200
        await expect(page.locator("#home-updated")).not_to_have_text(before)
        assert await page.evaluate("window.isTheSamePage")
        assert await one_renewal_keeps(page, "[data-part=rollout] ul")  # no flicker
        assert await page.locator("#curve canvas").count() == 1
        assert await page.get_by_role("button", name="Acknowledge").count() == 0
        assert errors == []


async def test_a_service_that_does_not_answer_and_a_session_that_ends_are_told(service: Served) -> None:
    async with browser.page() as (page, _errors):
        await sign_in(page, service)
        await page.route("**/now.json**", lambda route: route.abort())
        await expect(page.locator("#home-problem")).to_contain_text("does not answer", timeout=15_000)
        await page.unroute("**/now.json**")
        await expect(page.locator("#home-problem")).to_be_hidden(timeout=15_000)
        await page.context.clear_cookies()
        await expect(page.locator("#home-problem")).to_contain_text("signed out", timeout=15_000)


async def test_without_javascript_it_is_a_still_page(service: Served) -> None:
    async with browser.page(javascript=False) as (page, errors):
        await sign_in(page, service)
        await expect(page.locator("#curve polyline.today").first).to_be_visible()
        await expect(page.locator("[data-part=readings]")).to_contain_text("Error rate")
        await expect(page.get_by_role("link", name="Kill switch for all voice")).to_be_visible()
        await page.get_by_role("link", name="Ledger").click()
        await expect(page.locator("#result_list")).to_be_visible()
        assert errors == []


PAGES = {"home": "/admin/", "flag": "/admin/rollout/flag/1/change/", "alerts": "/admin/capacity/alert/"}
PICTURES = [
    *((name, size, False) for name in PAGES for size in ("desktop", "phone")),
    ("home", "desktop", True),
]


@pytest.mark.parametrize(("name", "size", "dark"), PICTURES)
async def test_the_pages_fit_and_can_be_photographed(fresh_service: Served, name: str, size: str, dark: bool) -> None:
    """`make screenshots` keeps the pictures."""
    extent = browser.PHONE if size == "phone" else browser.DESKTOP
    async with browser.page(extent, dark=dark) as (page, errors):
        await sign_in(page, fresh_service)
        await expect(page.locator("[data-part=alerts] li")).to_have_count(1, timeout=SETTLED_MS)
        await page.goto(fresh_service.url + PAGES[name])
        await page.wait_for_load_state("networkidle")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        folder = os.environ.get("SCREENSHOTS")
        if folder:
            path = Path(folder) / f"admin-{name}-{size}-{'dark' if dark else 'light'}.png"
            # As tall as the page: bars that stick to the window's edges would lie across a picture of all of it.
            height = await page.evaluate("document.documentElement.scrollHeight")
            await page.set_viewport_size({"width": extent[0], "height": max(height, extent[1])})
            await page.screenshot(path=path)
        assert errors == []


@pytest.fixture(scope="module")
def fresh_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Another one, which nobody has changed."""
    with services.served(tmp_path_factory.mktemp("pictures")) as running:
        filling.fill(running, "day")
        yield running
