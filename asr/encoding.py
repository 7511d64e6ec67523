"""Encode the audio features of a batch of units (speech segments) with Whisper's encoder.

The *context* of a unit is the length of audio, in seconds, that the encoder processes for it: the unit, padded with
silence.

Threads: several threads may call an ``Encoder``. It keeps no state between calls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ctranslate2
import numpy as np
import numpy.typing as npt

from asr.checkpoint import FULL_CONTEXT_S, Checkpoint
from asr.units import SpeechUnit
from inference.engine import Unit

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

FRAMES_PER_SECOND = 100  # of the features
OUTPUT_FRAMES_PER_SECOND = 50
DYNAMIC_RANGE = 2.0  # difference between the highest value and that of silence in normalised log-mel features


@dataclass(kw_only=True)
class Prepared(Unit):
    """A unit with its features, ready to be decoded.

    ``features``: float32 (mels, frames).
    ``context_s``: length of the encoder context to use, in seconds.
    ``prompt``: token ids to put before the decoder's start sequence.
    ``is_second_try``: whether a first try, with a shorter context, gave a doubtful text.
    """

    unit: SpeechUnit
    features: npt.NDArray[np.float32]
    context_s: int
    prompt: tuple[int, ...] = ()
    is_second_try: bool = False

    @property
    def cost(self) -> float:
        return float(self.context_s)


class Encoder:
    """Encodes batches on the device of the model."""

    def __init__(self, model: WhisperModel, checkpoint: Checkpoint) -> None:
        self._model = model
        self._checkpoint = checkpoint

    def encode(self, batch: Sequence[Prepared]) -> ctranslate2.StorageView:
        """Return the encoder's output for the batch, shape (units, frames / 2, width).

        On a CPU, the units are encoded one by one, which is faster. Encoding eight units of 15 s together took 1.9 s
        instead of 0.9 s, and 600 MB more memory. The attention of a batch needs buffers that are larger than malloc
        keeps, so most of the extra time was spent on page faults.

        If the contexts of a batch differ, each unit is encoded on a CPU in its own context, and its output is
        lengthened with ``extended``. On a GPU, all units are encoded in the longest of their contexts.
        """
        longest_s = max(item.context_s for item in batch)
        if self._model.model.device != "cpu":
            return self._model.encode(np.stack([padded(item, longest_s, self._checkpoint) for item in batch]))
        outputs = [self._model.encode(padded(item, item.context_s, self._checkpoint)[np.newaxis]) for item in batch]
        if len(outputs) == 1:
            return outputs[0]
        rows = [
            extended(np.asarray(output)[0], longest_s, item.unit.duration_s)
            for output, item in zip(outputs, batch, strict=True)
        ]
        return ctranslate2.StorageView.from_array(np.stack(rows))


def padded(item: Prepared, context_s: float, checkpoint: Checkpoint) -> npt.NDArray[np.float32]:
    """Return the item's features, padded to a context of ``context_s`` seconds, float32 (mels, frames)."""
    frames = round(context_s * FRAMES_PER_SECOND)
    width = min(frames, item.features.shape[1])
    features = np.full((item.features.shape[0], frames), _silence(item, checkpoint), np.float32)
    features[:, :width] = item.features[:, :width]
    return features


def _silence(item: Prepared, checkpoint: Checkpoint) -> float:
    """Return the value with which to pad the item's features.

    The value is zero, as in faster-whisper and in the training of the bundled model. But if a stock model gets a
    shorter context than it was trained for, it works better with the value of silence.
    """
    is_as_trained = item.context_s == FULL_CONTEXT_S or not checkpoint.margin_s
    return 0.0 if is_as_trained else float(item.features.max()) - DYNAMIC_RANGE


def extended(output: npt.NDArray[np.float32], context_s: int, duration_s: float) -> npt.NDArray[np.float32]:
    """Extend a unit's encoder output to a longer context, by repeating the silence at its end.

    The silence is repeated backwards and forwards in turn, so that neighbouring frames stay similar.

    ``output``: float32 (frames, width).
    ``context_s``: length of the result, in seconds.
    ``duration_s``: length of the unit's speech, in seconds. The frames after it in ``output`` are silence.
    """
    frames = context_s * OUTPUT_FRAMES_PER_SECOND
    missing = frames - len(output)
    if missing <= 0:
        return output
    silence = output[min(math.ceil(duration_s * OUTPUT_FRAMES_PER_SECOND), len(output) - 1) :]
    there_and_back = np.concatenate([silence[::-1], silence])
    return np.concatenate([output, np.resize(there_and_back, (missing, output.shape[1]))])
