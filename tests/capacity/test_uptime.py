"""Uptime is measured by the service's own probes."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

from capacity import uptime
from capacity.models import Outage, ProbeDay
from tests.capacity.world import START
from tests.dependencies import free_port

STEP = timedelta(seconds=15)
MARCH = date(2026, 3, 1)


def test_it_works(db) -> None:
    for number in range(200):
        uptime.record(START + number * STEP, "status 503: draining" if 50 <= number < 52 else "")
    up = uptime.uptime(MARCH)
    assert (up.probes, up.failures, up.percent) == (200, 2, 99.0)
    outage = Outage.objects.get()
    assert (outage.began_at, outage.ended_at) == (START + 50 * STEP, START + 52 * STEP)
    assert outage.reason == "status 503: draining"


def test_months_are_in_the_services_time_zone(db) -> None:
    uptime.record(START.replace(month=3, day=31, hour=15), "")  # 23:00 in Kuala Lumpur
    uptime.record(START.replace(month=3, day=31, hour=17), "away")  # already April in Kuala Lumpur
    assert uptime.uptime(MARCH).percent == 100
    assert uptime.uptime(date(2026, 4, 9)).percent == 0
    assert uptime.uptime(date(2026, 5, 1)).percent is None
    assert ProbeDay.objects.count() == 2


def test_unwatched_time_counts_neither_as_up_nor_as_down(db) -> None:
    uptime.record(START, "away")
    uptime.record(START + timedelta(hours=5), "away")
    first, second = Outage.objects.order_by("began_at")
    assert (first.began_at, first.ended_at) == (START, START)
    assert (second.began_at, second.ended_at) == (START + timedelta(hours=5), None)
    assert uptime.uptime(MARCH).probes == 2


async def test_the_service_is_probed(server_address: str, voice_on) -> None:
    assert await asyncio.to_thread(uptime.probe, f"{server_address}/readyz") == ""
    missing = await asyncio.to_thread(uptime.probe, f"{server_address}/nowhere")
    assert missing.startswith("status 404")


def test_an_unreachable_service_is_down() -> None:
    assert uptime.probe(f"http://127.0.0.1:{free_port()}/readyz") == "no answer: ConnectError"
