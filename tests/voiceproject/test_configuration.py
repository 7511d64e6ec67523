"""docs/configuration.md agrees with settings.py."""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings

from voiceproject.setting_rules import RULES

ROOT = Path(settings.BASE_DIR)


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    code = (ROOT / "voiceproject" / "settings.py").read_text()
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_0-9]+)"', code))
    page = (ROOT / "docs" / "configuration.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z_0-9]+)` \|", page, re.MULTILINE))
    assert read == documented


def test_the_documented_defaults_are_the_defaults() -> None:
    code = (ROOT / "voiceproject" / "settings.py").read_text()
    page = (ROOT / "docs" / "configuration.md").read_text()
    documented = dict(re.findall(r"^\| `([A-Z_0-9]+)` \| `([^`]*)` \|", page, re.MULTILINE))
    for name, default in re.findall(r'env\.\w+\("([A-Z_0-9]+)", default=("[^"]*"|[\d_.]+|True|False)\)', code):
        value = default.strip('"').replace("_", "" if default[0].isdigit() else "_")
        if value:
            assert _same(documented[name], value), f"{name}: documented {documented[name]}, default {value}"


def _same(documented: str, default: str) -> bool:
    try:
        return float(documented) == float(default)
    except ValueError:
        return documented.lower() == default.lower()


def test_only_the_settings_read_the_environment() -> None:
    folders = "asr capacity core dashboard gateway inference model_store rollout spoken_text tts usage voiceproject"
    readers = [
        path.relative_to(ROOT).as_posix()
        for folder in folders.split()
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"os\.(environ|getenv)\b", path.read_text())
    ]
    # Of these modules, two pass the environment to a child process, and two set the settings module. The others limit
    # numpy's threads before numpy is imported, make CTranslate2 use AVX-512, respect an operator's settings of malloc,
    # find the C compiler that ``$CC`` names, or read the environment for settings.py.
    allowed = [
        "asr/decoder_process.py",
        "asr/native/build.py",
        "asr/tuning.py",
        "inference/memory.py",
        "inference/ray_app.py",
        "model_store/packages.py",
        "voiceproject/__init__.py",
        "voiceproject/asgi.py",
        "voiceproject/environment.py",
    ]
    assert sorted(readers) == allowed


def test_every_setting_has_a_rule() -> None:
    code = (ROOT / "voiceproject" / "settings.py").read_text()
    assert set(re.findall(r'env\.\w+\(\s*"([A-Z_0-9]+)"', code)) == set(RULES)
