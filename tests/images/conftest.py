"""Tests that run the file trees of both images together: ``make test-images``.

They install seven gigabytes of packages in .venv-gpu.
"""

from __future__ import annotations

import os

if "VOICE_TEST_IMAGES" not in os.environ:
    collect_ignore_glob = ["*"]
