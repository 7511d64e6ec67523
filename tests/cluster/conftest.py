"""Tests with a cluster on this machine, and a separate environment for Ray: ``make test-cluster``."""

from __future__ import annotations

import os

from tests.cluster.tier import PYTHON

if PYTHON not in os.environ:
    collect_ignore_glob = ["*"]
