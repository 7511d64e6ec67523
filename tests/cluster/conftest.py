"""A cluster on this machine: `make test-cluster` runs these, with an environment of their own for Ray."""

from __future__ import annotations

import os

from tests.cluster.tier import PYTHON

if PYTHON not in os.environ:
    collect_ignore_glob = ["*"]
