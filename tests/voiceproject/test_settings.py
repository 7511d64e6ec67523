"""Settings that cannot work are reported at start, by name and with the allowed values."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from django.conf import settings

from voiceproject.setting_rules import RULES

ROOT = Path(settings.BASE_DIR)
BAD = {
    "PORT": ["abc", "70000", "-1"],
    "OTEL_EXPORTER_OTLP_ENDPOINT": ["collector:4318", "ftp://x"],
    "REDIS_URL": ["http://localhost:6379", "localhost:6379", "redis://"],
    "DATABASE_URL": ["nonsense", "mysql://localhost/voice", "http://x"],
    "DEBUG": ["perhaps"],
    "VOICE_CPU_THREADS": ["-2", "many"],
    "VOICE_DEADLINE_S": ["nan", "inf", "0"],
    "VOICE_LOG_LEVEL": ["LOUD"],
    "VOICE_TIME_ZONE": ["Asia/Nowhere"],
    "VOICE_MAX_UPLOAD_BYTES": ["-5"],
    "VOICE_JWT_SECRET": ["short"],
    "VOICE_JWT_JWKS_URL": ["keys.example.com"],
    "VOICE_INFERENCE_URL": ["inference:8000", "http://ok:8000,other"],
    "VOICE_RAY_ASR_REPLICAS": ["4-1", "0", "x"],
    "VOICE_ASR_BATCH": ["0"],
    "VOICE_ASR_BEAM": ["-1", "2.5"],
    "VOICE_ASR_BUSY_BEAM": ["0", "two"],
    "VOICE_ASR_CONTEXT": ["short"],
    "VOICE_ASR_LANGUAGES": ["ms,klingon", ","],
    "VOICE_ASR_NATIVE": ["on"],
    "VOICE_ASR_QUEUE": ["0"],
    "VOICE_TTS_CACHE_BYTES": ["-1"],
    "VOICE_ALERT_WEBHOOKS": ["hooks.example.com/x"],
    "VOICE_EMAIL_URL": ["nonsense://"],
    "VOICE_SUMMARY_EMAILS": ["puteri", "zh:puteri@example.com", f"{'p' * 250}@example.com"],
    "VOICE_STATE_DIR": ["/proc/nothing"],
}


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ``manage.py`` with these environment variables."""
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "voiceproject.settings", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_check_reports_all_invalid_settings_together(tmp_path: Path) -> None:
    environment = {"VOICE_STATE_DIR": str(tmp_path), **{name: values[0] for name, values in BAD.items()}}
    found = run("check", **environment)
    assert found.returncode != 0
    named = set(re.findall(r"\(voice\.E001\) (\w+): ", found.stderr))
    assert named == set(BAD)
    assert "Traceback" not in found.stderr
    assert "short" not in re.findall(r"VOICE_JWT_SECRET.*", found.stderr)[0].replace("at least", "")


def test_nothing_is_served_with_an_invalid_setting(tmp_path: Path) -> None:
    found = run("serve", VOICE_STATE_DIR=str(tmp_path), VOICE_ASR_BATCH="0", PORT="0")
    assert found.returncode != 0
    assert "VOICE_ASR_BATCH: '0' cannot be used. It must be at least 1." in found.stderr
    assert "Traceback" not in found.stderr


def _module(**environment: str) -> list[str]:
    """Return the names of the settings that are reported as wrong, without starting Django."""
    script = "from voiceproject import settings; print(*[p.name for p in settings.SETTING_PROBLEMS])"
    made = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    return made.stdout.split()


def test_every_setting_refuses_invalid_values(tmp_path: Path) -> None:
    for round_ in range(max(map(len, BAD.values()))):
        values = {name: values[round_] for name, values in BAD.items() if len(values) > round_}
        assert sorted(_module(**{"VOICE_STATE_DIR": str(tmp_path), **values})) == sorted(values)


def test_defaults_and_empty_values_are_valid(tmp_path: Path) -> None:
    assert _module(**{**dict.fromkeys(RULES, ""), "VOICE_STATE_DIR": str(tmp_path)}) == []
