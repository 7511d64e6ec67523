"""Batches of training examples that have similar lengths, padded to a common context."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch.utils.data import IterableDataset

from tools.training import tokens
from tools.training.corpus import Corpus
from tools.training.examples import CONTEXTS, IGNORED, Example, Examples


@dataclass
class Batch:
    """A padded batch.

    ``features``: float32, shape (batch, 80, context).
    ``inputs``: the decoder's input, int64, shape (batch, tokens).
    ``targets``: the tokens to predict, int64, shape (batch, tokens).
    ``pieces``: the CTC targets of all examples one after the other, int64, shape (sum of ``piece_counts``,).
    ``piece_counts``: the number of CTC targets of each example, int64, shape (batch,).
    ``lengths``: the number of frames of each example without padding, int64, shape (batch,).
    """

    features: torch.Tensor
    inputs: torch.Tensor
    targets: torch.Tensor
    pieces: torch.Tensor
    piece_counts: torch.Tensor
    lengths: torch.Tensor


def collate(examples: list[Example], context: int) -> Batch:
    """Return a batch of examples, each padded to ``context`` frames."""
    longest = max(len(example.ids) for example in examples) - 1
    features = torch.zeros(len(examples), 80, context)
    inputs = torch.full((len(examples), longest), tokens.EOT)
    targets = torch.full((len(examples), longest), IGNORED)
    for row, example in enumerate(examples):
        features[row, :, : example.frames] = torch.from_numpy(example.features)
        inputs[row, : len(example.ids) - 1] = torch.tensor(example.ids[:-1])
        targets[row, : len(example.ids) - 1] = torch.tensor(example.targets())
    return Batch(
        features,
        inputs,
        targets,
        torch.tensor([piece for example in examples for piece in example.pieces], dtype=torch.long),
        torch.tensor([len(example.pieces) for example in examples]),
        torch.tensor([example.frames for example in examples]),
    )


class Batches(IterableDataset[Batch]):
    """An endless series of batches of at most about ``frames`` frames, including padding.

    Most batches are padded to little more than their longest example, which is cheap. The others are padded to the
    context bucket that the engine would use, or sometimes to a larger one, up to the 30 s of
    ``WhisperModel.transcribe``.
    """

    POOL = 192

    def __init__(self, seed: int, frames: int) -> None:
        self._seed = seed
        self._frames = frames

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes, but only the trainer handles it
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        rng = random.Random(self._seed)
        examples = Examples(Corpus(), self._seed)
        # Each example is used twice with different masks, because making one takes as long as training on it.
        previous: list[Example] = []
        while True:
            fresh = [examples.draw() for _ in range(self.POOL // 2)]
            pool = sorted(fresh + previous, key=lambda example: example.frames)
            previous = fresh
            batches = list(self._cut(pool, rng))
            rng.shuffle(batches)
            yield from batches

    def _cut(self, pool: list[Example], rng: random.Random) -> Iterator[Batch]:
        while pool:
            bucketed = rng.random() < 0.4
            longer = rng.random()
            taken: list[Example] = []
            context = 0
            while pool:
                wanted = self._context(pool[0].frames, bucketed, longer)
                if taken and wanted * (len(taken) + 1) > self._frames:
                    break
                taken.append(pool.pop(0))
                context = wanted
            yield collate([_masked(example, rng) for example in taken], context)

    @staticmethod
    def _context(frames: int, bucketed: bool, longer: float) -> int:
        if not bucketed:
            return min(3000, frames + 2 + int(longer * 60) // 2 * 2 + frames % 2)
        fitting = [context for context in CONTEXTS if context >= frames]
        if longer < 0.04:
            return CONTEXTS[-1]
        return fitting[1] if longer < 0.15 and len(fitting) > 1 else fitting[0]


def _masked(example: Example, rng: random.Random) -> Example:
    """Return a copy with SpecAugment: two random frequency bands and two random time spans are set to the mean."""
    features = example.features.copy()
    level = features.mean()
    for _ in range(2):
        width = rng.randint(0, 10)
        start = rng.randint(0, 80 - width)
        features[start : start + width] = level
        width = rng.randint(0, 12)
        start = rng.randint(0, max(1, example.frames - width))
        features[:, start : start + width] = level
    return replace(example, features=features)
