"""Tests that run both images' file trees together: ``make test-images``. It installs seven gigabytes in .venv-gpu."""

from __future__ import annotations

import os

if "VOICE_TEST_IMAGES" not in os.environ:
    collect_ignore_glob = ["*"]
