"""The settings of the service for a test run, with its state in a temporary folder."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

if "VOICE_STATE_DIR" not in os.environ:
    os.environ["VOICE_STATE_DIR"] = tempfile.mkdtemp(prefix="voice-tests-")
    atexit.register(shutil.rmtree, os.environ["VOICE_STATE_DIR"], ignore_errors=True)

if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # each worker has a separate state directory
    state = Path(os.environ["VOICE_STATE_DIR"]) / worker
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ["VOICE_STATE_DIR"] = str(state)

# Small models that are always available. Tests that need real weights use the fixtures ``whisper_base`` and ``kokoro``.
os.environ.setdefault("VOICE_ASR_MODEL", "whisper-ms-demo")
os.environ.setdefault("VOICE_TTS_MODEL", "espeak-ng")

from voiceproject.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # a secure one takes 0.2 s for each login
VOICE_ASR_WAIT_S = VOICE_TTS_WAIT_S = 0.0  # no limit, because tests would fail on a busy machine
