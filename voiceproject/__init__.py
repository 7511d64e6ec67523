"""The Django project that joins all apps: settings, URLs, the ASGI application and the ``serve`` command."""

from __future__ import annotations

import os

VERSION = "0.3.0"  # CHANGELOG.md lists the changes of each version

# Give each matrix product one thread, because requests run in parallel and would otherwise compete for the cores. With
# one OpenBLAS thread per core, extracting the features of a 4 s clip took nine times as long. OpenBLAS reads the
# variable once, so set it before anything imports NumPy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
