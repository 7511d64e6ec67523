"""The Django project: settings, URLs, the ASGI application and `serve`, where all apps are put together."""

from __future__ import annotations

import os

VERSION = "0.3.0"  # CHANGELOG.md says what each brought

# Before anything imports numpy: requests run side by side, and a matrix product that takes every core for itself makes
# them wait for each other. Computing the features of a 4 s clip was nine times as slow with one thread per core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
