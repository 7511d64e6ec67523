"""Collect the load generator's events, and compute figures from them: for each kind of work, and over time."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from capacity.latency_targets import Workload
from core.percentiles import percentile
from tools.loadtests.events import Outcome, Pulse, RequestEvent

POINTS = 120  # maximum number of points of a curve
RECENT_S = 10.0


def _percentile(values: Collection[float], percent: float) -> float | None:
    return percentile(values, percent) if values else None


@dataclass
class KindTally:
    """The requests of one kind of work.

    ``outcomes``: number of requests by outcome.
    ``seconds``: the latencies of the successful requests.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def asked(self) -> int:
        """The number of all requests, successful or not."""
        return self.outcomes.total()

    def add(self, asked: RequestEvent) -> None:
        self.outcomes[asked.outcome] += 1
        if asked.outcome is Outcome.OK:
            self.seconds.append(asked.seconds)


@dataclass
class Tally:
    """All events of one run. Times are Unix times.

    ``started``: when the first event happened.
    ``asked``: all requests.
    ``pulses``: the states of the load generator.
    ``kinds``: the requests by kind of work.
    ``reasons``: number of unsuccessful requests by kind, outcome and reason.
    """

    started: float
    asked: list[RequestEvent] = field(default_factory=list)
    pulses: list[Pulse] = field(default_factory=list)
    kinds: dict[Workload, KindTally] = field(default_factory=lambda: {work: KindTally() for work in Workload})
    reasons: Counter[tuple[Workload, Outcome, str]] = field(default_factory=Counter)

    def add(self, event: RequestEvent | Pulse) -> None:
        """Add an event. Events may arrive slightly out of order."""
        if not self.pulses and not self.asked:
            self.started = event.at  # the generator's start is not part of the run
        if isinstance(event, Pulse):
            self.pulses.append(event)
            return
        self.asked.append(event)
        self.kinds[event.work].add(event)
        if event.outcome is not Outcome.OK:
            self.reasons[event.work, event.outcome, event.why] += 1

    def count(self, *outcomes: Outcome) -> int:
        """Return the number of requests with any of these outcomes; without arguments, of all requests."""
        wanted = outcomes or tuple(Outcome)
        return sum(kind.outcomes[outcome] for kind in self.kinds.values() for outcome in wanted)

    @property
    def success_percent(self) -> float | None:
        """The percentage of requests that succeeded; None if there were no requests. A refusal is not a success."""
        total = self.count()
        return 100 * self.count(Outcome.OK) / total if total else None

    @property
    def peak_users(self) -> int:
        """The highest number of concurrent users."""
        return max((pulse.users for pulse in self.pulses), default=0)

    def p95_s(self, work: Workload) -> float | None:
        """Return the 95th percentile of the latency in seconds; None if no request of this kind succeeded."""
        return _percentile(self.kinds[work].seconds, 95)

    def lag_s(self) -> float | None:
        """Return the 95th percentile of the generator's own delay in seconds; None if there are no pulses."""
        return _percentile(sorted(pulse.lag_s for pulse in self.pulses), 95)

    def recent(self, now: float) -> tuple[float, dict[Workload, float | None]]:
        """Return answers per second, and the 95th percentile of each kind's latency, over the last ``RECENT_S``.

        A percentile is None if no request of that kind succeeded.

        ``now``: the current Unix time.
        """
        span = max(1.0, min(RECENT_S, now - self.started))
        seconds: dict[Workload, list[float]] = {work: [] for work in Workload}
        number = 0
        for asked in reversed(self.asked):
            if asked.at < now - span - 1:  # a second of margin, because events are only nearly in order
                break
            if asked.at >= now - span:
                number += 1
                if asked.outcome is Outcome.OK:
                    seconds[asked.work].append(asked.seconds)
        return number / span, {work: _percentile(values, 95) for work, values in seconds.items()}

    def figures(self, until: float) -> dict[str, dict[str, Any]]:
        """Return the report's figures for each kind of work.

        ``until``: the end of the time over which rates are computed, as a Unix time.
        """
        elapsed = max(until - self.started, 1e-9)
        return {work.value: self._figures(kind, elapsed) for work, kind in self.kinds.items()}

    @staticmethod
    def _figures(kind: KindTally, elapsed: float) -> dict[str, Any]:
        ordered = sorted(kind.seconds)
        latencies = {f"p{percent}_s": _percentile(ordered, percent) for percent in (50, 95, 99)}
        return {
            "requests": kind.asked,
            "ok": kind.outcomes[Outcome.OK],
            "failures": kind.outcomes[Outcome.FAILED],
            "refusals": kind.outcomes[Outcome.REFUSED],
            "hung": kind.outcomes[Outcome.HUNG],
            "rps": round(kind.asked / elapsed, 3),
            **{name: _rounded(seconds) for name, seconds in latencies.items()},
            "longest_s": _rounded(ordered[-1] if ordered else None),
        }

    def voices(self) -> list[dict[str, Any]]:
        """Return a row for each voice, in descending order of spoken seconds.

        If eSpeak NG spoke in place of the requested voice, there is a separate row, which gives the reason in
        ``degraded``.
        """
        spoken: dict[tuple[str, str], list[float]] = defaultdict(list)
        for asked in self.asked:
            if asked.voice and asked.outcome is Outcome.OK:
                spoken[asked.voice, asked.degraded].append(asked.audio_s)
        total_s = sum(map(sum, spoken.values())) or 1.0
        rows: list[dict[str, Any]] = [
            {
                "voice": voice,
                "degraded": degraded,
                "replies": len(seconds),
                "audio_s": round(sum(seconds), 1),
                "percent": round(100 * sum(seconds) / total_s, 1),
            }
            for (voice, degraded), seconds in spoken.items()
        ]
        return sorted(rows, key=lambda row: -row["audio_s"])

    def timeline(self, until: float) -> list[dict[str, Any]]:
        """Return the points of the report's curves: at most ``POINTS``, at intervals of whole seconds.

        Percentiles are over the ``RECENT_S`` before the end of each interval.

        ``until``: the Unix time at which the curves end.
        """
        step = max(1, math.ceil((until - self.started) / POINTS))
        number = max(1, math.ceil((until - self.started) / step))
        pulses: list[list[Pulse]] = [[] for _ in range(number)]
        for pulse in self.pulses:
            pulses[self._index(pulse.at, step, number)].append(pulse)
        answered: list[list[RequestEvent]] = [[] for _ in range(number)]
        for asked in self.asked:
            answered[self._index(asked.at, step, number)].append(asked)
        before = math.ceil(RECENT_S / step)  # one step has too few answers for a steady percentile
        points: list[dict[str, Any]] = []
        for index, answers in enumerate(answered):
            beats = pulses[index]
            last = points[-1] if points else {"users": 0, "in_flight": 0}
            recent = [answer for answers in answered[max(0, index + 1 - before) : index + 1] for answer in answers]
            points.append(
                {
                    "at_s": index * step,
                    "users": max(beat.users for beat in beats) if beats else last["users"],
                    "in_flight": max(beat.in_flight for beat in beats) if beats else last["in_flight"],
                    "rps": round(len(answers) / step, 3),
                    "not_ok": sum(answer.outcome is not Outcome.OK for answer in answers),
                    "p50_s": {work.value: _of(recent, work, 50) for work in Workload},
                    "p95_s": {work.value: _of(recent, work, 95) for work in Workload},
                }
            )
        return points

    def _index(self, at: float, step: int, number: int) -> int:
        return min(number - 1, max(0, int((at - self.started) / step)))


def _of(answers: Sequence[RequestEvent], work: Workload, percent: float) -> float | None:
    values = [answer.seconds for answer in answers if answer.work is work and answer.outcome is Outcome.OK]
    return _rounded(_percentile(values, percent))


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
