"""Measure how the inference tier (the speech engines on Ray Serve) scales, and how long callers wait meanwhile.

    VOICE_TEST_CLUSTER_PYTHON=.venv-cluster/bin/python .venv/bin/python -m tools.benchmarks.tier_scaling

The benchmark starts Ray with 1 to 3 replicas of known speed (``tools.benchmarks.throttled``), and an API process in
front of it. The load is first below the capacity of one replica, then exceeds it, and then falls again. Requests are
sent at fixed times, whether or not earlier ones have been answered, and are not repeated. A summary is printed;
``--plots`` also draws a chart.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tools.benchmarks import environment

environment.prepare()

from core.percentiles import percentile  # noqa: E402
from tests import sound  # noqa: E402
from tests.cluster.tier import PYTHON, ray_tier  # noqa: E402
from tests.services import Served, served  # noqa: E402

UNITS_S = 8.0  # speech segments per second that one replica handles
MAX_REPLICAS = 3
# Parts of the load: requests per second, seconds. Two replicas can just handle the second part, without any reserve.
PLAN = ((4.0, 20.0), (16.0, 100.0), (2.0, 60.0))
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "tools.benchmarks.throttled_settings",
    "THROTTLED_UNITS_S": str(UNITS_S),
    "VOICE_RAY_ASR_REPLICAS": f"1-{MAX_REPLICAS}",
    "VOICE_RAY_TTS_REPLICAS": "1",
    "VOICE_RAY_INGRESS_REPLICAS": "1",
    # The default of five minutes would make the run too long.
    "VOICE_RAY_DOWNSCALE_DELAY_S": "20",
    # As in k8s/base/rayservice.yaml.
    "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "2",
    "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "2",
}
TIMEOUT_S = 40.0


@dataclass(frozen=True)
class Answer:
    """An answered request.

    ``at``: when the request was sent, in seconds from the start of the run.
    ``status``: the HTTP status.
    ``seconds``: how long the answer took.
    """

    at: float
    status: int
    seconds: float


@dataclass
class Observations:
    """The observations of one run.

    ``answers``: all answered requests.
    ``replicas``: pairs of a time, in seconds from the start of the run, and the number of running replicas.
    """

    answers: list[Answer] = field(default_factory=list)
    replicas: list[tuple[float, int]] = field(default_factory=list)

    def between(self, begin: float, end: float) -> list[Answer]:
        """Return the answers to requests that were sent between two times."""
        return [answer for answer in self.answers if begin <= answer.at < end]

    def first(self, count: int, after: float = 0.0) -> float | None:
        """Return the first time, not before ``after``, at which exactly ``count`` replicas were running.

        Times are seconds from the start of the run. Return None if there is no such time.
        """
        return next((at for at, running in self.replicas if running == count and at >= after), None)


def refused_percent(answers: list[Answer]) -> float:
    return 100 * sum(answer.status != 200 for answer in answers) / max(1, len(answers))


class Run:
    """A run that sends requests to an API process and records the number of replicas of its inference tier."""

    def __init__(self, api: Served, tier: str) -> None:
        self.observations = Observations()
        self._api = api
        self._tier = tier
        self._clip = sound.wav(sound.said("selamat pagi semua"))
        self._began = time.monotonic()
        self._asked: set[asyncio.Task[None]] = set()
        self._names = itertools.count()

    async def __aenter__(self) -> Run:
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, limits=httpx.Limits(max_connections=400))
        self._began = time.monotonic()
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watching.cancel()
        await asyncio.gather(self._watching, *self._asked, return_exceptions=True)
        await self._client.aclose()

    @property
    def at(self) -> float:
        """The seconds since the start of the run."""
        return time.monotonic() - self._began

    async def ask(self, per_second: float, seconds: float) -> None:
        """Send requests at a constant rate for this many seconds, without waiting for the answers."""
        begin = self.at
        for number in range(round(per_second * seconds)):
            await asyncio.sleep(max(0.0, begin + number / per_second - self.at))
            task = asyncio.create_task(self._one())
            self._asked.add(task)
            task.add_done_callback(self._asked.discard)

    async def _one(self) -> None:
        begin = self.at
        headers = self._api.headers(**{"X-Voice-User": f"pengguna-{next(self._names) % 50}"})
        files = {"file": ("a.wav", self._clip)}
        fields = {"model": "whisper-1", "language": "ms"}
        url = f"{self._api.url}/v1/audio/transcriptions"
        response = await self._client.post(url, headers=headers, files=files, data=fields)
        self.observations.answers.append(Answer(begin, response.status_code, self.at - begin))

    async def _watch(self) -> None:
        while True:
            status = (await self._client.get(f"{self._tier}/units/v1/status")).json()
            self.observations.replicas.append((self.at, status["replicas"].get("asr", {"running": 0})["running"]))
            await asyncio.sleep(0.5)


@contextmanager
def started(folder: Path, **settings: str) -> Iterator[tuple[Served, str]]:
    """Start the inference tier and an API process; yield the API process and the tier's address."""
    (folder / "tier").mkdir()
    with (
        ray_tier(folder / "tier", **{**SETTINGS, **settings}) as tier,
        # All requests come from one client application, as from the chat product, so its rate limit is off.
        served(folder, VOICE_INFERENCE_URL=tier.url, VOICE_RATE_LIMIT="0") as api,
    ):
        yield api, tier.url


