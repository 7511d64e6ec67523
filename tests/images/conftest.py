"""Both images' file trees, started together: `make test-images`. .venv-gpu gets seven gigabytes of packages."""

from __future__ import annotations

import os

if "VOICE_TEST_IMAGES" not in os.environ:
    collect_ignore_glob = ["*"]
