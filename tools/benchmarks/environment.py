"""Set up Django with a temporary state folder for benchmarks, and describe the machine."""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path


def prepare() -> None:
    """Set up Django with a temporary state folder, unless Django is set up already.

    In a test that imports a benchmark, Django is set up already. The environment variables must then stay as they are,
    because the services that the test starts inherit them.
    """
    from django.apps import apps

    if apps.ready:
        return
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
    os.environ.setdefault("VOICE_STATE_DIR", tempfile.mkdtemp(prefix="voice-bench-"))
    os.environ.setdefault("VOICE_TTS_CACHE_BYTES", "0")  # speech is synthesised each time, not taken from the cache
    os.environ.setdefault("VOICE_LOG_LEVEL", "WARNING")
    import django

    django.setup()


def processor() -> str:
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return model


def machine() -> str:
    """Return a line that describes the machine: its CPU, cores, Python version and current load average."""
    load = os.getloadavg()[0]
    return f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f} before"
