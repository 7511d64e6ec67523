"""The dashboard at ``/dashboard/``, used in a browser as a product manager uses it."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pytest
from playwright.async_api import Page, StorageState, expect

from tests import services
from tests.e2e import browser, filling
from tests.services import Served

NAME = "puteri"
PASSWORD = "rahsia-produk"
HISTORY = f"""
from django.contrib.auth.models import Group, User
from django.utils import timezone
from rollout.models import Flag
from tests.usage.believable import history

Flag.objects.update(percent=7)  # the demo gives voice to everybody
history(timezone.localdate(), 90, people=240)
person = User.objects.create_user({NAME!r}, password={PASSWORD!r}, is_staff=True)
person.groups.add(Group.objects.get(name="Product"))
User.objects.create_user("tamu", password={PASSWORD!r}, is_staff=True)
"""
WRITES = (
    "input[name=_save], input[name=_addanother], a.addlink, a[href$='/add/'], a[href*='/delete/'], button[name=_save]"
)

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service that contains a demo quarter."""
    with services.served(tmp_path_factory.mktemp("product")) as running:
        filling.run(running, HISTORY)
        yield running


@pytest.fixture(scope="module")
async def cookies(service: Served) -> StorageState:
    """The cookies and storage of a signed-in product manager."""
    async with browser.page() as (page, _errors):
        await sign_in(page, service)
        return await page.context.storage_state()


async def sign_in(page: Page, service: Served, query: str = "", name: str = NAME) -> None:
    """Sign in on the admin's login page, which then returns to the dashboard."""
    await page.goto(f"{service.url}/dashboard/{query}")
    await page.fill("#id_username", name)
    await page.fill("#id_password", PASSWORD)
    await page.click("button[type=submit]")
    await page.wait_for_url(f"{service.url}/dashboard/{query}")


async def drawn(page: Page) -> None:
    await page.wait_for_selector("body[data-charts=drawn]")


async def downloaded(page: Page, selector: str) -> tuple[str, bytes]:
    async with page.expect_download() as waiting:
        await page.click(selector)
    download = await waiting.value
    return download.suggested_filename, await asyncio.to_thread(Path(await download.path()).read_bytes)


async def test_a_product_managers_day(service: Served) -> None:
    async with browser.page() as (page, errors):
        await sign_in(page, service)
        errors.clear()  # errors of the login page
        await drawn(page)
        await expect(page.locator("h1")).to_have_text("Voice in use")
        score = page.locator(".score tbody tr")
        await expect(score).to_have_count(9)
        await expect(score.filter(has_text="ASR word error rate")).to_contain_text("met")
        await expect(score.filter(has_text="Active voice users")).to_contain_text("not met")
        assert await page.locator(".uplot canvas").count() >= 9

        heard_in_30 = await page.inner_text(".tile:has-text('Speech recognised') b")
        await page.click("text=90 days")
        await page.wait_for_url("**/dashboard/?range=90")
        assert await page.inner_text(".tile:has-text('Speech recognised') b") != heard_in_30
        await expect(page.locator("[aria-current=true]")).to_have_text("90 days")

        last = await page.input_value("input[name=to]")
        first = f"{last[:8]}01"
        await page.fill("input[name=from]", first)
        await page.click("text=Show")
        await page.wait_for_url(f"**/dashboard/?from={first}&to={last}")
        await drawn(page)

        name, content = await downloaded(page, "a.csv[aria-label='Minutes recognised as CSV']")
        assert name == f"minutes_{first}_{last}.csv"
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        assert [row["day"] for row in rows] == [f"{last[:8]}{day:02}" for day in range(1, int(last[8:]) + 1)]
        shown = await page.inner_text(".tile:has-text('Speech recognised') b")
        assert f"{sum(float(row['minutes']) for row in rows):,.0f}\u00a0min" == shown

        name, content = await downloaded(page, "text=Download all as CSV")
        assert name == f"voice_{first}_{last}.zip"
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            scorecard = list(csv.DictReader(io.StringIO(archive.read("scorecard.csv").decode())))
            assert archive.read("minutes.csv").decode().splitlines()[1].startswith(first)
        assert {row["launch"] for row in scorecard} <= {"met", "not met", "not judged", "not enough data"}
        assert errors == []


