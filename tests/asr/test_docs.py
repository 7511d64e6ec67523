"""The code examples in docs/realtime.md work as printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import sound
from tests.services import ROOT, Served

PAGE = (ROOT / "docs" / "realtime.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)


def run(command: list[str], folder: Path, service: Served) -> str:
    environment = os.environ | {"VOICE_URL": service.url, "VOICE_KEY": service.key}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("program", PROGRAMS, ids=["sdk", "plain"])
def test_the_documented_programs_transcribe_speech(program: str, tmp_path: Path, served_service: Served) -> None:
    (tmp_path / "malay.wav").write_bytes(sound.wav(sound.said("selamat pagi semua")))
    assert "pagi" in run([sys.executable, "-c", program], tmp_path, served_service)


def test_the_commands_work(tmp_path: Path, served_service: Served) -> None:
    [command] = COMMANDS
    assert '"value": "ek_' in run(["bash", "-c", command], tmp_path, served_service).replace('":"', '": "')
