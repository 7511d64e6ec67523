"""A change of phase needs no restart, because settings that differ between phases are read again from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from capacity import deployment


@pytest.fixture
def later(monkeypatch):
    """A function that advances simulated time until files are read again."""
    now = [0.0]
    monkeypatch.setattr("capacity.deployment.time.monotonic", lambda: now[0])

    def pass_by() -> None:
        now[0] += deployment.READ_EVERY_S

    return pass_by


def test_it_works(tmp_path: Path, settings, later) -> None:
    settings.VOICE_MAX_CONCURRENT_USERS = 7
    settings.VOICE_PHASE = 1
    assert (deployment.max_users(), deployment.phase()) == (7, 1)
    settings.VOICE_PHASE_DIR = str(tmp_path)
    assert (deployment.max_users(), deployment.phase()) == (7, 1), "no files: the settings"
    later()
    (tmp_path / "VOICE_MAX_CONCURRENT_USERS").write_text("200\n")
    (tmp_path / "VOICE_PHASE").write_text("2")
    assert (deployment.max_users(), deployment.phase()) == (200, 2)
    (tmp_path / "VOICE_PHASE").write_text("3")
    assert deployment.phase() == 2, "not read for every request"
    later()
    assert deployment.phase() == 3


@pytest.mark.parametrize("text", ["many", "", "2.5"])
def test_an_unusable_file_is_ignored(text: str, tmp_path: Path, settings, later) -> None:
    settings.VOICE_PHASE_DIR = str(tmp_path)
    settings.VOICE_MAX_CONCURRENT_USERS = 7
    (tmp_path / "VOICE_MAX_CONCURRENT_USERS").write_text(text)
    assert deployment.max_users() == 7