async def test_from_a_question_to_one_person_and_the_weekly_mail(service: Served, cookies: StorageState) -> None:
    """Filter, compare with the period before, drill down, download a CSV file, and open the weekly summary."""
    async with browser.page(cookies=cookies) as (page, errors):
        await page.goto(f"{service.url}/dashboard/?range=30")
        await drawn(page)
        everything = await figure(page, "Requests")
        await page.locator("select[name=feature]").select_option("Text to speech")
        await page.wait_for_url("**/dashboard/?range=30&feature=tts")
        await page.locator("select[name=language]").select_option("Malay")
        await page.wait_for_url("**/dashboard/?range=30&feature=tts&language=ms")
        some = await figure(page, "Requests")
        assert 0 < _number(some) < _number(everything)

        await drawn(page)  # comparing: the chart's table has the period before, and the page names it
        card = page.locator("section:has(#characters-title)")
        await expect(card.locator(".key-ghost")).to_contain_text("Before")
        name, content = await downloaded(page, "a.csv[aria-label='Characters spoken as CSV']")
        assert name.startswith("characters_tts_ms_")
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        assert sum(int(row["requests"]) for row in rows) == _number(some)
        spoken = await figure(page, "Speech generated")
        assert sum(int(row["characters"]) for row in rows) == _number(spoken)
        assert any(int(row["characters_before"]) for row in rows)
        await card.locator("summary").click()
        cells = await card.locator("tbody tr td:nth-child(2)").all_inner_texts()
        assert [_number(cell) for cell in cells] == [int(row["characters"]) for row in rows]

        await page.get_by_role("button", name="What “Characters spoken” means").focus()
        await expect(card.get_by_role("tooltip")).to_have_text("charged characters of text to speech")

        await page.click("section:has(#clients-title) tbody a >> nth=0")  # drill down
        await page.wait_for_url("**client=chat-**")
        person = page.locator("section:has(#people-title) tbody a").first
        pseudonym = await person.inner_text()
        requests = await page.locator("section:has(#people-title) tbody td:nth-child(3)").first.inner_text()
        await person.click()
        await expect(page.locator("h2.part")).to_contain_text(pseudonym)
        assert "user-0" not in await page.inner_text("main")
        assert _number(await figure(page, "Requests")) <= _number(requests)
        await drawn(page)
        await page.click("text=← chat-")
        await page.wait_for_url("**client=chat-**")

        await page.click("text=Weekly summary")
        await expect(page.locator("h2.part")).to_contain_text("Voice in the week of")
        name, content = await downloaded(page, "text=PDF")
        assert name.endswith(".pdf")
        assert content.startswith(b"%PDF")
        await page.click("text=On the dashboard")
        await expect(page.locator(".score tbody tr")).to_have_count(9)
        assert errors == []


async def figure(page: Page, name: str) -> str:
    """Return the figure in the tile with this name."""
    return await page.locator(f".tile:has(dt:text-matches('^\\s*{name}')) b").inner_text()


def _number(text: str) -> int:
    return int("".join(letter for letter in text if letter.isdigit()))


async def test_the_table_has_the_values_of_the_chart(service: Served, cookies: StorageState) -> None:
    async with browser.page(cookies=cookies) as (page, _errors):
        await page.goto(f"{service.url}/dashboard/?range=7")
        await drawn(page)
        card = page.locator("section:has(#active-users-title)")
        await card.locator("summary").click()
        await expect(card.locator("tbody tr").last).to_contain_text("so far")
        last_whole = card.locator("tbody tr:not(:has([data-unfinished]))").last
        cells = await last_whole.locator("td").all_inner_texts()
        assert await card.locator(".readout b").all_inner_texts() == cells
        plot = await card.locator(".u-over").bounding_box()
        middle = plot["y"] + plot["height"] / 2
        await page.mouse.move(plot["x"] + plot["width"] - 1, middle)
        today = await card.locator("tbody tr").last.locator("td").all_inner_texts()
        await expect(card.locator(".readout b").first).to_have_text(today[0])
        await expect(card.locator(".readout")).to_contain_text("so far")
        await page.mouse.move(plot["x"] + 1, middle)
        first = await card.locator("tbody tr").first.locator("td").all_inner_texts()
        await expect(card.locator(".readout b").first).to_have_text(first[0])


