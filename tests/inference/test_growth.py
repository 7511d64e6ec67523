"""What the tier reports about its machines to an API process: its GPUs, and how many replicas may still start."""

from __future__ import annotations

import asyncio
import time

import pytest

from inference import tier as tiers
from inference.admission import AdmissionController, Admitted
from inference.errors import OverCapacity
from inference.tier import Tier
from tests.inference.unit_handlers import handler


async def never(_frame: bytes) -> None:
    await asyncio.Event().wait()


async def test_it_works() -> None:
    async with handler(never) as (tier_of_one, url):
        tier_of_one.replicas = {"espeak-ng": {"running": 1, "most": 4}}
        tier_of_one.gpus = [{"gpu": "GPU-1", "percent": 93.0, "memory_percent": 61.5}]
        tier = Tier([url])
        await tier.start("test")
        try:
            assert tier.growth("espeak-ng") == 4
            assert tier.growth("asr") == 1
            assert [(one.percent, one.memory_percent) for one in tier.gpus()] == [(93.0, 61.5)]
        finally:
            await tier.leave("test")


async def test_growth_is_one_without_a_recent_report(monkeypatch: pytest.MonkeyPatch) -> None:
    async with handler(never) as (silent, url):
        tier = Tier([url])
        await tier.start("test")
        try:
            assert tier.growth("espeak-ng") == 1
            assert tier.gpus() == []
            silent.replicas = {"espeak-ng": {"running": 2, "most": 3}}
            while tier.growth("espeak-ng") == 1:
                await asyncio.sleep(0.05)
            later = time.monotonic() + 2 * tiers.READINGS_FRESH_S
            monkeypatch.setattr(time, "monotonic", lambda: later)
            assert tier.growth("espeak-ng") == 1
        finally:
            monkeypatch.undo()
            await tier.leave("test")


class Growing:
    """Admission control with a wait of at most 2 s, for an engine that handles 10 units per second.

    ``growth``: the factor by which the engine may still grow.
    """

    def __init__(self, growth: float) -> None:
        self.growth = growth
        self.now = 100.0
        self.waiting: list[Admitted] = []
        self.controller = AdmissionController(
            longest_s=2.0,
            most=1000,
            cost_per_byte=0.001,
            max_counted_cost=5.0,
            growth=lambda: self.growth,
            clock=lambda: self.now,
        )
        inside = [self.controller.enter(1000) for _ in range(8)]
        for _ in range(100):
            self.now += 0.1
            inside.pop(0).leave(done=True)
            inside.append(self.controller.enter(1000))
        for admitted in inside:
            admitted.leave(done=False)

    def filled(self) -> int:
        """Let requests enter until one is refused; return how many were admitted."""
        with pytest.raises(OverCapacity):
            while True:
                self.waiting.append(self.controller.enter(1000))
        return len(self.waiting)


@pytest.mark.parametrize(("growth", "let_in"), [(1.0, 21), (3.0, 61)])
def test_admission_counts_replicas_that_are_starting(growth: float, let_in: int) -> None:
    """Requests are admitted until 2 s of work for all possible replicas are waiting: 20 units for each replica."""
    assert Growing(growth).filled() == let_in


def test_requests_that_waited_for_replicas_do_not_delay_others_afterwards() -> None:
    """Once three replicas run, nobody is refused, even before their rate (30 units per second) has been measured."""
    growing = Growing(3.0)
    assert growing.filled() == 61
    assert growing.controller.wait_s == pytest.approx(6.1, rel=0.01)
    growing.growth = 1.0
    assert growing.controller.wait_s == pytest.approx(2.03, rel=0.01)
    for admitted in growing.waiting[:2]:
        admitted.leave(done=True)
    growing.controller.enter(1000)
