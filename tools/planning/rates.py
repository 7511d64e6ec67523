"""How long batches take, and how much CPU time a request takes, as measured by ``manage.py measure_rates``.

This module also reads, writes and scales these rates.

A batch consists of units, each a speech segment or a sentence. It takes ``fixed_s + per_cost_s · cost`` seconds, where
the cost is the sum over its units. For speech to text, a unit costs the seconds of its encoder context. For text to
speech, it costs its number of characters plus a fixed amount. ``Processor`` holds the CPU seconds of one request.
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
KINDS = (ASR, TTS)  # kinds of work that have an engine; live recognition runs on the ASR engine
DEPLOYMENTS = (ASR, TTS, LIVE)  # each has separate API pods
ENGINE = {ASR: ASR, TTS: TTS, LIVE: ASR}
PLANNED_GPU = "T4"
# The models in the inference tier's image (docker/gpu.Dockerfile).
PLANNED_ASR = "whisper-large-v3-turbo"
PLANNED_TTS = "kokoro-82m"
SHIPPED = Path(__file__).with_name("measured.json")


class BadRates(ValueError):
    """The file does not contain valid rates."""


@dataclass(frozen=True)
class BatchTime:
    """The time of one batch on an otherwise idle machine, and the limits on its size.

    ``fixed_s``: the part of the time that does not depend on the content, in seconds.
    ``per_cost_s``: additional seconds for each unit of cost.
    ``batch_units``: the maximum number of units in a batch.
    ``batch_cost``: the maximum total cost of a batch; None if only ``batch_units`` limits it.
    ``buckets``: the allowed costs of a unit in ascending order. A unit costs the smallest bucket that holds it, and is
    batched only with units of the same bucket, unless both buckets are at most ``longest_mixed``. Without buckets, a
    unit costs ``unit_cost`` plus its own size, and is batched with any other unit.
    ``longest_mixed``: the largest bucket whose units may share a batch with units of other buckets; 0 if none may.
    ``workers``: how many batches run in parallel.
    ``queue``: how many units may wait.
    ``margin_s``: seconds added to the size of a unit before its bucket is chosen.
    ``threads``: CPU threads of each worker.
    ``unit_cost``: cost of each unit in addition to its size. Units with a bucket have none.
    """

    fixed_s: float
    per_cost_s: float
    batch_units: int
    batch_cost: float | None = None
    buckets: tuple[float, ...] = ()
    workers: int = 1
    queue: int = 256
    margin_s: float = 0.0
    threads: int = 1
    unit_cost: float = 0.0
    longest_mixed: float = 0.0

    def seconds(self, cost: float) -> float:
        """Return the time of a batch with this total cost, in seconds."""
        return self.fixed_s + self.per_cost_s * cost

    def cost(self, size: float) -> float:
        """Return the cost of a unit. ``size`` is in seconds of audio or in characters."""
        if not self.buckets:
            return self.unit_cost + size
        needed = size + self.margin_s
        return next((bucket for bucket in self.buckets if bucket >= needed), self.buckets[-1])

    def together(self, cost: float, other: float) -> bool:
        """Return True if units with these two costs may share a batch."""
        return not self.buckets or cost == other or max(cost, other) <= self.longest_mixed

    def limit(self, cost: float) -> int:
        """Return how many units a batch may hold if it contains a unit of this cost."""
        if self.batch_cost is None:
            return self.batch_units
        return max(1, min(self.batch_units, int(self.batch_cost // cost)))


@dataclass(frozen=True)
class Processor:
    """The CPU seconds of one request, by the threads that use them.

    ``loop_s``: the event loop.
    ``pool_s``: the thread pool for audio, before and after the engine.
    ``ledger_s``: the thread that writes the ledger.
    ``engine_s``: the engine, per unit.
    ``client_s``: the load generator, which runs on the same machine during the measurement.
    ``stages``: the share of ``pool_s`` that each job of the pool takes, in the order of the jobs.
    ``stages_before``: how many of these jobs come before the engine.
    """

    loop_s: float
    pool_s: float
    ledger_s: float
    engine_s: float
    client_s: float
    stages: tuple[float, ...]
    stages_before: int

    @property
    def api_s(self) -> float:
        """The CPU seconds of the API pod: all except those of the engine and the client."""
        return self.loop_s + self.pool_s + self.ledger_s


@dataclass(frozen=True)
class Loaded:
    """The result of a closed-loop run without think time.

    ``callers``: the number of concurrent callers.
    ``seconds``: how long they sent requests.
    ``per_second``: answers per second, up to the last answer.
    ``p50_s``, ``p95_s``: percentiles of the latency in seconds.
    """

    callers: int
    seconds: float
    per_second: float
    p50_s: float
    p95_s: float


@dataclass(frozen=True)
class KindRates:
    """The measured rates of one kind of request: speech to text or text to speech.

    ``batch``: the time of a batch.
    ``processor``: the CPU time of a request, from the ``loaded`` run.
    ``size``: mean size of the measured requests, in seconds of audio or in characters.
    ``size_cv``: coefficient of variation of these sizes (standard deviation divided by mean).
    ``effort_cv``: coefficient of variation of the time that requests of equal size take on an idle service.
    ``mean_batch``: mean number of units per batch in the ``loaded`` run.
    ``loaded``: a closed-loop run of this kind alone; None if there was none.
    ``stall``: wall time divided by CPU time, for threads that share a machine. It is not 1 because threads wait for
    Python's global interpreter lock while a core is idle. ``simulation.closed.fitted`` determines the value.
    """

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
    """The work for one open stream of live recognition, per second of audio.

    ``units_per_s``: how many units the engine gets.
    ``api_s_per_s``: how many CPU seconds the API pod uses.
    """

    units_per_s: float
    api_s_per_s: float


@dataclass(frozen=True)
class Rates:
    """All rates of one measurement.

    ``device``: the device on which the engines ran.
    ``machine``: the CPU of the machine.
    ``asr_model``: the speech-to-text model that was measured.
    ``tts_engine``: the text-to-speech model that was measured.
    ``measured_at``: when the rates were measured (ISO 8601).
    ``cores``: how many CPU cores were available to the measurement.
    ``asr``: the rates of speech to text.
    ``tts``: the rates of text to speech.
    ``live``: the rates of live recognition.
    ``notes``: a sentence for each change that was made to the measured values.
    """

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
        """Return True if these rates were measured with these models on a ``PLANNED_GPU``."""
        is_device = re.search(rf"^GPU\b.*\b{PLANNED_GPU}\b", self.device) is not None
        return is_device and (self.asr_model, self.tts_engine) == (asr_model, tts_model)

    def faster(self, engines: float, note: str, *, processor: float = 1.0) -> Rates:
        """Return the rates of faster machines.

        ``engines``: how many times as fast the engines are.
        ``note``: the sentence to add to ``notes``.
        ``processor``: how many times as fast the CPUs of the API pods are.
        """

        def scaled(kind: KindRates) -> KindRates:
            batch = replace(
                kind.batch, fixed_s=kind.batch.fixed_s / engines, per_cost_s=kind.batch.per_cost_s / engines
            )
            used = kind.processor
            used = replace(
                used,
                loop_s=used.loop_s / processor,
                pool_s=used.pool_s / processor,
                ledger_s=used.ledger_s / processor,
                engine_s=used.engine_s / engines,
            )
            return replace(kind, batch=batch, processor=used)

        live = replace(self.live, api_s_per_s=self.live.api_s_per_s / processor)
        return replace(self, asr=scaled(self.asr), tts=scaled(self.tts), live=live, notes=(*self.notes, note))

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", "utf-8")


def read(path: Path) -> Rates:
    """Return the rates in a JSON file.

    Raise ``BadRates`` if the file is unreadable or incomplete, or contains an impossible number.
    """
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
    """Fit a line through (cost, seconds) pairs; return its intercept and slope, neither of them negative.

    The fit minimises the squared relative errors, because the spread of a batch's time is proportional to that time.
    """
    cost = np.array([pair[0] for pair in pairs], float)
    seconds = np.array([pair[1] for pair in pairs], float)
    columns = np.stack([1 / seconds, cost / seconds], axis=1)
    fixed, slope = (float(value) for value in np.linalg.lstsq(columns, np.ones(len(pairs)), rcond=None)[0])
    if slope < 0:
        return float(np.mean(seconds)), 0.0
    if fixed < 0:
        return 0.0, float(np.sum(cost / seconds) / np.sum((cost / seconds) ** 2))
    return fixed, slope
