from __future__ import annotations

import os

import pytest

from tests.e2e import browser


@pytest.fixture(autouse=True)
def needs_chromium() -> None:
    if browser.chromium() is None:
        message = "Chromium is not installed (make test installs it as root)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
