"""Percentages of the roll-out, checked on 100,000 end users."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pytest
from django.conf import settings

from rollout.feature import Feature
from rollout.percentage import QUEUE, is_within, queue_position

IDS = [f"user-{number}" for number in range(100_000)]


def enabled(percent: str, queue: str = QUEUE) -> set[str]:
    return {user for user in IDS if is_within(user, Decimal(percent), queue)}


@pytest.mark.parametrize("queue", list(Feature))
def test_the_share_is_as_set_and_raising_it_removes_nobody(queue: Feature) -> None:
    before: set[str] = set()
    for percent in ("5", "7", "10"):
        now = enabled(percent, queue)
        assert abs(100 * len(now) / len(IDS) - float(percent)) <= 0.3
        assert before < now
        before = now


def test_zero_and_one_hundred_percent() -> None:
    assert enabled("0") == set()
    assert enabled("100") == set(IDS)
    assert 0 < len(enabled("0.01")) < 40


def test_lowering_removes_those_who_were_added_last() -> None:
    at_5, at_7, at_10 = (enabled(percent) for percent in ("5", "7", "10"))
    latest = at_10 - at_7
    assert at_10 - latest == at_7
    assert at_7 - (at_7 - at_5) == at_5


def test_queues_are_independent_of_each_other() -> None:
    asr = enabled("10", "asr")
    tts = enabled("10", "tts")
    assert abs(100 * len(asr & tts) / len(IDS) - 1.0) <= 0.15  # ten per cent of ten per cent


def test_another_process_computes_the_same_positions() -> None:
    program = "from rollout.percentage import queue_position; print([queue_position(f'user-{n}') for n in range(50)])"
    for seed in ("0", "1"):  # Python's hash seed must have no influence
        output = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            cwd=settings.BASE_DIR,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert output.strip() == str([queue_position(user) for user in IDS[:50]])


def test_positions_never_change() -> None:
    """If the positions of users changed, some users would get voice and others would lose it."""
    assert queue_position("user-1") == 0x1E3E297492303658
