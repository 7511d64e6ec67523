"""What the load generator is to do, as the file that it reads. Only its owner can read it: there is a key in it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE_VARIABLE = "LOADTEST_ORDERS"  # of the generator's environment
PIPE_VARIABLE = "LOADTEST_EVENTS"
LONGEST_TALK_S = 60.0  # of a live one, whatever the patience
PATIENCE_S = 60.0  # an answer that has not come after so long will not come


@dataclass(frozen=True)
class Clip:
    """A recording. ``file``: to upload, as it is; ``pcm``: the same, 16-bit mono at 16 kHz, to stream."""

    file: str
    content_type: str
    pcm: str
    seconds: float


@dataclass(frozen=True)
class Orders:
    """Orders for the load generator. ``people``: the prefix of the end users' ids, different in each run. ``first``:
    the number of the first sentence. ``patience_s``: a request that takes longer counts as hung."""

    host: str
    key: str
    people: str
    first: int
    is_closed_loop: bool
    language: str
    voice: str
    clips: list[Clip]
    patience_s: float = PATIENCE_S

    def write(self, path: Path) -> None:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)

    @classmethod
    def read(cls, path: str) -> Orders:
        fields: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(**{**fields, "clips": [Clip(**clip) for clip in fields["clips"]]})
