"""Choose how to run a model on this device: workers, threads, lengths of encoder context, and batch sizes.

The encoder context is the length of audio, in seconds, that Whisper's encoder processes for a segment of speech.
``manage.py tune_asr`` measures the best values and writes them to a JSON file, the tuning table. A table for another
model, device, number of cores or set of contexts is not used. Without a table, default rules apply, which suit the
bundled model and a stock Whisper model on few cores.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import ctranslate2
from django.conf import settings

from asr.checkpoint import BUNDLED, FULL_CONTEXT_S, Checkpoint
from inference import processor

logger = logging.getLogger(__name__)

VERSION = 1
SMALL_MODEL_BYTES = 200_000_000  # Whisper base is smaller; two workers double its speed, two threads gain only 50 %
BATCH_SECONDS = 96  # seconds of encoder context in one batch; a larger batch saves no time per item
MAX_WORKERS = 64
MAX_THREADS = 256
LARGEST_BATCH = 1024
ISA = "CT2_FORCE_CPU_ISA"  # CTranslate2's environment variable
AVX512_FLAGS = {"avx512f", "avx512cd", "avx512vl", "avx512bw", "avx512dq"}


class UnusableTable(ValueError):
    """Raised when a tuning file is invalid. The message says what is wrong."""


@dataclass(frozen=True)
class Tuning:
    """A tuning table, which says how to run one model on one device.

    ``batches``: maximum batch size for each encoder context, by the length of the context in seconds.
    ``cores``: number of cores for which the table was measured; 0 if the table applies to any number.
    ``workers``: number of batches that run in parallel; 0 if ``parallelism`` should choose a number.
    ``threads``: number of threads of each worker.
    ``margin_s``: seconds by which a context must be longer than the speech.
    ``measured``: the measurements behind these values, for information only.
    """

    model: str
    device: str
    compute_type: str
    batches: Mapping[int, int]
    cores: int = 0
    workers: int = 0
    threads: int = 0
    margin_s: float = 0.0
    measured: Mapping[str, Any] = field(default_factory=dict)

    @property
    def contexts_s(self) -> tuple[int, ...]:
        """The lengths of encoder context to use, in seconds, ascending."""
        return tuple(sorted(self.batches))

    def context_s(self, duration_s: float) -> int:
        """Return the shortest encoder context that has room for ``duration_s`` seconds of speech and the margin.

        The result is in seconds. If no context is long enough, it is the longest context.
        """
        needed = duration_s + self.margin_s
        return next((context for context in self.contexts_s if context >= needed), self.contexts_s[-1])

    def limit(self, context_s: int) -> int:
        """Return the maximum batch size for an encoder context of ``context_s`` seconds.

        It is never greater than the setting ``VOICE_ASR_BATCH``.
        """
        return max(1, min(settings.VOICE_ASR_BATCH, self.batches[context_s]))

    def fits(self, checkpoint: Checkpoint, device: str, cores: int) -> bool:
        """Return True if the table applies to this model and its contexts, on this device with ``cores`` cores."""
        same = (self.model, self.device) == (checkpoint.name, device)
        return same and self.cores in (0, cores) and set(self.batches) <= set(checkpoint.contexts_s)

    def write(self, path: Path) -> None:
        """Write the table to a file as JSON. An earlier file is replaced atomically."""
        table = {"version": VERSION, **asdict(self)}
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(json.dumps(table, indent=1) + "\n", "utf-8")
        draft.replace(path)  # a process that starts now reads either the old table or the new one


def read(path: Path) -> Tuning:
    """Read a tuning file. Raise ``UnusableTable`` if the file is invalid."""
    try:
        table = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UnusableTable(f"{path} cannot be read: {error}") from error
    try:
        return _checked(table)
    except UnusableTable as error:
        raise UnusableTable(f"{path}: {error}. `manage.py tune_asr` writes a new one.") from error


def tuning(checkpoint: Checkpoint, device: str, cores: int) -> Tuning:
    """Return the tuning for a model on this device.

    Use the first table that applies: the installation's own table, then the table of the bundled model. If neither
    applies, use the default rules (``by_rule``).

    Raise ``UnusableTable`` if a table is invalid, or if ``VOICE_ASR_TUNING`` names a missing file.
    """
    own = table_path()
    for path in (own, BUNDLED / "tuning.json"):
        if path.exists() or (path == own and settings.VOICE_ASR_TUNING):
            table = read(path)
            if table.fits(checkpoint, device, cores):
                return table
            if path == own:
                logger.warning(
                    "the tuning table is for another model, device, number of cores or set of contexts",
                    extra={"path": path},
                )
    return by_rule(checkpoint, device)


def table_path() -> Path:
    """Return the path where ``manage.py tune_asr`` writes this installation's tuning table.

    The file may not exist yet.
    """
    return Path(settings.VOICE_ASR_TUNING or settings.VOICE_STATE_DIR / "asr-tuning.json")


def by_rule(checkpoint: Checkpoint, device: str) -> Tuning:
    """Return the default tuning, which needs no measurements.

    It has all contexts of the model. Each batch contains up to about ``BATCH_SECONDS`` seconds of context.
    """
    batches = {context: max(1, BATCH_SECONDS // context) for context in checkpoint.contexts_s}
    return Tuning(checkpoint.name, device, settings.VOICE_ASR_COMPUTE_TYPE, batches, margin_s=checkpoint.margin_s)


def parallelism(table: Tuning, checkpoint: Checkpoint, cores: int) -> tuple[int, int]:
    """Return the number of workers, and the number of threads of each worker.

    If the table does not give these numbers, a small model gets as many workers as there are cores, each with one
    thread, because more threads per worker would gain little. A larger model gets a single worker with as many threads
    as there are cores. The event loop still gets enough time, because the workers' threads have a lower priority
    (``inference.thread_priority``).
    """
    if table.workers:
        return table.workers, max(1, table.threads)
    return (cores, 1) if is_small(checkpoint) else (1, cores)


def is_small(checkpoint: Checkpoint) -> bool:
    """Return True if the checkpoint's weights are here and smaller than ``SMALL_MODEL_BYTES``, as of Whisper base."""
    weights = Path(checkpoint.source) / "model.bin"
    return weights.is_file() and weights.stat().st_size < SMALL_MODEL_BYTES


