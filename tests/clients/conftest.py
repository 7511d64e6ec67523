"""Other people's clients: `make test-clients` runs these, with environments of the clients' own."""

from __future__ import annotations

import os

ENVIRONMENTS = "VOICE_TEST_CLIENTS"  # the folder that scripts/test_clients.sh fills

if ENVIRONMENTS not in os.environ:
    collect_ignore_glob = ["*"]
