"""Tests with a cluster on this machine (``make test-cluster``). Ray has a separate Python environment."""

from __future__ import annotations

import os

from tests.cluster.tier import PYTHON

if PYTHON not in os.environ:
    collect_ignore_glob = ["*"]
