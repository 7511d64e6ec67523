"""Run a simulated cluster under a day's demand, a steady request rate, or a crowd of people."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tools.planning.demand import SECONDS_PER_HOUR, Demand, RequestRate
from tools.planning.rates import ASR, DEPLOYMENTS, LIVE, TTS, Rates
from tools.planning.simulation.clock import Clock
from tools.planning.simulation.cluster import INTERVAL_S, Cluster, Run, Shape

Times = npt.NDArray[np.float64]


def simulate(
    demand: Demand, rates: Rates, shape: Shape, *, start_h: float = 0.0, end_h: float = 24.0, seed: int = 1
) -> Run:
    """Simulate a day of a demand, or the part of it from hour ``start_h`` to hour ``end_h``, and return the run.

    Equal arguments give equal results.
    """

    def times(per_day: float, number: int) -> Times:
        return demand.curve.arrivals(per_day, start_h, end_h, seed + 100 + number)

    cluster = Cluster(sized(rates, demand), shape, start_h=start_h, seed=seed)
    per_day = (demand.asr_per_day, demand.tts_per_day, demand.streams_per_day)
    return _open(
        cluster, [times(*each) for each in zip(per_day, (0, 1, 2), strict=True)], demand.stream_s, end_h - start_h
    )


def simulate_steady(
    rate: RequestRate,
    demand: Demand,
    rates: Rates,
    shape: Shape,
    *,
    seconds: float,
    warm_up_s: float = 120.0,
    seed: int = 1,
) -> Run:
    """Simulate a constant request rate, such as that of the busiest hour, and return the run.

    ``rate``: the request rate.
    ``demand``: the sizes of requests and streams. The rest of the demand is not used.
    ``seconds``: the length of the result, without the warm-up.
    ``warm_up_s``: the length of the warm-up. It is simulated before the result begins.
    """
    generator = np.random.default_rng(seed + 100)
    length = warm_up_s + seconds
    cluster = Cluster(sized(rates, demand), shape, seed=seed)
    times = [np.sort(generator.uniform(0, length, generator.poisson(each * length))) for each in rate]
    run = _open(cluster, times, demand.stream_s, length / SECONDS_PER_HOUR)
    del run.intervals[: int(warm_up_s // INTERVAL_S)]
    return run


def _open(cluster: Cluster, times: Sequence[Times], stream_s: float, hours: float) -> Run:
    """Run an open loop, in which arrivals do not depend on answers, and return the run.

    ``times``: the arrival times of ASR requests, of TTS requests and of live streams, each in seconds.
    ``stream_s``: mean length of a stream in seconds (exponential distribution).
    ``hours``: the length of the run.
    """
    lengths = random.Random(cluster.seed + 300)
    cluster.watch(hours * SECONDS_PER_HOUR)
    actions = (
        lambda: cluster.request(ASR),
        lambda: cluster.request(TTS),
        lambda: cluster.stream(lengths.expovariate(1 / stream_s)),
    )
    for each, action in zip(times, actions, strict=True):
        _arrive(cluster.clock, each, action)
    cluster.clock.run(hours * SECONDS_PER_HOUR)
    return cluster.run


@dataclass(frozen=True)
class Crowd:
    """A number of people in conversation at once, and how they behave.

    ``users``: the number of people.
    ``think_s``: mean think time in seconds between two requests or streams (exponential distribution).
    ``mix``: the shares of speech to text, text to speech and live streams, which sum to 1.
    ``stream_s``: mean length of a live stream in seconds (exponential distribution).
    """

    users: int
    think_s: float = 4.0
    mix: tuple[float, float, float] = (0.40, 0.45, 0.15)
    stream_s: float = 5.0


@dataclass(frozen=True)
class Stay:
    """The time during which one person of a crowd is present, in seconds since the start."""

    begin_s: float = 0.0
    end_s: float = math.inf


def simulate_crowd(
    crowd: Crowd,
    demand: Demand,
    rates: Rates,
    shape: Shape,
    *,
    seconds: float,
    stays: Sequence[Stay] | None = None,
    warm_up_s: float = 60.0,
    seed: int = 1,
) -> Run:
    """Simulate a closed loop, and return the run. Each user waits for an answer, thinks, and asks again.

    ``crowd``: the users and their behaviour.
    ``demand``: the sizes of requests. The rest of the demand is not used.
    ``seconds``: the length of the result, without the warm-up.
    ``stays``: when each user is present; None if all users are present during the whole run.
    ``warm_up_s``: the length of the warm-up. It is simulated before the result begins.
    """
    cluster = Cluster(sized(rates, demand), shape, seed=seed)
    chance = random.Random(seed + 200)

    def user(stay: Stay) -> None:
        def think() -> None:
            if cluster.clock.now < stay.end_s:
                cluster.clock.after(chance.expovariate(1 / crowd.think_s) if crowd.think_s else 0.0, act)

        def act() -> None:
            kind = chance.choices(DEPLOYMENTS, crowd.mix)[0]
            if kind == LIVE:
                length = chance.expovariate(1 / crowd.stream_s)
                cluster.stream(length)
                cluster.clock.after(length, think)
            else:
                cluster.request(kind, then=think)

        cluster.clock.after(stay.begin_s, think)

    for stay in stays if stays is not None else [Stay()] * crowd.users:
        user(stay)
    cluster.watch(warm_up_s + seconds)
    cluster.clock.run(warm_up_s + seconds)
    del cluster.run.intervals[: int(warm_up_s // INTERVAL_S)]
    return cluster.run


def sized(rates: Rates, demand: Demand) -> Rates:
    """Return the rates for requests whose mean size and variation are those of a demand.

    The CPU times of the engine and of the audio thread pool are proportional to the size. The other CPU times do not
    depend on the size.
    """
    changed = {}
    for kind, size in ((ASR, demand.clip_s), (TTS, demand.text_characters)):
        of = rates.kind(kind)
        factor = size / of.size
        processor = replace(of.processor, pool_s=of.processor.pool_s * factor, engine_s=of.processor.engine_s * factor)
        changed[kind] = replace(of, size=size, size_cv=demand.size_cv, processor=processor)
    return replace(rates, asr=changed[ASR], tts=changed[TTS])


def _arrive(clock: Clock, times: Times, action: Callable[[], None]) -> None:
    """Schedule an action at each of these times (in seconds, ascending).

    Only the next action is in the clock's queue. Otherwise the queue would hold the arrivals of a whole day.
    """
    coming: Iterator[float] = iter(times.tolist())

    def arrive() -> None:
        action()
        plan()

    def plan() -> None:
        following = next(coming, None)
        if following is not None:
            clock.after(following - clock.now, arrive)

    plan()
