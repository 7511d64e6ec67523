"""How to run a model on this device: workers, threads, contexts and batches, as measured by ``manage.py tune_asr``.

The table is a JSON file. A table for another model, device or number of cores is not used. Then the rules below hold,
which suit the bundled model and a stock Whisper on few cores.
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

logger = logging.getLogger(__name__)

VERSION = 1
SMALL_MODEL_BYTES = 200_000_000  # Whisper base: two threads encode it 1.5 times as fast as one, two workers twice
BATCH_SECONDS = 96  # encoder context in one batch; a larger batch takes longer, but not less per item
MAX_WORKERS = 64
MAX_THREADS = 256
LARGEST_BATCH = 1024
ISA = "CT2_FORCE_CPU_ISA"  # CTranslate2's own variable
CPU_INFO = Path("/proc/cpuinfo")
AVX512_FLAGS = {"avx512f", "avx512cd", "avx512vl", "avx512bw", "avx512dq"}


class UnusableTable(ValueError):
    """A tuning file is invalid; the message says what is wrong."""


@dataclass(frozen=True)
class Tuning:
    """How to run one model on one device.

    ``batches``: the largest batch for each context in seconds.
    ``cores``: number of cores that the table was measured with; 0 for any number.
    ``workers``: batches that run side by side; 0 to go by the rule.
    ``threads``: threads of each worker.
    ``margin_s``: seconds by which a context must be longer than the speech.
    ``measured``: the figures behind these choices, for people to read.
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
        """The contexts to use, in seconds, ascending."""
        return tuple(sorted(self.batches))

    def context_s(self, duration_s: float) -> int:
        """Return the smallest context that holds ``duration_s`` and the margin."""
        needed = duration_s + self.margin_s
        return next((context for context in self.contexts_s if context >= needed), self.contexts_s[-1])

    def limit(self, context_s: int) -> int:
        """Return the largest batch in that context, within the limit of the settings."""
        return max(1, min(settings.VOICE_ASR_BATCH, self.batches[context_s]))

    def fits(self, checkpoint: Checkpoint, device: str, cores: int) -> bool:
        same = (self.model, self.device) == (checkpoint.name, device)
        return same and self.cores in (0, cores) and set(self.batches) <= set(checkpoint.contexts_s)

    def write(self, path: Path) -> None:
        table = {"version": VERSION, **asdict(self)}
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(json.dumps(table, indent=1) + "\n", "utf-8")
        draft.replace(path)  # a process that starts now reads the old table or the new one


def read(path: Path) -> Tuning:
    """Read a tuning file. Raises ``UnusableTable``."""
    try:
        table = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UnusableTable(f"{path} cannot be read: {error}") from error
    try:
        return _checked(table)
    except UnusableTable as error:
        raise UnusableTable(f"{path}: {error}. `manage.py tune_asr` writes a new one.") from error


def tuning(checkpoint: Checkpoint, device: str, cores: int) -> Tuning:
    """Return the table for this model on this device. Raises ``UnusableTable`` for an invalid file."""
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
    """Return the path of this service's own table, which need not exist."""
    return Path(settings.VOICE_ASR_TUNING or settings.VOICE_STATE_DIR / "asr-tuning.json")


def by_rule(checkpoint: Checkpoint, device: str) -> Tuning:
    batches = {context: max(1, BATCH_SECONDS // context) for context in checkpoint.contexts_s}
    return Tuning(checkpoint.name, device, settings.VOICE_ASR_COMPUTE_TYPE, batches, margin_s=checkpoint.margin_s)


def parallelism(table: Tuning, checkpoint: Checkpoint, cores: int) -> tuple[int, int]:
    """Return the number of workers and of threads for each.

    By rule a small model, which gains little from many threads, has a worker for each core. The workers give way to the
    threads that feed them (``inference.thread_priority``).
    """
    if table.workers:
        return table.workers, max(1, table.threads)
    weights = Path(checkpoint.source) / "model.bin"
    small = weights.is_file() and weights.stat().st_size < SMALL_MODEL_BYTES
    return (cores, 1) if small else (1, cores)


def device_here() -> str:
    """Return the device to run on, ``cpu`` or ``cuda``. ``auto`` in the settings is resolved."""
    if settings.VOICE_ASR_DEVICE != "auto":
        return str(settings.VOICE_ASR_DEVICE)
    return "cuda" if ctranslate2.get_cuda_device_count() else "cpu"


def compute_type_here() -> str:
    """Return the compute type for CTranslate2.

    CTranslate2's own default turns a float16 checkpoint into float32 on a CPU, which takes two to three times as long
    as int8 for the same words. So here the default on a CPU is int8.
    """
    if settings.VOICE_ASR_COMPUTE_TYPE == "default" and device_here() == "cpu":
        return "int8"
    return str(settings.VOICE_ASR_COMPUTE_TYPE)


def allow_avx512() -> None:
    """Let CTranslate2 use AVX-512 if this processor has all the instructions it needs. By itself it stops at AVX2.

    Call this before CTranslate2 calculates anything in this process. A value set by the operator is kept.
    """
    if ISA in os.environ or not CPU_INFO.exists():
        return
    flags = next((line for line in CPU_INFO.read_text().splitlines() if line.startswith("flags")), "")
    if set(flags.split()) >= AVX512_FLAGS:
        os.environ[ISA] = "AVX512"


def cores_here() -> int:
    return settings.VOICE_ASR_THREADS or os.cpu_count() or 1


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
