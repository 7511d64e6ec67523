"""Make recordings of the held-out sentences with eSpeak NG, so that ``manage.py evaluate_asr`` can measure accuracy.

``python -m tools.training.heldout var/heldout`` uses the default voice at normal speed and pitch. ``--all-voices``
draws random voices, speeds, pitches, noise and echo, as training does. A ``manifest.jsonl`` lists the recordings and
their texts.
"""

from __future__ import annotations

import argparse
import json
import random
import wave
from pathlib import Path

import numpy as np

from tools.training import speech
from tools.training.corpus import held_out
from tools.training.speech import RATE, Voice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all-voices", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(4)
    generator = np.random.default_rng(4)
    lines = []
    for number, text in enumerate(held_out()):
        voice = speech.draw_voice(rng) if options.all_voices else Voice()
        audio = np.concatenate([speech.silence(0.3), speech.utter(text, voice), speech.silence(0.3)])
        if options.all_voices:
            audio = speech.distort(audio, rng, generator)
        path = options.folder / f"{number:03}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())
        lines.append(json.dumps({"audio": path.name, "text": text}))
    (options.folder / "manifest.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    print(f"{len(lines)} recordings in {options.folder}")


if __name__ == "__main__":
    main()
