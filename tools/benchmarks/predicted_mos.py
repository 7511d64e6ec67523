"""Print the mean opinion score (MOS) that DistillMOS predicts for each directory of WAV files.

    python -m venv .venv-listen && .venv-listen/bin/pip install -r requirements-listen.in
    .venv-listen/bin/python tools/benchmarks/predicted_mos.py DIRECTORY ...

The score, from 1 to 5, is a model's estimate. Use it only to compare voices: the product's scorecard shows the ratings
of real listeners instead. This script imports nothing from the project, because it runs in an environment that has
torch but not the service's packages.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import fmean

import soundfile
import torch
import torchaudio
from distillmos import ConvTransformerSQAModel

SAMPLE_RATE = 16_000  # required by DistillMOS


def scores(directory: Path, model: torch.nn.Module) -> list[float]:
    """Return the predicted MOS (1 to 5) of each WAV file in a directory."""
    found = []
    for path in sorted(directory.glob("*.wav")):
        samples, rate = soundfile.read(path, dtype="float32")
        audio = torchaudio.functional.resample(torch.from_numpy(samples)[None], rate, SAMPLE_RATE)
        with torch.no_grad():
            found.append(model(audio).item())
    return found


def main() -> None:
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    model = ConvTransformerSQAModel()
    model.eval()
    print("| voice | predicted MOS | lowest sentence | sentences |\n|---|---|---|---|")
    for name in sys.argv[1:]:
        found = scores(Path(name), model)
        if not found:
            raise SystemExit(f"{name} has no WAV files")
        print(f"| {Path(name).name} | {fmean(found):.2f} | {min(found):.2f} | {len(found)} |", flush=True)


if __name__ == "__main__":
    main()
