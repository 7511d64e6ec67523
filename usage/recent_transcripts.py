"""Recent transcripts, stored for a short time in memory or Redis for comparison with users' corrections."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from django.conf import settings

from core.store import StoreUnavailable, make_store

if TYPE_CHECKING:
    from core.identity import Caller

MAX_BYTES = 16_777_216


class Transcribed(Protocol):
    """The request that a transcript belongs to."""

    @property
    def caller(self) -> Caller: ...
    @property
    def user(self) -> str: ...
    @property
    def request_id(self) -> str: ...


_store = make_store("recent", MAX_BYTES, settings.VOICE_CORRECTION_WINDOW_S)


async def remember(work: Transcribed, text: str) -> None:
    """Store the transcript of a request for ``VOICE_CORRECTION_WINDOW_S`` seconds. If this is 0, store nothing.

    If the store is unavailable, the transcript is not stored, so the user cannot correct it later.
    """
    if settings.VOICE_CORRECTION_WINDOW_S > 0:
        with suppress(StoreUnavailable):  # the store has logged the error
            name = _name(work.caller.client_id, work.user, work.request_id)
            await _store().put(name, text.encode("utf-8", "replace"))


async def recall(caller: Caller, request_id: str) -> str | None:
    """Return the transcript of the end user's request; None if it is no longer stored.

    Raise ``StoreUnavailable`` while Redis is unavailable.
    """
    text = await _store().get(_name(caller.client_id, caller.user, request_id))
    return None if text is None else text.decode()


def _name(client_id: int, user: str, request_id: str) -> str:
    return f"{client_id}\0{user}\0{request_id}"
