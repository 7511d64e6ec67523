"""Normal callers are served well while hostile clients attack the service.

With ``make test-hostile`` the attacks last ten minutes, otherwise six seconds. The callers send requests at a fixed
rate, so their throughput with and without attacks can be compared. In less than a minute, throughput and p95 vary too
much on a busy machine to be judged, so they are only printed. The other checks always apply: callers are answered,
memory hardly grows, and the service stays ready and has no internal errors.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests import sound
from tests.hostile.attackers import attacked
from tests.hostile.memory import resident_mib
from tests.services import Served, served

DURATION_S = float(os.environ.get("DURATION", "6"))
LONG_S = 60.0
ALONE_S = 5.0 if DURATION_S < LONG_S else max(30.0, DURATION_S / 10)
CALLERS = 3
PACE_S = 1.5
MAX_S = 30.0
MIN_SHARE = 0.95
MAX_P95_TIMES = 2.0
MAX_GROWTH_MIB = 200.0


@dataclass
class Seen:
    """What the normal callers experienced in one phase.

    ``seconds``: the length of the phase.
    ``took_s``: the duration of each successful request in seconds.
    ``refused``: the status or error of each other request.
    """

    seconds: float = 0.0
    took_s: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return len(self.took_s) / self.seconds

    @property
    def p95_s(self) -> float:
        return sorted(self.took_s)[int(0.95 * (len(self.took_s) - 1))]

    @property
    def success(self) -> float:
        return len(self.took_s) / (len(self.took_s) + len(self.refused))


async def _caller(service: Served, number: int, seen: Seen, until: float) -> None:
    clip = sound.wav(sound.said("selamat pagi semua"))
    headers = service.headers(**{"X-Voice-User": f"pengguna-{number}"})
    async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=MAX_S) as client:
        turn = 0
        while time.monotonic() < until:
            turn += 1
            began = time.monotonic()
            try:
                if turn % 2:
                    body = {"model": "tts-1", "input": f"Selamat pagi, ini ayat {number} {turn}."}
                    answer = await client.post("/v1/audio/speech", json=body)
                else:
                    form = {"model": "whisper-1", "language": "ms"}
                    answer = await client.post("/v1/audio/transcriptions", files={"file": ("a.wav", clip)}, data=form)
            except httpx.HTTPError as error:
                seen.refused.append(type(error).__name__)
            else:
                took_s = time.monotonic() - began
                seen.took_s.append(took_s) if answer.is_success else seen.refused.append(str(answer.status_code))
            await asyncio.sleep(max(0.0, PACE_S - (time.monotonic() - began)))


async def _phase(service: Served, seconds: float) -> Seen:
    seen = Seen()
    began = time.monotonic()
    await asyncio.gather(*(_caller(service, number, seen, began + seconds) for number in range(CALLERS)))
    seen.seconds = time.monotonic() - began
    return seen


@pytest.mark.timeout(DURATION_S + ALONE_S + 240)
async def test_hostile_clients_harm_nobody_else(tmp_path: Path) -> None:
    with served(tmp_path, VOICE_ASR_MODEL="whisper-ms-demo", VOICE_TTS_MODEL="espeak-ng") as service:
        await _phase(service, 3)  # warm-up
        alone = await _phase(service, ALONE_S)
        rest_mib = resident_mib(service.process.pid)
        async with attacked(service) as attack:
            beside = await _phase(service, DURATION_S)
        growth_mib = resident_mib(service.process.pid) - rest_mib
        await asyncio.sleep(1)
        async with httpx.AsyncClient(timeout=MAX_S) as client:
            alive = (await client.get(f"{service.url}/readyz")).status_code
    print(f"\n{'callers':<18}{'a second':>10}{'p95, s':>10}{'answered':>10}")
    for name, seen in (("alone", alone), ("beside attackers", beside)):
        print(f"{name:<18}{seen.per_second:>10.2f}{seen.p95_s:>10.2f}{seen.success:>10.1%}")
    print(f"memory {rest_mib:.0f} MiB, {growth_mib:+.0f}; tried {attack.done}; told {attack.answers}")
    assert alive == 200
    assert beside.success >= MIN_SHARE, beside.refused
    assert growth_mib <= MAX_GROWTH_MIB
    assert not {code for code in attack.answers if code >= 500 and code != 503}
    if DURATION_S >= LONG_S:
        assert beside.per_second >= MIN_SHARE * alone.per_second
        assert beside.p95_s <= MAX_P95_TIMES * alone.p95_s
