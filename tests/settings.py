"""The service's settings as a test run wants them: state in a directory of its own, gone afterwards."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

if "VOICE_STATE_DIR" not in os.environ:
    os.environ["VOICE_STATE_DIR"] = tempfile.mkdtemp(prefix="voice-tests-")
    atexit.register(shutil.rmtree, os.environ["VOICE_STATE_DIR"], ignore_errors=True)

if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # tests in two processes share nothing
    state = Path(os.environ["VOICE_STATE_DIR"]) / worker
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ["VOICE_STATE_DIR"] = str(state)

# Small and always there; what needs real weights asks for the fixtures `whisper_base` and `kokoro`.
os.environ.setdefault("VOICE_ASR_MODEL", "whisper-ms-demo")
os.environ.setdefault("VOICE_TTS_MODEL", "espeak-ng")

from voiceproject.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # a real one takes half a second a login
VOICE_ASR_WAIT_S = VOICE_TTS_WAIT_S = 0.0  # how busy the machine is that runs the tests is nobody's business
