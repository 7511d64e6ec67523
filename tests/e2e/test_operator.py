"""A day of an operator (not a superuser) in a real browser, with a real service whose watcher runs."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, expect

from rollout.policy import ACTS_WITHIN_S
from tests import services
from tests.e2e import browser, filling
from tests.services import Served

pytestmark = pytest.mark.timeout(240)
SETTLED_MS = 45_000  # the watcher evaluates every 15 s, and the page polls every 5 s


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("operator")
    filling.give(folder, "day")
    with services.served(folder) as running:
        yield running


async def sign_in(page: Page, service: Served, name: str = filling.OPERATOR) -> None:
    await page.goto(f"{service.url}/admin/")
    await page.fill("[name=username]", name)
    await page.fill("[name=password]", filling.PASSWORD)
    await page.click("[type=submit]")
    await expect(page.locator("#users-now")).to_be_visible()


async def speak(service: Served, seconds: float = 0) -> httpx.Response:
    """Request speech as the chat does, and return the response.

    ``seconds``: how long to repeat the request, unless it is refused earlier.
    """
    body = {"model": "tts-1", "voice": "alloy", "input": "Selamat pagi."}
    deadline = time.monotonic() + seconds
    async with httpx.AsyncClient(base_url=service.url, headers=service.headers()) as client:
        while True:
            response = await client.post("/v1/audio/speech", json=body)
            if response.status_code != 200 or time.monotonic() > deadline:
                return response
            await asyncio.sleep(0.1)


async def fits_one_thumb(page: Page) -> None:
    """Check that the page does not scroll sideways, and that controls are large enough for a thumb (44 px).

    Links in text may be smaller.
    """
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    small = await page.evaluate(
        """[...document.querySelectorAll("#content a, #content button, #content select, #content input[type=text]")]
        .filter(it => it.offsetParent && !it.closest("p, dd, li .quiet") && it.getBoundingClientRect().height < 43.5)
        .map(it => it.outerHTML.slice(0, 120))"""
    )
    assert small == []
    assert await page.evaluate(MISSED) == []


# Finds switches and boxes that a touch 20 px from their centre misses.
MISSED = """
  [...document.querySelectorAll("#content input[type=checkbox]")].filter((one) => one.offsetParent).filter((one) => {
    one.scrollIntoView({ block: "center", behavior: "instant" });
    const box = one.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    return [[0, 20], [0, -20]].some(([right, down]) => document.elementFromPoint(x + right, y + down) !== one);
  }).map((one) => one.outerHTML.slice(0, 120))
"""


async def test_a_day(tmp_path: Path) -> None:
    """An operator uses the admin on a desktop and on a phone at once. A change on one of them appears on both."""
    filling.give(tmp_path, "steady")
    with services.served(tmp_path) as service:
        async with browser.page(browser.DESKTOP) as (desk, errors), browser.page(browser.PHONE) as (phone, more_errors):
            await a_day(service, desk, phone)
            assert errors == []
            assert more_errors == []


async def a_day(service: Served, desk: Page, phone: Page) -> None:
    both = (desk, phone)
    for page in both:
        await sign_in(page, service)
    happened = desk.locator("[data-part=timeline]")

    # The alert fires while the page is open and appears without a reload. It says whether anybody was notified.
    for page in both:
        await expect(page.get_by_role("button", name="Acknowledge")).to_have_count(1, timeout=SETTLED_MS)
        await expect(page.locator("[data-part=alerts]")).to_contain_text("Concurrent users 67 > 60")
        await expect(page.locator("[data-part=alerts]")).to_contain_text("No receiver is configured")
    await phone.get_by_role("button", name="Acknowledge").click()
    for page in both:
        await expect(page.locator("[data-part=alerts]")).to_contain_text("Acknowledged by siti", timeout=20_000)
        await expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)

    # While 7 % is typed, a preview shows its effect. Saving needs a reason.
    for page in both:
        await page.click("#rollout-title >> xpath=../.. >> a.what >> nth=0")
        await page.fill("[name=percent]", "7")
        preview = page.locator("#percent-preview")
        await expect(preview).to_contain_text("Effects of 5 % → 7 %")
        for told in ("Adds", "Peak concurrent users", "Needs", "Cost"):
            await expect(preview).to_contain_text(told)
    await fits_one_thumb(phone)
    for page in both:
        await page.click("[name=_save]")
        await expect(page.locator("#id_why_error")).to_be_visible()  # next to its field
    await desk.fill("[name=why]", "The next step")
    await desk.click("[name=_save]")
    await expect(desk.locator("body")).to_contain_text("was changed successfully")
    for page in both:
        await page.goto(f"{service.url}/admin/")
        await expect(page.locator("#rollout-voice")).to_have_text("7 %")
    await expect(happened).to_contain_text("voice 5 % → 7 %")

    # A ramp then raises the percentage, until a critical alert rolls it back.
    await desk.goto(f"{service.url}/admin/rollout/ramp/add/")
    await desk.select_option("[name=flag]", label="voice")
    await desk.click("[name=_save]")
    await phone.goto(desk.url)
    for page in both:
        await press(page, "Start")
    await phone.fill("[name=why]", "As planned")
    await phone.get_by_role("button", name="Start this ramp").click()
    await expect(phone.locator("body")).to_contain_text("is running")
    for page in both:
        await page.goto(f"{service.url}/admin/")
        await expect(page.locator("#rollout-voice")).to_have_text("10 %")
        await expect(page.locator("[data-part=rollout]")).to_contain_text("its last step")
    filling.fill(service, "rush")
    for page in both:
        await expect(page.locator("[data-part=rollout]")).to_contain_text("rolled back", timeout=SETTLED_MS)
        await expect(page.locator("#rollout-voice")).to_have_text("7 %")
        await page.reload()
        await expect(page.locator("[data-part=timeline]")).to_contain_text("rolled back")
        await expect(page.locator("[data-part=timeline]")).to_contain_text("Critical: concurrent users 91 > 80")
    await fits_one_thumb(phone)

    # The kill switch asks for confirmation with a prefilled reason. Then all requests are refused.
    assert (await speak(service)).status_code == 200
    for page in both:
        await page.click("text=Kill switch for all voice")
        await expect(page.locator("body")).to_contain_text("stops for everybody at once")
        await expect(page.locator("[name=why]")).to_have_value(re.compile("Emergency"))
    await phone.get_by_role("button", name="Switch off for everybody").click()
    await expect(phone.locator("body")).to_contain_text("All voice is off.")
    refused = await speak(service, ACTS_WITHIN_S)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "voice_not_enabled")
    for page in both:
        await page.goto(f"{service.url}/admin/")
        await expect(page.locator("#rollout-voice .badge")).to_have_text("kill switch on")
        await expect(page.locator("[data-part=timeline]")).to_contain_text("kill switch on: off for everybody")

    # The audit trail shows who changed what, and why.
    for page in both:
        await page.goto(f"{service.url}/admin/rollout/change/")
        for kept in ("Emergency", "percent 5 → 7", "The next step", "acknowledged no → yes"):
            await expect(page.locator("#result_list")).to_contain_text(kept)


async def press(page: Page, action: str) -> None:
    """Press one of the page's actions. On a phone, the actions are in a menu."""
    link = page.get_by_role("link", name=re.compile(f"{action}$"))  # the name of an icon comes before it
    more = page.locator("text=more_horiz >> visible=true")
    await link.or_(more).first.wait_for()  # wait for either of them
    if not await link.first.is_visible():
        await more.first.click()
    await link.first.click()


