"""Tests of Coqui: ``make test-coqui`` makes a checkpoint, and runs these tests in an environment with Coqui."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("TTS") is None:
    collect_ignore_glob = ["*"]
