"""The metered facts of one request as plain data, so that code that measures work needs no database."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Measure(StrEnum):
    """Unit in which quotas and prices count work: milliseconds of recognised audio, or characters of spoken text."""

    AUDIO = "audio"
    CHARACTERS = "characters"


class Kind(StrEnum):
    """The kind of speech work that a request asks for."""

    TRANSCRIPTION = "transcription"
    TRANSLATION = "translation"
    SPEECH = "speech"
    REALTIME = "realtime"  # live recognition: a stream, which lasts as long as people talk

    @property
    def measure(self) -> Measure:
        return Measure.CHARACTERS if self is Kind.SPEECH else Measure.AUDIO

    @property
    def feature(self) -> str:
        """The name of the part of voice (``rollout.feature.Feature``) that this kind of work belongs to."""
        return {Kind.SPEECH: "tts", Kind.REALTIME: "realtime"}.get(self, "asr")


# 499: the client disconnected during the response. Work done until then is charged; see ``gateway.gate``.
CHARGED_STATUSES = (200, 499)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of the ledger that is not written yet.

    ``request_id``: id that the caller chose or was given; not necessarily unique.
    ``user``: id of the end user, as chosen by the client application.
    ``audio_ms``: milliseconds of recognised audio.
    ``characters``: characters of spoken text.
    ``queue_ms``: the part of ``total_ms`` in which the work waited.
    ``total_ms``: time from request to response.
    ``status``: HTTP status of the response; 499 if the client disconnected.
    ``is_live``: True for a stream, which lasts as long as people talk, so ``total_ms`` is not a response time.
    ``reservation``: key of the quota reserved for this work, which is freed when the row is written; "" if there is
    none.
    ``settlement``: id of which the ledger accepts only one row, so that writing again has no effect. May be None.
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
