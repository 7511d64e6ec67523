"""The metered facts of one request, as plain data, so that the code that fills it in needs no database."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Measure(StrEnum):
    """The unit in which work is counted for quotas and money: milliseconds of audio heard, or characters spoken."""

    AUDIO = "audio"
    CHARACTERS = "characters"


class Kind(StrEnum):
    """What a request asked for."""

    TRANSCRIPTION = "transcription"
    TRANSLATION = "translation"
    SPEECH = "speech"
    REALTIME = "realtime"  # live recognition: a stream, which lasts as long as people talk

    @property
    def measure(self) -> Measure:
        return Measure.CHARACTERS if self is Kind.SPEECH else Measure.AUDIO

    @property
    def feature(self) -> str:
        """The part of voice that this kind belongs to, by its name in the roll-out."""
        return {Kind.SPEECH: "tts", Kind.REALTIME: "realtime"}.get(self, "asr")


# A client that left while its answer was on the way has had what was made until then; see ``gateway.gate``.
CHARGED_STATUSES = (200, 499)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of the ledger, not yet written. ``status`` is the HTTP status; 499 says that the client went away.

    ``is_live``: it lasted as long as somebody spoke or listened, so ``total_ms`` is no response time.
    ``reservation``: the key of the quota that was held for this work, which the row's writing frees. ``settlement``: an
    id of which the ledger takes one row, however often it is written.
    """

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
    is_live: bool = False
    reservation: str = ""
    settlement: str | None = None
