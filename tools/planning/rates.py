"""What a request costs in machine time, as ``manage.py measure_rates`` measured it: read, written, scaled.

A batch takes ``fixed_s + per_cost_s · cost``, the cost being the batcher's own (seconds of encoder context for speech
to text, characters for text to speech). Processor time is what threads have used, in seconds, of one request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

ASR = "asr"
TTS = "tts"
LIVE = "live"
KINDS = (ASR, TTS)  # that have an engine; live recognition is the work of the first one's
DEPLOYMENTS = (ASR, TTS, LIVE)  # that have pods
ENGINE = {ASR: ASR, TTS: TTS, LIVE: ASR}
PLANNED_GPU = "T4"
# What docker/gpu.Dockerfile puts into the tier's image.
PLANNED_ASR = "whisper-large-v3-turbo"
PLANNED_TTS = "kokoro-82m"
SHIPPED = Path(__file__).with_name("measured.json")


class BadRates(ValueError):
    """The file does not hold rates."""


@dataclass(frozen=True)
class BatchTime:
    """``fixed_s`` of each batch and ``per_cost_s`` of each unit of cost in it, when nothing else runs.
    ``buckets``: a unit costs the smallest of these that holds it, and shares batches with its own bucket only; none:
    it costs what it is, and shares with all. ``batch_cost``: the most that a batch may cost, ``batch_units``: the most
    units in it. ``margin_s``: how much larger than the unit its bucket has to be. ``workers``: batches that run side by
    side, on ``threads`` each, where they run on a processor."""

    fixed_s: float
    per_cost_s: float
    batch_units: int
    batch_cost: float | None = None
    buckets: tuple[float, ...] = ()
    workers: int = 1
    queue: int = 256
    margin_s: float = 0.0
    threads: int = 1

    def seconds(self, cost: float) -> float:
        return self.fixed_s + self.per_cost_s * cost

    def cost(self, size: float) -> float:
        """Return the cost of a unit of this many seconds or characters."""
        if not self.buckets:
            return size
        needed = size + self.margin_s
        return next((bucket for bucket in self.buckets if bucket >= needed), self.buckets[-1])

    def limit(self, cost: float) -> int:
        """The largest batch that a unit of that cost may be part of."""
        if self.batch_cost is None:
            return self.batch_units
        return max(1, min(self.batch_units, int(self.batch_cost // cost)))


@dataclass(frozen=True)
class Processor:
    """Processor time of one request, by the threads that spend it: the event ``loop``, the ``pool`` for audio (before
    and after the engine's part), the ``books`` (ledger), the ``engine`` itself per unit, and the ``client``, where it
    runs on the same machine. ``stages``: the pool's part in the order of its jobs, as shares of it; the engine comes
    after ``stages_before`` of them."""

    loop_s: float
    pool_s: float
    books_s: float
    engine_s: float
    client_s: float
    stages: tuple[float, ...]
    stages_before: int

    @property
    def api_s(self) -> float:
        """The processor time of the API pod: all but the engine and the client."""
        return self.loop_s + self.pool_s + self.books_s


@dataclass(frozen=True)
class Loaded:
    """What a closed loop of this many callers without think time achieved, in so many seconds and until the last of
    them was answered."""

    callers: int
    seconds: float
    per_second: float
    p50_s: float
    p95_s: float


@dataclass(frozen=True)
class KindRates:
    """``size``: mean seconds of audio, or characters, of the requests that were measured, and ``size_cv``, their
    standard deviation over it. ``effort_cv``: how much the time of equally large ones differs, standard deviation over
    mean, with nobody else there. ``mean_batch``: units of a batch in the ``loaded`` run that ``processor`` is from.
    ``stall``: how much longer its threads take where they share a machine than their processor time says, as they wait
    for Python's lock while a core is idle (``simulation.closed.fitted``)."""

    batch: BatchTime
    processor: Processor
    size: float
    size_cv: float
    effort_cv: float = 0.0
    mean_batch: float = 1.0
    loaded: Loaded | None = None
    stall: float = 1.0


@dataclass(frozen=True)
class LiveRates:
    """One open stream of live recognition: per second of audio, units for the engine and the API's processor time."""

    units_per_s: float
    api_s_per_s: float


@dataclass(frozen=True)
class Rates:
    """``device``: what the engines ran on; ``machine``: the processor; ``cores``: that the run had to itself.
    ``notes``: how they were changed since."""

    device: str
    machine: str
    asr_model: str
    tts_engine: str
    measured_at: str
    cores: float
    asr: KindRates
    tts: KindRates
    live: LiveRates
    notes: tuple[str, ...] = field(default=())

    def kind(self, name: str) -> KindRates:
        return {ASR: self.asr, TTS: self.tts}[name]

    def are_of(self, asr_model: str, tts_model: str) -> bool:
        """Whether these models were measured on the GPU that is planned with."""
        is_device = re.search(rf"^GPU\b.*\b{PLANNED_GPU}\b", self.device) is not None
        return is_device and (self.asr_model, self.tts_engine) == (asr_model, tts_model)

    def faster(self, engines: float, note: str, *, processor: float = 1.0) -> Rates:
        """Return the rates with engines and API processors this many times as fast."""

        def scaled(kind: KindRates) -> KindRates:
            batch = replace(
                kind.batch, fixed_s=kind.batch.fixed_s / engines, per_cost_s=kind.batch.per_cost_s / engines
            )
            used = kind.processor
            used = replace(
                used,
                loop_s=used.loop_s / processor,
                pool_s=used.pool_s / processor,
                books_s=used.books_s / processor,
                engine_s=used.engine_s / engines,
            )
            return replace(kind, batch=batch, processor=used)

        live = replace(self.live, api_s_per_s=self.live.api_s_per_s / processor)
        return replace(self, asr=scaled(self.asr), tts=scaled(self.tts), live=live, notes=(*self.notes, note))

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", "utf-8")


def read(path: Path) -> Rates:
    """Raises ``BadRates`` when it cannot be read or a number is missing or impossible."""
    try:
        given = json.loads(path.read_text("utf-8"))
        rates = Rates(
            **{name: given[name] for name in ("device", "machine", "asr_model", "tts_engine", "measured_at")},
            cores=float(given["cores"]),
            asr=_kind(given["asr"]),
            tts=_kind(given["tts"]),
            live=LiveRates(**given["live"]),
            notes=tuple(given.get("notes", ())),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRates(f"{path} does not hold rates: {error}") from error
    for name in KINDS:
        kind = rates.kind(name)
        positive = (kind.batch.per_cost_s, kind.processor.api_s, kind.size, kind.batch.batch_units)
        if min(positive) <= 0 or kind.batch.fixed_s < 0:
            raise BadRates(f"{path} does not hold rates: those of {name} are not positive")
    return rates


def _kind(given: dict[str, Any]) -> KindRates:
    batch = dict(given["batch"])
    processor = dict(given["processor"])
    batch["buckets"] = tuple(batch["buckets"])
    processor["stages"] = tuple(processor["stages"])
    return KindRates(
        BatchTime(**batch),
        Processor(**processor),
        **{name: float(given[name]) for name in ("size", "size_cv", "effort_cv", "mean_batch")},
        stall=float(given.get("stall", 1.0)),
        loaded=Loaded(**given["loaded"]) if given.get("loaded") else None,
    )


def fit_line(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Intercept and slope through (cost, seconds) by relative least squares, neither of them negative: a batch's time
    spreads in proportion to itself."""
    cost = np.array([pair[0] for pair in pairs], float)
    seconds = np.array([pair[1] for pair in pairs], float)
    columns = np.stack([1 / seconds, cost / seconds], axis=1)
    fixed, slope = (float(value) for value in np.linalg.lstsq(columns, np.ones(len(pairs)), rcond=None)[0])
    if slope < 0:
        return float(np.mean(seconds)), 0.0
    if fixed < 0:
        return 0.0, float(np.sum(cost / seconds) / np.sum((cost / seconds) ** 2))
    return fixed, slope
