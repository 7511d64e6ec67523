"""A cluster on this machine: `make test-cluster` runs these, with an environment of their own for Ray."""

from __future__ import annotations

import os

PYTHON = "VOICE_TEST_CLUSTER_PYTHON"  # of the environment that has Ray; the API processes run without it

if PYTHON not in os.environ:
    collect_ignore_glob = ["*"]
