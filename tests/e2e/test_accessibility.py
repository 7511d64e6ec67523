"""axe-core finds no serious problem on any page, and pages work by keyboard, on a phone, and enlarged.

By default only the most visited pages are tested. With ``AXE=all`` every page of the admin is tested (``make
test-axe``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, Response, StorageState

from tests import services
from tests.e2e import browser, filling
from tests.services import Served

LONG = os.environ.get("AXE") == "all"
NARROW = (320, 640)  # a small phone, or a desktop window of 1280 pixels at 400 %
ENLARGED = (640, 450)
SERIOUS = ("serious", "critical")
PAGES = (
    "/",
    "/dashboard/?range=30",
    "/dashboard/?range=30&client=chat",
    "/admin/",
    "/admin/rollout/flag/",
    "/admin/capacity/alert/",
    "/admin/usage/ledgerentry/",
    "/dashboard/weekly/",
)
WIDE_PAGES = (*PAGES, "/admin/auth/group/add/", "/admin/nothing-here/")
FIRST_PAGE_BYTES = 300_000

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("accessible")
    filling.give(folder, "day")
    with services.served(folder) as running:
        yield running


@pytest.fixture(scope="module")
async def cookies(service: Served) -> StorageState:
    """The cookies and storage of a signed-in superuser."""
    async with browser.page() as (page, _errors):
        await page.goto(f"{service.url}/admin/login/?next=/dashboard/")
        await page.fill("#id_username", "admin")
        await page.fill("#id_password", services.ADMIN_PASSWORD)
        await page.click("button[type=submit]")
        await page.wait_for_url("**/dashboard/")
        return await page.context.storage_state()


async def findings(page: Page, address: str) -> list[str]:
    """Open a page, and return the problems that axe-core calls serious or critical."""
    await page.goto(address)
    await page.wait_for_load_state("networkidle")
    found = (await Axe().run(page)).response["violations"]
    return [
        f"{page.url}: {one['id']}: {node['target']} {node['html'][:120]}"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


async def test_no_serious_violations_on_public_pages(service: Served) -> None:
    async with browser.page() as (page, _errors):
        for address in ("/", "/docs/", "/admin/login/"):
            assert await findings(page, service.url + address) == []


@pytest.mark.parametrize(
    ("size", "dark"),
    [(browser.DESKTOP, False), (browser.DESKTOP, True), (NARROW, False)][: 3 if LONG else 1],
    ids=["light", "dark", "narrow"][: 3 if LONG else 1],
)
async def test_no_serious_violations_on_staff_pages(
    service: Served, cookies: StorageState, size: tuple[int, int], dark: bool
) -> None:
    async with browser.page(size, dark=dark, cookies=cookies) as (page, _errors):
        for address in PAGES if size == browser.DESKTOP and not dark else PAGES[1:4]:
            assert await findings(page, service.url + address) == []


async def test_no_serious_violations_on_any_admin_page(service: Served, cookies: StorageState) -> None:
    if not LONG:
        pytest.skip("make test-axe looks at all of them")
    async with browser.page(cookies=cookies) as (page, _errors):
        await page.goto(f"{service.url}/admin/")
        links = await page.eval_on_selector_all("a[href^='/admin/']", "links => links.map(link => link.pathname)")
        for link in sorted({link for link in links if len(link.strip("/").split("/")) == 3}):
            assert await findings(page, service.url + link) == []
            rows = await page.eval_on_selector_all("#result_list a", "links => links.map(link => link.pathname)")
            changes = [row for row in rows if row.endswith("/change/")]
            for address in (*changes[:1], f"{link}add/"):
                if (await page.request.get(service.url + address)).status == 200:
                    assert await findings(page, service.url + address) == []


@pytest.mark.parametrize("size", [NARROW, browser.PHONE, ENLARGED], ids=["320", "390", "200 %"])
async def test_no_page_is_wider_than_the_screen(service: Served, cookies: StorageState, size: tuple[int, int]) -> None:
    async with browser.page(size, cookies=cookies) as (page, _errors):
        for address in WIDE_PAGES:
            await page.goto(service.url + address)
            wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, (address, wide)
            if "/dashboard/" in address:
                assert await page.evaluate(CUT_OFF) == [], address
            if address == "/dashboard/weekly/":
                tallest = "Math.max(...[...document.querySelectorAll('.scroll tr')].map((row) => row.offsetHeight))"
                assert await page.evaluate(tallest) < 120, "a column is too narrow for its text"


# Finds text that overflows its box and cannot be reached by scrolling.
CUT_OFF = """
  [...document.querySelectorAll(".tile b, .list td, .list th, .score td, .score th, .funnel b, .readout b")]
    .filter((one) => one.offsetParent && getComputedStyle(one).display !== "inline")
    .filter((one) => one.scrollWidth > one.clientWidth + 1 || one.getBoundingClientRect().right > innerWidth + 1)
    .map((one) => one.textContent)
