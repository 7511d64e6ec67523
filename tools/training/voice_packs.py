"""Make the packs of Kokoro's voices from the published ``*.bin`` packs in DIRECTORY.

    python -m tools.training.voice_packs DIRECTORY

A pack holds the vectors that give a voice its sound. A published pack has one row for each length of a text, from 1 to
510 symbols. Neighbouring rows differ little, so the packs of this project keep only ``ROWS`` of them, evenly spaced, as
float16. ``tts.kokoro.style`` interpolates between these rows.
"""

from __future__ import annotations

import argparse
import re
import tomllib
from pathlib import Path

import numpy as np

from tts.kokoro import FULL_ROWS, PACKS, Pack, read_pack
from tts.kokoro_voices import VOICES_FILE

ROWS = 52
_PART = re.compile(r"\s*(?:(?P<share>[0-9.]+)\s*\*\s*)?(?P<pack>\w+)\s*")


def mixed(recipe: str, published: Path) -> Pack:
    """Return the pack of a recipe such as ``0.6*hf_alpha + 0.4*af_heart``, shape (510, 256).

    ``published``: the directory of the published packs.

    Raise ``ValueError`` if the recipe cannot be parsed.
    """
    pack = np.zeros((1, 1), np.float32)
    for part in recipe.split("+"):
        found = _PART.fullmatch(part)
        if found is None:
            raise ValueError(f"{recipe!r} is no recipe")
        pack = pack + np.float32(found["share"] or 1) * read_pack(published / f"{found['pack']}.bin")
    return pack


def thinned(pack: Pack, rows: int = ROWS) -> Pack:
    """Return ``rows`` evenly spaced rows of a full pack, from the first row to the last, interpolated linearly."""
    places = np.linspace(0, FULL_ROWS - 1, rows)
    below = places.astype(int)
    share = (places - below)[:, np.newaxis].astype(np.float32)
    thin: Pack = pack[below] * (1 - share) + pack[np.minimum(below + 1, FULL_ROWS - 1)] * share
    return thin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("published", type=Path)
    published = parser.parse_args().published
    PACKS.mkdir(exist_ok=True)
    for voice in tomllib.loads(VOICES_FILE.read_text(encoding="utf-8"))["voices"]:
        pack = thinned(mixed(voice["recipe"], published)).astype("<f2")
        (PACKS / f"{voice['parameters']['pack']}.f16").write_bytes(pack.tobytes())


if __name__ == "__main__":
    main()
