"""Coqui's own tests: `make test-coqui` runs them in an environment that has it, with a checkpoint made beforehand."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("TTS") is None:
    collect_ignore_glob = ["*"]
