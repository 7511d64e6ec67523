"""An engine with a fixed speed. It replaces the speech recogniser, so that tests of the inference tier need no model.

With ``DJANGO_SETTINGS_MODULE=tools.benchmarks.throttled_settings``, this Django app comes last, so its engine replaces
the real one. The engine ignores the audio and returns the same text for every unit (speech segment). The codec, the
batcher, the replicas and the metrics are the real ones.

Environment variables:

- ``THROTTLED_UNITS_S``: how many units one replica handles per second.
- ``THROTTLED_GPU``: two percentages such as "92 40": the utilisation and the memory use that a simulated GPU reports.
  If unset, no GPU is simulated.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace

from django.apps import AppConfig
from django.conf import settings

from inference import runtime
from inference.batcher import Batcher
from inference.engine import EngineStats, Unit
from inference.ordered import in_order

BATCH = 4
NAME = "asr"


class ThrottledConfig(AppConfig):
    name = "tools.benchmarks.throttled"
    label = "tools_benchmarks_throttled"

    def ready(self) -> None:
        from asr.wire import SpeechCodec

        per_second = float(os.environ["THROTTLED_UNITS_S"])
        runtime.register(NAME, lambda: ThrottledEngine(per_second), SpeechCodec())
        if gpu := os.environ.get("THROTTLED_GPU"):
            sys.modules["pynvml"] = _nvml(*map(float, gpu.split()))  # type: ignore[assignment]


class ThrottledEngine:
    """An engine that handles ``per_second`` units per second. It implements ``Engine[SpeechUnit, Hypothesis]``."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._batcher: Batcher[Unit, object] | None = None

    async def load(self) -> None:
        if self._batcher is None:
            self._batcher = Batcher(
                NAME,
                self._run,
                limit=lambda unit: BATCH,
                max_queue=settings.VOICE_ASR_QUEUE,
                on_batch=runtime.batch_observer(NAME),
            )
            self._batcher.start()

    async def close(self) -> None:
        if self._batcher is not None:
            self._batcher.close()

    async def submit(self, unit: Unit) -> object:
        await self.load()
        assert self._batcher is not None
        return await self._batcher.submit(unit)

    def stream(self, units: AsyncIterator[Unit]) -> AsyncIterator[object]:
        return in_order(units, self.submit, ahead=BATCH)

    def stats(self) -> EngineStats:
        return self._batcher.stats() if self._batcher else EngineStats(False, 0, 0, 0, 0, 0, 0.0, 0.0)

    def _run(self, units: Sequence[Unit]) -> Sequence[object]:
        from asr.units import Hypothesis

        time.sleep(len(units) / self._per_second)
        return [Hypothesis("baik", "ms", 1.0, (), (), -0.1, 1.0, 0.0, 0.0) for _ in units]


def _nvml(percent: float, memory_percent: float) -> SimpleNamespace:
    """Return a replacement for the part of ``pynvml`` that the service uses.

    It reports one GPU with this utilisation and memory use, both in percent.
    """
    return SimpleNamespace(
        NVMLError=OSError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetUUID=lambda handle: "GPU-throttled",
        nvmlDeviceGetUtilizationRates=lambda handle: SimpleNamespace(gpu=percent),
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(used=memory_percent, total=100.0),
    )
