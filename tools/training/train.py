"""Train the bundled model: ``python -m tools.training.train var/training --minutes 110``.

Training stops after this time and saves a checkpoint every few minutes. If it is started again with the same folder, it
continues from the last checkpoint. Afterwards, ``python -m tools.training.export`` makes the model directory.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import signal
import time
from pathlib import Path

import jiwer
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from tools.training import tokens
from tools.training.batches import Batch, Batches, collate
from tools.training.corpus import Corpus, held_out
from tools.training.examples import Example, Examples
from tools.training.model import TrainedWhisper, whisper_config
from tools.training.speech import Voice, draw_voice

CHECKPOINT_EVERY_S = 300
WARM_UP_STEPS = 300


class Trainer:
    """Trains the model and saves checkpoints.

    ``folder``: the folder of the checkpoint. Training continues from a checkpoint that is already there.
    ``minutes``: how long to train, including earlier runs.
    ``peak_rate``: the highest learning rate.
    ``frames``: frames per batch, including padding.
    ``start``: the checkpoint that provides the initial weights; None for random weights.
    """

    def __init__(self, folder: Path, minutes: float, peak_rate: float, frames: int, start: Path | None) -> None:
        self.checkpoint = folder / "checkpoint.pt"
        self.minutes = minutes
        self.peak_rate = peak_rate
        self.frames = frames
        self.model = TrainedWhisper(whisper_config(width=128, encoder_layers=4, decoder_layers=2))
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=peak_rate, betas=(0.9, 0.98), weight_decay=0.01)
        self.step = 0
        self.trained_s = 0.0
        if self.checkpoint.exists():
            state = torch.load(self.checkpoint, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]
            self.trained_s = state["trained_s"]
            print(f"resumed at step {self.step}, {self.trained_s / 60:.0f} min", flush=True)
        elif start is not None:
            self.model.load_state_dict(torch.load(start, weights_only=True)["model"])
        print(f"{sum(p.numel() for p in self.model.whisper.parameters()) / 1e6:.2f} M parameters", flush=True)

    @property
    def progress(self) -> float:
        """The share of the training time that is over, from 0 to 1."""
        return min(1.0, self.trained_s / (60 * self.minutes))

    def rate(self) -> float:
        """Return the current learning rate: a linear warm-up, then cosine decay to 1 % of the peak."""
        warm = min(1.0, (self.step + 1) / WARM_UP_STEPS)
        return self.peak_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.progress)))

    def loss(self, batch: Batch) -> tuple[torch.Tensor, float, float]:
        """Return the total loss of a batch, the loss of the attention decoder, and the CTC loss."""
        hidden = self.model.encode(batch.features)
        log_probs = F.log_softmax(self.model.ctc(hidden), -1).transpose(0, 1)
        frames = ((batch.lengths + 1) // 2).clamp(max=hidden.shape[1])
        ctc = F.ctc_loss(log_probs, batch.pieces, frames, batch.piece_counts, blank=tokens.PIECES, zero_infinity=True)
        logits = self.model.decode(hidden, batch.inputs)
        attention = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), label_smoothing=0.05)
        weight = 0.4 - 0.25 * self.progress
        return attention + weight * ctc, attention.item(), ctc.item()

    def run(self) -> None:
        seed = random.SystemRandom().randrange(2**31)  # a resumed run must not use the same audio again
        loader = iter(DataLoader(Batches(seed, self.frames), batch_size=None, num_workers=1, prefetch_factor=4))
        saved = last = time.monotonic()
        smooth: list[float] = []
        self.model.train()
        while self.progress < 1:
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate()
            loss, *parts = self.loss(next(loader))
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimizer.step()
            self.step += 1
            now = time.monotonic()
            self.trained_s += now - last
            last = now
            smooth = [0.98 * old + 0.02 * new for old, new in zip(smooth or parts, parts, strict=True)]
            if self.step % 100 == 0:
                print(
                    f"step {self.step}  {self.trained_s / 60:.1f} of {self.minutes:.0f} min  attention {smooth[0]:.3f}"
                    f"  ctc {smooth[1]:.3f}  rate {self.rate():.5f}",
                    flush=True,
                )
            if now - saved > CHECKPOINT_EVERY_S or self.progress >= 1:
                self.save()
                self.evaluate()
                saved = last = time.monotonic()

    def save(self) -> None:
        partial = self.checkpoint.with_suffix(".partial")
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(state | {"step": self.step, "trained_s": self.trained_s}, partial)
        partial.rename(self.checkpoint)  # if the process is killed while saving, the previous checkpoint remains

    def evaluate(self, count: int = 100) -> None:
        """Print error rates on ``count`` held-out sentences.

        The sentences are spoken once by the default voice without noise, and once by random voices with noise.
        """
        self.model.eval()
        rng = random.Random(1)
        examples = Examples(Corpus(), seed=1)
        sentences = held_out()[:count]
        clean = [examples.clean(text, Voice()) for text in sentences]
        hard = [examples.clean(text, draw_voice(rng), distorted=True) for text in sentences]
        for name, spoken in (("default voice", clean), ("all voices", hard)):
            said = self._transcribe(spoken)
            wer = jiwer.wer(sentences, said)
            cer = jiwer.cer(sentences, said)
            print(f"held out, {name}: WER {wer:.3f} CER {cer:.3f}  e.g. {sentences[0]} -> {said[0]}", flush=True)
        self.model.train()

    def _transcribe(self, spoken: list[Example]) -> list[str]:
        said: list[str] = []
        for start in range(0, len(spoken), 25):
            some = spoken[start : start + 25]
            context = max(500, max(example.frames for example in some) // 2 * 2 + 2)
            said += [text or "-" for text in self.model.transcribe(collate(some, min(3000, context)).features)]
        return said


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=110)
    parser.add_argument("--peak-rate", type=float, default=1e-3)
    parser.add_argument("--frames", type=int, default=6000, help="frames in a batch, padding included")
    parser.add_argument("--start", type=Path, help="a checkpoint whose weights to start from")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.folder.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    trainer = Trainer(options.folder, options.minutes, options.peak_rate, options.frames, options.start)
    try:
        trainer.run()
    except KeyboardInterrupt:
        trainer.save()


if __name__ == "__main__":
    main()