async def one_renewal_keeps(page: Page, selector: str) -> bool:
    """Return True if the page, when it renews itself, keeps an element that has not changed instead of replacing it.

    Some renewals do change the element, for example the clock of a ramp. So several renewals are tried.
    """
    for _attempt in range(4):
        before = await page.evaluate(f"(it = document.querySelector('{selector}')).isTheSame = true, it.outerHTML")
        async with page.expect_response("**/now.json**"):
            pass
        updated = await page.inner_text("#home-updated")
        await expect(page.locator("#home-updated")).not_to_have_text(updated, timeout=20_000)  # drawn now
        if await page.evaluate(f"document.querySelector('{selector}').outerHTML") == before:
            return bool(await page.evaluate(f"document.querySelector('{selector}').isTheSame"))
    raise AssertionError("every renewal brought something new")


async def test_the_page_updates_in_place(service: Served) -> None:
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


async def test_an_unreachable_service_and_an_expired_session_are_reported(service: Served) -> None:
    async with browser.page() as (page, _errors):
        await sign_in(page, service)
        await page.route("**/now.json**", lambda route: route.abort())
        await expect(page.locator("#home-problem")).to_contain_text("does not answer", timeout=15_000)
        await page.unroute("**/now.json**")
        await expect(page.locator("#home-problem")).to_be_hidden(timeout=15_000)
        await page.context.clear_cookies()
        await expect(page.locator("#home-problem")).to_contain_text("signed out", timeout=15_000)


async def test_without_javascript_the_page_is_static(service: Served) -> None:
    async with browser.page(javascript=False) as (page, errors):
        await sign_in(page, service)
        await expect(page.locator("#curve svg")).to_be_visible()
        # In the first hours of a day the line is flat. It has no height then, so Playwright considers it hidden.
        await expect(page.locator("#curve polyline.today").first).to_be_attached()
        await expect(page.locator("[data-part=readings]")).to_contain_text("Error rate")
        await expect(page.get_by_role("link", name="Kill switch for all voice")).to_be_visible()
        await page.get_by_role("link", name="Ledger").click()
        await expect(page.locator("#result_list")).to_be_visible()
        assert errors == []


PAGES = {"home": "/admin/", "flag": "/admin/rollout/flag/4/change/", "alerts": "/admin/capacity/alert/"}


@pytest.mark.parametrize(
    ("names", "size", "dark"),
    [(PAGES, browser.DESKTOP, False), (PAGES, browser.PHONE, False), (["home"], browser.DESKTOP, True)],
    ids=["desktop-light", "phone-light", "desktop-dark"],
)
async def test_the_pages_fit_the_screen_and_are_photographed(
    service: Served, names: Iterable[str], size: tuple[int, int], dark: bool
) -> None:
    """The pages fit a desktop and a phone. ``make screenshots`` keeps screenshots of them."""
    look = f"{'phone' if size == browser.PHONE else 'desktop'}-{'dark' if dark else 'light'}"
    async with browser.page(size, dark=dark) as (page, errors):
        await sign_in(page, service)
        await expect(page.locator("[data-part=alerts] li")).to_have_count(1, timeout=SETTLED_MS)
        for name in names:
            await page.goto(service.url + PAGES[name])
            await page.wait_for_load_state("networkidle")
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
            await photograph(page, f"admin-{name}-{look}", size)
        assert errors == []


async def photograph(page: Page, name: str, size: tuple[int, int]) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        # The window is made as tall as the page. Otherwise sticky bars would cover parts of the full-page picture.
        height = await page.evaluate("document.documentElement.scrollHeight")
        await page.set_viewport_size({"width": size[0], "height": max(height, size[1])})
        await page.screenshot(path=Path(folder) / f"{name}.png")
        await page.set_viewport_size({"width": size[0], "height": size[1]})
