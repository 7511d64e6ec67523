"""Developer tools for planning, load tests, benchmarks, training and demo data. No container image includes them.

Some tools need packages that requirements.txt does not list. If such a package is missing, the tool prints one line
that says what to install. This works for ``manage.py COMMAND`` and for ``python -m tools.…``.
"""

from __future__ import annotations

import sys
from types import TracebackType

_DEV = "make setup-dev"
_TRAIN = "pip install -r requirements-train.txt"
INSTALLED_BY = {
    **dict.fromkeys(("locust", "gevent", "websocket", "matplotlib", "fastapi", "multipart", "pytest", "PIL"), _DEV),
    **dict.fromkeys(("torch", "transformers", "scipy", "onnx"), _TRAIN),
    "ray": "pip install -r requirements-cluster.txt",
    "TTS": "pip install -r requirements-coqui.txt",
}


def what_is_missing(error: ModuleNotFoundError) -> str | None:
    """Return a line that says how to install the missing package; None if no extra requirements file contains it."""
    package = (error.name or "").partition(".")[0]
    if package not in INSTALLED_BY:
        return None
    return f"This needs {package}, which is not installed: {INSTALLED_BY[package]}"


def _excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    line = what_is_missing(error) if isinstance(error, ModuleNotFoundError) else None
    if line is None:
        _previous_hook(kind, error, traceback)
    else:
        print(line, file=sys.stderr)


_previous_hook = sys.excepthook
sys.excepthook = _excepthook
