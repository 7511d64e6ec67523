"""Tests with third-party clients, each in a separate environment: ``make test-clients``."""

from __future__ import annotations

import os

ENVIRONMENTS = "VOICE_TEST_CLIENTS"  # names the folder that scripts/test_clients.sh fills

if ENVIRONMENTS not in os.environ:
    collect_ignore_glob = ["*"]
