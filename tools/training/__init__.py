"""How the bundled model is trained. See README.md in this folder."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads would take the cores that PyTorch computes on
