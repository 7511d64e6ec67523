"""Does the simulation foretell what a load test then finds?

    python -m benchmarks.simulation [seconds]

On a throw-away service: rates are measured with 1 and 24 callers, the 95th percentile at 10, 50 and 100 callers is
foretold from them, and only then are these loads run. Callers ask again as soon as they are answered; they share the
cores with the service, and so they do in the simulation.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

import aiohttp

from benchmarks import environment

environment.prepare()

from benchmarks import rates as measuring  # noqa: E402
from benchmarks.work import Call, clips, closed_loop  # noqa: E402
from capacity.planner.rates import Rates  # noqa: E402
from capacity.simulation.closed import ClosedLoop, one_machine  # noqa: E402

CALLERS = (10, 50, 100)
LOADS = {"ASR": 1.0, "TTS": 0.0, "ASR and TTS": 0.5}
GOAL = 0.25  # how far off a foretold 95th percentile may be


@dataclass(frozen=True)
class Check:
    load: str
    callers: int
    foretold_s: float
    measured_s: float
    with_its_cores_s: float
    per_second: tuple[float, float]
    cores: float

    @property
    def error(self) -> float:
        return self.foretold_s / self.measured_s - 1


def foretell(rates: Rates, load: str, callers: int, seconds: float, cores: float | None = None) -> tuple[float, float]:
    """The 95th percentile in seconds, and answers per second."""
    answers = one_machine(rates, ClosedLoop(callers, seconds, LOADS[load]), cores=cores)
    return answers.percentile_s(95), answers.per_second


async def check(seconds: float) -> tuple[Rates, list[Check]]:
    fits, about = await measuring.batch_times()
    with measuring.observed() as service:
        rates = await measuring.loaded(service, seconds, fits, about)
        foretold = {
            (load, callers): foretell(rates, load, callers, seconds) for load in LOADS for callers in CALLERS
        }  # before any of it is run
        print(f"measured with {measuring.BUSY} callers; then {rates.cores:.2f} cores were there to be had")
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=service.headers()) as session:
            asr = measuring.speech_to_text(session, service.url, clips())
            tts = measuring.text_to_speech(session, service.url)
            calls: dict[str, Call] = {"ASR": asr, "TTS": tts}
            calls["ASR and TTS"] = lambda number: (asr if number % 2 else tts)(number)
            checks: list[Check] = []
            for (load, callers), (p95_s, per_second) in foretold.items():
                spent = await measuring.spend(
                    service,
                    lambda load=load, callers=callers: closed_loop(calls[load], concurrency=callers, seconds=seconds),  # type: ignore[misc]
                )
                again, _ = foretell(rates, load, callers, seconds, spent.cores)
                measured = spent.result.percentile_ms(95) / 1000
                rate = spent.result.per_second
                checks.append(Check(load, callers, p95_s, measured, again, (per_second, rate), spent.cores))
                if spent.result.failures:
                    print(f"{load}, {callers} callers: {spent.result.failures} failed")
    return rates, checks


def table(checks: list[Check]) -> str:
    lines = [f"{'load':<13}{'callers':>8}{'p95 foretold':>14}{'measured':>10}{'error':>8}{'answers/s':>16}{'cores':>7}"]
    lines[0] += f"{'with these':>12}"
    for one in checks:
        lines.append(
            f"{one.load:<13}{one.callers:>8}{one.foretold_s:>12.2f} s{one.measured_s:>8.2f} s{one.error:>+8.0%}"
            f"{one.per_second[0]:>8.1f} /{one.per_second[1]:>6.1f}{one.cores:>7.2f}"
            f"{one.with_its_cores_s:>7.2f} {one.with_its_cores_s / one.measured_s - 1:>+4.0%}"
        )
    within = sum(abs(one.error) <= GOAL for one in checks)
    lines.append(f"within {GOAL:.0%}: {within} of {len(checks)}")
    lines.append(
        "cores: what the run had with what was idle, the rest being other programs'; with these: foretold for them"
    )
    return "\n".join(lines)


async def main(seconds: float) -> int:
    print(environment.machine())
    _rates, checks = await check(seconds)
    print(table(checks))
    return 0 if all(abs(one.error) <= GOAL for one in checks) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 8.0)))