def device_here() -> str:
    """Return the device to run on, ``cpu`` or ``cuda``. The setting ``auto`` selects CUDA if it is available."""
    if settings.VOICE_ASR_DEVICE != "auto":
        return str(settings.VOICE_ASR_DEVICE)
    return "cuda" if ctranslate2.get_cuda_device_count() else "cpu"


def compute_type_here() -> str:
    """Return the compute type with which CTranslate2 should load the model.

    By default, CTranslate2 converts a float16 checkpoint to float32 on a CPU. This takes two to three times as long as
    int8 and gives the same words. So this service's default on a CPU is int8.
    """
    if settings.VOICE_ASR_COMPUTE_TYPE == "default" and device_here() == "cpu":
        return "int8"
    return str(settings.VOICE_ASR_COMPUTE_TYPE)


def allow_avx512() -> None:
    """Let CTranslate2 use AVX-512 if this processor has all the necessary instructions.

    By default, CTranslate2 uses AVX2 at most. Call this before CTranslate2 computes anything in this process. If the
    operator has set ``CT2_FORCE_CPU_ISA``, do not change it.
    """
    if ISA not in os.environ and processor.flags() >= AVX512_FLAGS:
        os.environ[ISA] = "AVX512"


def cores_here() -> int:
    """Return the number of cores to use: ``VOICE_ASR_THREADS``, or if it is 0, all cores that this process may use."""
    return settings.VOICE_ASR_THREADS or processor.cores()


def _checked(table: object) -> Tuning:
    if not isinstance(table, dict) or table.get("version") != VERSION:
        raise UnusableTable(f"it is no tuning table of version {VERSION}")
    for name in ("model", "device", "compute_type"):
        if not isinstance(table.get(name), str) or not table[name]:
            raise UnusableTable(f"{name} is missing")
    counts = {"cores": 4096, "workers": MAX_WORKERS, "threads": MAX_THREADS}
    for name, most in counts.items():
        if not _is_count(table.get(name), 0, most):
            raise UnusableTable(f"{name} must be a whole number from 0 to {most}")
    batches = table.get("batches")
    if not isinstance(batches, dict) or not batches:
        raise UnusableTable("batches are missing")
    for context, batch in batches.items():
        if context not in map(str, range(1, FULL_CONTEXT_S + 1)) or not _is_count(batch, 1, LARGEST_BATCH):
            raise UnusableTable(f"batches[{context!r}] is not a batch from 1 to {LARGEST_BATCH} for a known context")
    if str(FULL_CONTEXT_S) not in batches:
        raise UnusableTable(f"batches has none for {FULL_CONTEXT_S} s, the context that takes everything")
    margin_s = table.get("margin_s", 0.0)
    if not isinstance(margin_s, int | float) or not 0 <= margin_s <= FULL_CONTEXT_S:
        raise UnusableTable(f"margin_s must be a number from 0 to {FULL_CONTEXT_S}")
    return Tuning(
        model=table["model"],
        device=table["device"],
        compute_type=table["compute_type"],
        batches={int(context): batch for context, batch in batches.items()},
        **{name: table[name] for name in counts},
        margin_s=float(margin_s),
        measured=table["measured"] if isinstance(table.get("measured"), dict) else {},
    )


def _is_count(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