async def test_bad_days_are_explained(service: Served, cookies: StorageState) -> None:
    async with browser.page(cookies=cookies) as (page, _errors):
        await page.goto(f"{service.url}/dashboard/?from=2026-03-09&to=2026-03-02")
        await expect(page.get_by_role("alert")).to_contain_text("The first day, 2026-03-09, is after the last")
        await expect(page.locator("input[name=from]")).to_have_attribute("aria-invalid", "true")
        assert await page.input_value("input[name=from]") == "2026-03-09"


async def test_nothing_can_be_changed(service: Served, cookies: StorageState) -> None:
    """A product manager cannot change anything on the pages that the admin shows."""
    async with browser.page(cookies=cookies) as (page, _errors):
        await page.goto(f"{service.url}/admin/")
        links = await page.eval_on_selector_all("a[href^='/admin/']", "links => links.map(link => link.pathname)")
        lists = sorted({link for link in links if len(link.strip("/").split("/")) == 3})
        assert len(lists) > 10
        assert not any(link.startswith("/admin/auth/") for link in lists)
        for link in lists:
            response = await page.goto(service.url + link)
            assert response is not None
            assert response.status == 200, link
            assert await page.locator(WRITES).count() == 0, link
            actions = await page.locator("select[name=action] option:not([value=''])").all_inner_texts()
            assert set(actions) <= {"Download as CSV"}, link
            added = await page.request.get(f"{service.url}{link}add/")
            assert added.status == 403, link
        await page.goto(f"{service.url}/admin/rollout/flag/")
        await page.click("#result_list tbody th a >> nth=0")
        await page.wait_for_url("**/change/*")
        assert await page.locator(WRITES).count() == 0
        token = (await page.context.cookies())[0]["value"]
        form = {"percent": "100", "csrfmiddlewaretoken": token}
        assert (await page.request.post(page.url, form=form)).status == 403


async def test_users_without_permission_get_an_explanation(service: Served) -> None:
    async with browser.page() as (page, _errors):
        await sign_in(page, service, name="tamu")
        await expect(page.locator("h2")).to_have_text("This account may not see the dashboard")
        await page.click("text=Sign out")
        await page.goto(f"{service.url}/dashboard/")
        await expect(page.locator("#id_username")).to_be_visible()


@pytest.mark.parametrize(
    ("size", "dark"),
    [(browser.PHONE, False), (browser.DESKTOP, False), (browser.DESKTOP, True)],
    ids=["phone-light", "desktop-light", "desktop-dark"],
)
async def test_the_page_fits_the_screen_and_is_photographed(
    service: Served, cookies: StorageState, size: tuple[int, int], dark: bool
) -> None:
    """The page fits a desktop and a phone. ``make screenshots`` keeps screenshots of it."""
    async with browser.page(size, dark=dark, cookies=cookies) as (page, errors):
        await page.goto(f"{service.url}/dashboard/?range=90")
        await drawn(page)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await photograph(
            page, f"dashboard-{'phone' if size == browser.PHONE else 'desktop'}-{'dark' if dark else 'light'}"
        )
        assert errors == []


async def photograph(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


async def test_the_printed_page_is_photographed(service: Served, cookies: StorageState, tmp_path: Path) -> None:
    async with browser.page(dark=True, cookies=cookies) as (page, errors):
        await page.goto(f"{service.url}/dashboard/?range=90")
        await drawn(page)
        paper = tmp_path / "dashboard.pdf"
        await page.pdf(path=paper, prefer_css_page_size=True, print_background=True)
        assert errors == []
    document = pypdfium2.PdfDocument(paper)
    width, height = document[0].get_size()
    assert (round(width), round(height)) == (595, 842)  # A4, in points
    assert 4 <= len(document) <= 6
    text = "".join(document[number].get_textpage().get_text_bounded() for number in range(len(document)))
    assert "Scorecard" in text
    assert "Download all" not in text
    corner = document[0].render(scale=1).to_numpy()[2, 2]
    assert corner.min() == 255, "paper is white, whatever the screen"
    if folder := os.environ.get("SCREENSHOTS"):
        for number in range(2):
            document[number].render(scale=1.7).to_pil().save(Path(folder) / f"dashboard-paper-{number + 1}.png")