async def follow_plan(api: Served, tier: str) -> Observations:
    """Send the load of ``PLAN`` to an API process, and return the observations."""
    async with Run(api, tier) as run:
        for per_second, seconds in PLAN:
            await run.ask(per_second, seconds)
            print(f"{run.at:5.0f} s  {per_second:g} requests a second: done", flush=True)
    return run.observations


def summary(observations: Observations) -> Iterator[str]:
    """Yield lines of text: when the number of replicas changed, then refusals and latency for each part of the run."""
    changes = [observations.replicas[0], *(b for a, b in itertools.pairwise(observations.replicas) if a[1] != b[1])]
    yield "replicas: " + ", ".join(f"{running} from {at:.0f} s" for at, running in changes)
    begin = PLAN[0][1]
    full = observations.first(MAX_REPLICAS) or float("inf")
    rush = begin + PLAN[1][1]
    for name, start, end in (
        ("before", 0.0, begin),
        (f"while the replicas come ({min(full, rush) - begin:.0f} s)", begin, min(full, rush)),
        (f"with {MAX_REPLICAS} replicas", min(full, rush), rush),
        ("afterwards", rush, float("inf")),
    ):
        if answers := observations.between(start, end):
            p95 = percentile([answer.seconds for answer in answers if answer.status == 200] or [0.0], 95)
            yield f"{name}: {len(answers)} requests, {refused_percent(answers):.1f} % refused, p95 {p95:.2f} s"


def draw(observations: Observations, folder: Path) -> list[Path]:
    """Draw the requests, latencies and replicas over time. Save the picture in ``folder``; return its files' paths."""
    import matplotlib.pyplot as plt

    from tools.planning.plots import BLUE, GREEN, GREY, ORANGE, STYLE, save

    seconds = range(int(sum(part for _rate, part in PLAN)))
    each = [observations.between(second, second + 1) for second in seconds]
    with plt.rc_context(STYLE):
        figure, (asked, wait, replicas) = plt.subplots(3, 1, figsize=(9, 7.4), sharex=True, layout="constrained")
        served_s = [sum(answer.status == 200 for answer in answers) for answers in each]
        refused = [sum(answer.status != 200 for answer in answers) for answers in each]
        asked.stackplot(seconds, served_s, refused, colors=[BLUE, ORANGE], labels=["served", "refused"], step="post")
        asked.axhline(UNITS_S, color=GREY, linestyle="--", label="what one replica can do")
        asked.set(title="Requests a second, by when they came", ylim=(0, None))
        asked.legend(loc="upper right")
        done = sorted((answer for answer in observations.answers if answer.status == 200), key=lambda answer: answer.at)
        wait.scatter([answer.at for answer in done], [answer.seconds for answer in done], s=5, color=BLUE)
        wait.set(title="Seconds until the answer, each request", ylim=(0, None))
        replicas.step(*zip(*observations.replicas, strict=True), where="post", color=GREEN, linewidth=2)
        replicas.set(
            title="Replicas that run", ylim=(0, MAX_REPLICAS + 0.5), yticks=range(MAX_REPLICAS + 1), xlabel="seconds"
        )
    return save(figure, folder, "tier-scaling")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--plots", type=Path, help="a folder for the picture")
    wanted = parser.parse_args()
    if PYTHON not in os.environ:
        raise SystemExit(
            f"{PYTHON} must name a Python that has Ray: `make test-cluster` makes .venv-cluster/bin/python"
        )
    with tempfile.TemporaryDirectory() as folder, started(Path(folder)) as (api, tier):
        observations = asyncio.run(follow_plan(api, tier))
    for line in summary(observations):
        print(line)
    if wanted.plots:
        print(*draw(observations, wanted.plots), sep="\n")


if __name__ == "__main__":
    main()
