"""The configuration of the load generator, and the JSON file that passes it to the generator's process.

Only the owner can read the file, because it contains an API key.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Environment variables of the generator: the path of this file, and the file descriptor of the pipe for events.
CONFIG_VARIABLE = "LOADTEST_CONFIG"
PIPE_VARIABLE = "LOADTEST_EVENTS"
MAX_SPEECH_S = 60.0  # the longest audio of a live request, which may take this long plus TIMEOUT_S
TIMEOUT_S = 60.0  # a request without an answer after this time counts as hung


@dataclass(frozen=True)
class Clip:
    """A recording, in the forms in which it is sent.

    ``file``: the path of the file to upload.
    ``content_type``: the content type of that file.
    ``pcm``: the path of the WAV file (16-bit mono, 16 kHz) to stream. It contains the same recording.
    ``seconds``: the length of the recording.
    """

    file: str
    content_type: str
    pcm: str
    seconds: float


@dataclass(frozen=True)
class GeneratorConfig:
    """The configuration of the load generator.

    ``host``: the address of the service.
    ``key``: an API key for the service.
    ``user_prefix``: the prefix of the end users' ids, different in each run.
    ``first``: the number of the first sentence to be spoken (see ``sentences``).
    ``is_closed_loop``: whether users ask again without think time.
    ``language``: the language of the clips.
    ``voice``: the TTS voice.
    ``clips``: the recordings to recognise.
    ``clips_from``: who spoke the clips, for the report.
    ``timeout_s``: seconds after which a request counts as hung.
    """

    host: str
    key: str
    user_prefix: str
    first: int
    is_closed_loop: bool
    language: str
    voice: str
    clips: list[Clip]
    clips_from: str = ""
    timeout_s: float = TIMEOUT_S

    def write(self, path: Path) -> None:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)

    @classmethod
    def read(cls, path: str) -> GeneratorConfig:
        fields: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(**{**fields, "clips": [Clip(**clip) for clip in fields["clips"]]})
