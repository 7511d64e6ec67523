"""Check the simulation: predict the latencies of load tests, run the load tests, and compare.

    python -m tools.benchmarks.simulation [seconds] [--loads ASR TTS both]

A temporary service is started, and its rates (the machine time per request) are measured with 1 and 24 callers. From
these rates, the 95th percentile of the latency is predicted for 10, 50 and 100 callers, before any of these loads is
run. Each caller sends the next request as soon as the last one is answered. The callers share the machine's cores with
the service, both in the simulation and in the measurement. A run should last several times as long as its slowest
answer: 8 s for the bundled model, 20 s for Whisper base.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import dataclass

from tools.benchmarks import environment

environment.prepare()

from tools.benchmarks import batch_times, through_http  # noqa: E402
from tools.benchmarks import rates as measuring  # noqa: E402
from tools.benchmarks.client import Client  # noqa: E402
from tools.benchmarks.workload import Call, closed_loop  # noqa: E402
from tools.planning.rates import Rates  # noqa: E402
from tools.planning.simulation.closed import ClosedLoop, one_machine  # noqa: E402

CALLERS = (10, 50, 100)
LOADS = {"ASR": 1.0, "TTS": 0.0, "both": 0.5}
TARGET = 0.25  # allowed relative error of a predicted 95th percentile


@dataclass(frozen=True)
class Check:
    """A predicted load compared with its measurement.

    ``load``: the load, a key of ``LOADS``.
    ``callers``: how many callers there were.
    ``predicted_s``: the predicted 95th percentile of the latency, in seconds.
    ``measured_s``: the measured 95th percentile.
    ``with_its_cores_s``: the prediction for the number of cores that were available during the run.
    ``per_second``: the predicted and the measured number of answers per second.
    ``cores``: the number of cores that were available during the run.
    """

    load: str
    callers: int
    predicted_s: float
    measured_s: float
    with_its_cores_s: float
    per_second: tuple[float, float]
    cores: float

    @property
    def error(self) -> float:
        """The relative error of the prediction; positive if the prediction is too high."""
        return self.predicted_s / self.measured_s - 1

    @property
    def error_with_its_cores(self) -> float:
        """The relative error of the prediction for the cores that were available during the run."""
        return self.with_its_cores_s / self.measured_s - 1


def predict(rates: Rates, load: str, callers: int, seconds: float, cores: float | None = None) -> tuple[float, float]:
    """Return the predicted 95th percentile of the latency in seconds, and the predicted answers per second.

    ``load``: a key of ``LOADS``.
    ``seconds``: how long the callers send requests.
    ``cores``: the number of cores; None for the number that the rates were measured with.
    """
    answers = one_machine(rates, ClosedLoop(callers, seconds, LOADS[load]), cores=cores)
    return answers.percentile_s(95), answers.per_second_to_the_last


@dataclass(frozen=True)
class Prediction:
    """The prediction for one load: the 95th percentile of the latency in seconds, and the answers per second."""

    load: str
    callers: int
    p95_s: float
    per_second: float


async def one(service: measuring.Observed, call: Call, rates: Rates, prediction: Prediction, seconds: float) -> Check:
    """Run one load, and return the comparison of its result with its ``prediction``."""
    spent = await measuring.spend(service, lambda: closed_loop(call, concurrency=prediction.callers, seconds=seconds))
    if spent.result.failures:
        print(f"{prediction.load}, {prediction.callers} callers: {spent.result.failures} failed")
    again, _ = predict(rates, prediction.load, prediction.callers, seconds, spent.cores)
    measured_s = spent.result.percentile_ms(95) / 1000
    per_second = (prediction.per_second, spent.result.per_second)
    return Check(prediction.load, prediction.callers, prediction.p95_s, measured_s, again, per_second, spent.cores)


async def check(seconds: float, loads: list[str]) -> list[Check]:
    """Predict the results of all loads, then run them.

    Return one comparison per combination of load and number of callers.
    """
    engines = await batch_times.measure(measuring.BATCH_SHARE * seconds)
    with measuring.observed() as service:
        rates = await measuring.loaded(service, seconds, engines)
        predicted = {
            (load, callers): predict(rates, load, callers, seconds) for load in loads for callers in CALLERS
        }  # predicted before any load is run
        print(f"{rates.asr_model}, {rates.tts_engine}: measured with {measuring.BUSY} callers")
        print(
            f"{rates.cores:.2f} cores were available; threads take {rates.asr.stall:.2f} times (ASR) and "
            f"{rates.tts.stall:.2f} times (TTS) their processor time",
            flush=True,
        )
        async with Client(service.url, service.headers()) as client:
            asr = through_http.succeeds(through_http.asr(client))
            tts = through_http.succeeds(through_http.tts(client))
            calls: dict[str, Call] = {"ASR": asr, "TTS": tts}
            calls["both"] = lambda number: (asr if number % 2 else tts)(number)
            return [
                await one(service, calls[load], rates, Prediction(load, callers, *prediction), seconds)
                for (load, callers), prediction in predicted.items()
            ]


def table(checks: list[Check]) -> str:
    lines = [f"{'load':<6}{'callers':>8}{'p95 predicted':>14}{'measured':>10}{'error':>8}{'answers/s':>16}{'cores':>7}"]
    lines[0] += f"{'with these':>12}"
    lines += [
        f"{each.load:<6}{each.callers:>8}{each.predicted_s:>12.2f} s{each.measured_s:>8.2f} s{each.error:>+8.0%}"
        f"{each.per_second[0]:>8.1f} /{each.per_second[1]:>6.1f}{each.cores:>7.2f}"
        f"{each.with_its_cores_s:>7.2f} {each.error_with_its_cores:>+4.0%}"
        for each in checks
    ]
    blind = sum(abs(each.error) <= TARGET for each in checks)
    informed = sum(abs(each.error_with_its_cores) <= TARGET for each in checks)
    lines.append(f"predicted before the run, within {TARGET:.0%}: {blind} of {len(checks)}")
    lines.append(f"with the cores that the run turned out to have, within {TARGET:.0%}: {informed} of {len(checks)}")
    lines.append("cores: what the run used, and what was idle; the rest went to other programs")
    return "\n".join(lines)


async def main(seconds: float, loads: list[str]) -> int:
    print(environment.machine())
    checks = await check(seconds, loads)
    print(table(checks))
    return 0 if all(abs(each.error) <= TARGET for each in checks) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("seconds", nargs="?", type=float, default=8.0, help="of each load (default: 8)")
    parser.add_argument("--loads", nargs="+", choices=list(LOADS), default=list(LOADS))
    wanted = parser.parse_args()
    sys.exit(asyncio.run(main(wanted.seconds, wanted.loads)))
