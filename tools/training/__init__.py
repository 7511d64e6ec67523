"""Train the bundled speech-to-text model, and make other bundled model files. See README.md in this folder."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # more threads would take cores from PyTorch