"""


async def test_the_first_page_is_small_and_does_not_shift(service: Served, cookies: StorageState) -> None:
    async with browser.page() as (page, _errors):
        sizes: list[int] = []

        async def add(response: Response) -> None:
            sizes.append((await response.request.sizes())["responseBodySize"])

        responses: list[Response] = []
        page.on("response", lambda response: responses.append(response))
        answer = await page.goto(f"{service.url}/")
        await page.wait_for_load_state("networkidle")
        for response in responses:
            await add(response)
        assert answer is not None
        assert (await answer.all_headers()).get("content-encoding") == "gzip"
        assert 0 < sum(sizes) < FIRST_PAGE_BYTES
    async with browser.page(cookies=cookies) as (page, _errors):
        for address in ("/dashboard/?range=30", "/admin/"):
            await page.goto(service.url + address)
            await page.wait_for_timeout(500)
            assert await page.evaluate(SHIFT) < 0.1, address  # the limit for "good" in Core Web Vitals


SHIFT = """
  new Promise((resolve) => new PerformanceObserver((list) =>
    resolve(list.getEntries().reduce((sum, one) => sum + (one.hadRecentInput ? 0 : one.value), 0))
  ).observe({ type: "layout-shift", buffered: true }) || setTimeout(() => resolve(0), 300))
"""


async def test_everything_is_reachable_by_keyboard_with_visible_focus(service: Served, cookies: StorageState) -> None:
    """Filters, definitions and downloads of the dashboard receive the focus in reading order."""
    async with browser.page(cookies=cookies) as (page, _errors):
        await page.goto(f"{service.url}/dashboard/?range=30")
        reached = []
        tooltip = False
        for _ in range(40):
            await page.keyboard.press("Tab")
            one = await page.evaluate(FOCUSED)
            assert one["outline"], one
            reached.append(one["name"])
            tooltip = tooltip or one["tooltip"]
        assert tooltip, "a definition shows when its button has the focus"
        order = [reached.index(name) for name in ("7 days", "from", "Download all as CSV", "client", "language")]
        assert order == sorted(order)
        await page.focus("select[name=language]")
        await page.keyboard.press("m")  # chooses Malay
        await page.wait_for_url(re.compile("language=ms"))


FOCUSED = """
  (() => {
    const one = document.activeElement, style = getComputedStyle(one);
    const tip = one.parentElement.querySelector("[role=tooltip]");
    return {
      name: one.name || one.textContent.trim(),
      outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
      tooltip: Boolean(tip && tip.offsetParent),
    };
  })()
"""


async def test_reduced_motion_is_respected(service: Served, cookies: StorageState) -> None:
    async with browser.page(cookies=cookies) as (page, _errors):
        await page.emulate_media(reduced_motion="reduce")
        for address in ("/", "/dashboard/", "/admin/"):
            await page.goto(service.url + address)
            assert await page.evaluate(MOVING) == [], address


MOVING = """
  document.getAnimations().filter((one) => one.playState === "running").map((one) => one.effect.target.className)
"""
