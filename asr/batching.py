"""Decide which units (speech segments) the recognition engine runs in one batch, and with which beam width.

The *context* of a unit is the length of audio, in seconds, that Whisper's encoder processes for it.

- Usually, only units with the same context and the same decoding options share a batch, and the beam is wide.
- While the engine is busy, units with contexts of up to ``LONGEST_MIXED_CONTEXT_S`` share batches, even if their
  contexts differ. Partial results of live speech share batches with final results. The beam is narrower.

``inference.batcher`` fills the batches by these rules.

Threads: the event loop counts ``callers``. Workers read their number without a lock. If ``is_busy`` changes while a
worker takes a batch, the only effect is that the batch may be smaller. If ``is_busy`` changes before the batch runs,
the batch runs with the beam width for the new value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from django.conf import settings

from asr.checkpoint import Checkpoint
from asr.encoding import Prepared
from asr.tuning import Tuning
from asr.units import SpeechUnit
from inference.engine import EngineStats

#: The engine counts as busy if it has at least ``BUSY_CALLERS`` callers, and at least ``BUSY_CALLERS_OF_A_WORKER`` for
#: each worker. With fewer callers for each worker, the batches would be small even if all units could share a batch.
#: For live streams (``should_spare``), each waiting or running unit counts as a caller.
BUSY_CALLERS = 4
BUSY_CALLERS_OF_A_WORKER = 2
#: Only units with a context of at most this many seconds share batches with units of other contexts. With a longer
#: context in the batch, the decoder would have to read much more for each short unit, which costs more than a larger
#: batch saves.
LONGEST_MIXED_CONTEXT_S = 15


class Batching:
    """The batching rules of one loaded model.

    ``workers``: number of batches that the engine runs in parallel.
    ``callers``: for each caller that waits for words, the number of its units. See ``counted``.
    """

    def __init__(self, checkpoint: Checkpoint, table: Tuning, workers: int) -> None:
        self.callers: Counter[Hashable] = Counter()
        self._busy_callers = _busy_callers(workers)
        self._checkpoint = checkpoint
        self._table = table

    @contextmanager
    def counted(self, unit: SpeechUnit) -> Iterator[None]:
        """Count the unit's caller while the unit waits for its result.

        All units of a live stream have the same caller. A recording's caller counts until the words of the first
        segment are ready. The other segments are ``admitted``.
        """
        if unit.admitted and not unit.stream:
            yield
            return
        caller = unit.stream or object()
        self.callers[caller] += 1
        try:
            yield
        finally:
            self.callers[caller] -= 1
            if not self.callers[caller]:
                del self.callers[caller]

    def key(self, item: Prepared) -> Hashable:
        """Return the unit's key at the present load. Units with equal keys may share a batch."""
        return mixed_key(item) if self._mixes(item) else own_key(item)

    def limit(self, item: Prepared) -> int:
        """Return the maximum size of a batch that contains the unit."""
        return self._table.limit(item.context_s)

    @property
    def beam_size(self) -> int:
        """The beam width to use at the present load."""
        return int(settings.VOICE_ASR_BUSY_BEAM if self.is_busy else settings.VOICE_ASR_BEAM)

    @property
    def is_busy(self) -> bool:
        """Whether the engine is so busy that throughput matters more than getting the same words at any load."""
        return len(self.callers) >= self._busy_callers and self._adapts_to_load

    @property
    def mixes_contexts(self) -> bool:
        """Whether short units share batches under load, even if their contexts differ in length.

        In a shared batch, shorter contexts are extended by repeating the silence at their end. So the tuning must add a
        margin of silence to each context.
        """
        return self._adapts_to_load and self._table.margin_s > 0

    @property
    def _adapts_to_load(self) -> bool:
        """Whether the recognised words may depend on the load.

        An operator who sets both beams to the same width wants the same words at any load. With the bundled model, the
        words never depend on the load. Its decoder is so small that a narrower beam or mixed contexts would save
        nothing.
        """
        return settings.VOICE_ASR_BUSY_BEAM != settings.VOICE_ASR_BEAM and not self._checkpoint.bundled

    def _mixes(self, item: Prepared) -> bool:
        """Return True if the unit may share a batch with units of other context lengths at the present load."""
        return self.is_busy and self.mixes_contexts and item.context_s <= LONGEST_MIXED_CONTEXT_S


def should_spare(stats: EngineStats) -> bool:
    """Return True if the engine is so busy that work which can be left out should be left out.

    The limit is that of ``Batching.is_busy``, but for every model and beam width. An API process does not see the
    callers of the inference tier, so this function counts the waiting and running units, including those with
    ``admitted``: other work is delayed by all of them. The estimated wait does not show this load. It is short while
    the queue is empty, even if the workers run large batches, and on a CPU each further unit makes a batch slower. On a
    GPU it hardly does, so there the result is always False.
    """
    return stats.cores > 0 and stats.running + stats.queue_length >= _busy_callers(stats.workers)


def competes(stats: EngineStats) -> bool:
    """Return True if a unit that starts now will share a worker with other units, and so delay them.

    A GPU runs several units in nearly the time of one, so there the result is always False.
    """
    return stats.cores > 0 and 0 < stats.workers <= stats.running + stats.queue_length


def _busy_callers(workers: int) -> int:
    """Return the number of callers from which an engine with this many workers counts as busy."""
    return max(BUSY_CALLERS, BUSY_CALLERS_OF_A_WORKER * workers)


def own_key(item: Prepared) -> tuple[Hashable, ...]:
    """Return the key at low load. Units with equal keys have the same context, and are decoded in the same way."""
    options = item.unit.options
    own = (item.context_s, options.timestamps, options.temperatures, options.greedy)
    return *own, *mixed_key(item)


def mixed_key(item: Prepared) -> tuple[Hashable, ...]:
    """Return the key under load. Contexts may differ, and partial results share batches with final results.

    Of the temperatures, only the first must be equal, because the others are used only in the full context.
    """
    options = item.unit.options
    return options.task, options.temperatures[:1], len(item.prompt)
