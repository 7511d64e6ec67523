"""Every file in the list of slow files exists."""

from __future__ import annotations

from tests.services import ROOT
from tests.slow import slow_files


def test_each_slow_file_exists_and_has_a_reason() -> None:
    for name, slow in slow_files().items():
        assert (ROOT / name).is_file(), name
        assert slow.why, name
