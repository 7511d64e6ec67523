"""What is metered of one request: plain data, so that who fills it in needs no database."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a request asked for."""

    TRANSCRIPTION = "transcription"
    TRANSLATION = "translation"
    SPEECH = "speech"
    REALTIME = "realtime"  # live recognition: a stream, which lasts as long as people talk


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of the ledger, not yet written. ``status`` is the HTTP status; 499 says that the client went away."""

    request_id: str
    kind: Kind
    client_id: int
    user: str
    model: str
    voice: str
    language: str
    audio_ms: int
    characters: int
    queue_ms: int
    total_ms: int
    status: int
    error_code: str
