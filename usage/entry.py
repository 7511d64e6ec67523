"""The measured usage of one request as plain data, so that code that measures work does not depend on the database."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Measure(StrEnum):
    """Unit in which quotas and prices count work: milliseconds of recognised audio, or characters of text to speak."""

    AUDIO = "audio"
    CHARACTERS = "characters"


class Kind(StrEnum):
    """The kind of speech work that a request asks for."""

    TRANSCRIPTION = "transcription"
    TRANSLATION = "translation"
    SPEECH = "speech"
    REALTIME = "realtime"  # live recognition in a stream

    @property
    def measure(self) -> Measure:
        return Measure.CHARACTERS if self is Kind.SPEECH else Measure.AUDIO

    @property
    def feature(self) -> str:
        """The value of the roll-out feature (``rollout.feature.Feature``) that this kind of work belongs to."""
        return {Kind.SPEECH: "tts", Kind.REALTIME: "realtime"}.get(self, "asr")


# 499: the client disconnected during the response. The work up to then is charged (see ``gateway.gate``).
CHARGED_STATUSES = (200, 499)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A ledger row before it is written.

    ``request_id``: id of the request. Callers may choose it, so it is not necessarily unique.
    ``user``: id of the end user, as chosen by the client application.
    ``audio_ms``: milliseconds of recognised audio.
    ``characters``: number of characters of text to speak.
    ``queue_ms``: milliseconds that the work waited in queues.
    ``total_ms``: milliseconds from request to response, including ``queue_ms``.
    ``status``: HTTP status of the response; 499 if the client disconnected.
    ``is_live``: True for a stream. Its ``total_ms`` depends on how long people talk, and is not a response time.
    ``reservation``: key of the quota reserved for this work, or "". The quota is freed when the row is written.
    ``settlement``: id that only one row of the ledger can have, so that a repeated write has no effect; None: no check.
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
