"""Headless Chromium, with a microphone that speaks from a WAV file."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Page, async_playwright

PHONE = (390, 844)
DESKTOP = (1280, 900)
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
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@asynccontextmanager
async def page(
    size: tuple[int, int] = DESKTOP,
    *,
    microphone: Path | None = None,
    refused: bool = False,
    dark: bool = False,
    javascript: bool = True,
) -> AsyncIterator[tuple[Page, list[str]]]:
    """A page and the list that its console's errors go into. ``refused``: the microphone may not be used."""
    flags = list(_FLAGS)
    if microphone is not None:
        flags += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}%noloop"]
        flags += [] if refused else ["--use-fake-ui-for-media-stream"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=flags)
        context = await browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            java_script_enabled=javascript,
            permissions=["microphone"] if microphone is not None and not refused else [],
        )
        opened = await context.new_page()
        errors: list[str] = []
        opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        opened.on("pageerror", lambda error: errors.append(str(error)))
        yield opened, errors
        await browser.close()
