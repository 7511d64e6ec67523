"""The Django project: settings, URLs, the ASGI application and ``serve``, where all apps are put together."""

from __future__ import annotations

import os

VERSION = "0.3.0"  # CHANGELOG.md lists the changes of each version

# Must be set before anything imports numpy. Requests run side by side, and they would wait for each other if a matrix
# product took every core: with one thread per core, the features of a 4 s clip took nine times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
