"""Headless Chromium for tests, with a WAV file as its microphone.

The pages of one worker share a browser, because starting one takes longer than most pages. Each page has separate
cookies and storage. The microphone is an option of the whole browser, so a page with a microphone gets a separate
browser. Chromium without its own windows and toolbars (Debian's chromium-headless-shell) is preferred, because opening
a page in it takes only a quarter of the CPU time.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Page, Playwright, StorageState, async_playwright

PHONE = (390, 844)
DESKTOP = (1280, 900)
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


def chromium() -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Shared:
    """The Playwright driver and the browser that the pages of this worker share. Each starts when first needed."""

    def __init__(self) -> None:
        self._open = AsyncExitStack()
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None

    async def launch(self, *flags: str) -> Browser:
        """Start and return another browser, with additional command-line flags."""
        if self._playwright is None:
            self._playwright = await self._open.enter_async_context(async_playwright())
        return await self._playwright.chromium.launch(executable_path=chromium(), args=[*_FLAGS, *flags])

    async def browser(self) -> Browser:
        if self._browser is None or not self._browser.is_connected():
            self._browser = await self.launch()
        return self._browser

    async def close(self) -> None:
        if self._browser is not None:
            await self._browser.close()
        await self._open.aclose()


shared = Shared()


@asynccontextmanager
async def page(
    size: tuple[int, int] = DESKTOP,
    *,
    microphone: Path | None = None,
    refused: bool = False,
    dark: bool = False,
    javascript: bool = True,
    cookies: StorageState | None = None,
) -> AsyncIterator[tuple[Page, list[str]]]:
    """Open a page; yield it with a list to which errors of its scripts and on its console are added.

    ``size``: width and height of the window in pixels.
    ``microphone``: a WAV file that the microphone plays; None for no microphone.
    ``refused``: whether the user refuses access to the microphone.
    ``dark``: whether the user prefers dark colours.
    ``javascript``: whether scripts may run.
    ``cookies``: the cookies and storage of another page, for example after signing in.
    """
    if microphone is None:
        browser = await shared.browser()
    else:
        browser = await shared.launch(
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={microphone}%noloop",
            "--use-fake-ui-for-media-stream" + ("=deny" if refused else ""),
        )
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        java_script_enabled=javascript,
        permissions=["microphone"] if microphone is not None and not refused else [],
        storage_state=cookies,
    )
    try:
        opened = await context.new_page()
        errors: list[str] = []
        opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        opened.on("pageerror", lambda error: errors.append(str(error)))
        yield opened, errors
    finally:
        await context.close()
        if microphone is not None:
            await browser.close()
