"""The gate in front of every endpoint that does speech work (recognition or synthesis).

    async with request_gate(caller_of(request), Kind.SPEECH) as work:
        await work.admit(body.get("user"))
        work.model = "espeak-ng"
        work.characters = len(text)
        await work.reserve()
        return await work.stream(chunks, content_type="audio/mpeg")

The gate admits the end user, measures the work and settles the usage, that is, records it in the ledger. Whether the
block succeeds or fails, exactly one ledger row is committed before the response is complete. While the database is
unavailable, the row is written to a spool file instead. A streamed response keeps the gate open until its last chunk.

To admit an end user, the gate checks three conditions in this order: voice is enabled for the user (roll-out), the user
has quota left, and the service has capacity for another user. If a header or a token names the end user, the gate
makes these checks when it opens. Otherwise the body may name the end user, so the view calls ``Work.admit`` after
reading the body.

The view calls ``Work.reserve`` once it knows how much quota the request needs. If the view does not call ``admit`` or
``reserve``, the gate calls them before the response is sent.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress

from django.conf import settings
from django.http import StreamingHttpResponse

from capacity import concurrent_users
from core.context import current
from core.errors import ApiError, as_api_error
from core.identity import Caller, check_still_valid, end_user
from gateway import metrics
from gateway.endpoints import FEATURES
from gateway.lifecycle import lifecycle
from rollout import policy
from rollout.feature import Feature
from usage import quota
from usage.checkpoints import UsageCheckpoint
from usage.entry import Entry, Kind, Measure
from usage.ledger_writer import ledger

__all__ = ["FEATURES", "Kind", "Work", "WorkStream", "preflight", "request_gate"]


class Work:
    """One request for speech work: its admission, its usage and its settlement.

    The view sets ``model``, ``voice``, ``language``, ``characters``, ``audio_ms`` and ``queue_ms``. Their values are
    recorded when the gate closes.

    ``deadline``: time by which the results must be ready, in seconds of ``time.monotonic()``.
    ``is_streaming``: True once the response is a ``WorkStream``, which settles the work when the stream ends.
    ``is_live``: True for a socket. It sends results at once, so checks at the end of the gate would be too late.
    """

    def __init__(self, kind: Kind, caller: Caller) -> None:
        self._context = current()
        self.kind = kind
        self.caller = caller
        self.request_id = self._context.id
        self.deadline = self._context.started + settings.VOICE_DEADLINE_S
        self.model = ""
        self.voice = ""
        self.language = ""
        self.characters = 0
        self.audio_ms: float = 0
        self.queue_ms: float = 0
        self.is_streaming = False
        self.is_live = False
        self._user = caller.user
        self._admitted: str | None = None
        self._covered = 0
        self._reservation = quota.Reservation(kind)
        self._slot: concurrent_users.ConcurrencySlot | None = None
        self._checkpoint = UsageCheckpoint()
        self._settled = False

    @property
    def user(self) -> str:
        """The end user's id, or ``key:`` and the API key's prefix if no end user has been named."""
        return self._user

    @property
    def feature(self) -> Feature:
        """The roll-out feature that this kind of work belongs to."""
        return FEATURES[self.kind]

    @property
    def units(self) -> int:
        """The usage so far, in the units in which the quota counts: characters, or milliseconds of audio."""
        return self.characters if self.kind.measure is Measure.CHARACTERS else round(self.audio_ms)

    def set_cost(self, cost: float) -> None:
        """Set the actual cost of this work for admission control.

        ``cost``: seconds of audio, or characters; 0 if the work needs no engine.
        """
        if self._context.admitted is not None:
            self._context.admitted.revise(cost)

    def leave_admission(self) -> None:
        """Stop counting this work as load in admission control. From now on an engine's queue counts it."""
        if self._context.admitted is not None:
            self._context.admitted.leave(done=False)

    async def admit(self, user: str | None = None) -> None:
        """Admit the end user.

        ``user``: id of the end user in the body. It is ignored if a header or a token names the end user.

        Raise ``ApiError`` 400 for an invalid id, ``VoiceNotEnabled`` (403) outside the roll-out, ``QuotaExceeded``
        (429) if the quota is used up, and ``TooManyUsers`` (503) if the service has no capacity for another user.
        """
        if user and not self.caller.names_user:
            self._user = end_user(user, "user")
        if self._admitted == self._user:
            return
        await policy.require(self.caller, self._user, self.feature)
        await quota.check(self.caller, self._user, self.kind)
        self._leave()
        slot = concurrent_users.concurrency_slot(self.caller.client_id, self._user, self.feature)
        await slot.begin()
        self._slot = slot
        self._admitted = self._user

    async def reserve(self, *, ahead: int = 0) -> None:
        """Reserve quota for the ``units`` known so far. Raise ``QuotaExceeded`` (429) if too little quota is left.

        ``ahead``: units to reserve in addition, so that long-running work queries the database less often. If too
        little quota is left for them, only the units known so far are reserved.
        """
        if ahead and self.units > self._covered:
            with suppress(quota.QuotaExceeded):
                await self._reserve(self.units + ahead)
        await self._reserve(max(self.units, self._covered))

    async def _reserve(self, units: int) -> None:
        await self._reservation.reserve(self.caller, self._user, units=units)
        self._covered = units

    async def recheck(self) -> None:
        """Check again whether long-running work may continue.

        Raise ``VoiceNotEnabled`` (403) if the end user no longer has voice, for example after the kill switch, and
        ``ApiError`` 401 if the caller's key has been revoked or has expired, or its client application is switched off.
        """
        await check_still_valid(self.caller)
        if self._admitted is None:
            await policy.require_for_anybody(self.caller, self.feature)
        else:
            await policy.require(self.caller, self._user, self.feature)

    async def stream(
        self, chunks: AsyncGenerator[bytes, None], *, content_type: str, headers: Mapping[str, str] | None = None
    ) -> WorkStream:
        """Return a streaming response that closes the gate when it ends.

        The first chunk is made before the response is returned, so an error up to then still gets an error response.
        Raise the errors of ``admit`` and ``reserve``, and those of the first chunk.
        """
        try:
            await self.admit()
            await self.reserve()
            first = await anext(chunks, b"")
        except BaseException:
            await chunks.aclose()
            raise
        self.is_streaming = True
        return WorkStream(self, first, chunks, content_type=content_type, headers=dict(headers or {}))

    async def checkpoint(self) -> None:
        """Save the usage so far of long-running work. Raise ``DatabaseError`` if the database is unavailable.

        If this process is killed, only the usage after the last checkpoint is lost.
        """
        if not self._settled:
            await self._checkpoint.save(self._entry(None))

    async def settle(self, error: BaseException | None = None) -> None:
        """Commit this request's ledger row, or write the row to the spool while the database is unavailable.

        Later calls do nothing. Raise ``DatabaseError`` if the row can be neither committed nor spooled.

        ``error``: the exception that ended the work; None if the work succeeded.
        """
        if self._settled:
            return
        entry = self._end(error)
        # The shield ensures that the row is written even if the caller disconnects now.
        try:
            await asyncio.shield(asyncio.ensure_future(self._checkpoint.settle(entry)))
        finally:
            self._leave()

    def settle_refusal(self, refusal: BaseException) -> None:
        """Settle work that was refused before it began.

        The ledger row is written within a second, in a batch with other rows, to keep refusals cheap.

        ``refusal``: the error with which the work was refused.
        """
        ledger().enqueue(self._end(refusal))

    def _end(self, error: BaseException | None) -> Entry:
        self._settled = True
        if self in self._context.work:
            self._context.work.remove(self)
        entry = self._entry(as_api_error(error) if error is not None else None)
        self._context.notes.update(kind=self.kind.value, model=self.model, voice=self.voice)
        metrics.observe_work(entry)
        return entry

    def _leave(self) -> None:
        if self._slot is not None:
            self._slot.release()

    def _entry(self, answer: ApiError | None) -> Entry:
        # Each failed attempt has its own row, but all successful attempts with the same Idempotency-Key share one row.
        settlement = self._context.settlement_id if answer is None else None
        # A client that disconnected before the response began has received nothing, so no usage is recorded.
        is_for_nothing = answer is not None and answer.status == 499 and not (self.is_streaming or self.is_live)
        return Entry(
            request_id=self.request_id,
            kind=self.kind,
            client_id=self.caller.client_id,
            user=self.user,
            model=self.model,
            voice=self.voice or "",
            language=self.language or "",
            audio_ms=0 if is_for_nothing else round(self.audio_ms),
            characters=0 if is_for_nothing else self.characters,
            queue_ms=round(self.queue_ms),
            total_ms=self._context.elapsed_ms(),
            status=answer.status if answer else 200,
            error_code=answer.code if answer else "",
            is_live=self.is_live,
            reservation=self._reservation.key,
            settlement=settlement or uuid.uuid4().hex,
        )


@asynccontextmanager
async def request_gate(caller: Caller, kind: Kind, *, user: str | None = None) -> AsyncIterator[Work]:
    """Open the gate for one request of an authenticated caller, and yield its ``Work``.

    The work is settled when the block ends. If the response is streamed, the stream settles the work at its end.

    ``user``: id of the end user in the request's fields, or None. A header or a token takes precedence.

    Raise the errors of ``Work.admit``, ``ApiError`` 429 over the rate limit, ``ApiError`` 503 while the process is
    draining, and ``TimeoutError`` (answered with 503) if the engines do not load before the deadline.
    """
    work = Work(kind, caller)
    context = current()
    context.work.append(work)
    try:
        if context.rate is not None:
            context.rate.check()
        if work.caller.names_user or user:
            await work.admit(user)
        else:
            await policy.require_for_anybody(work.caller, work.feature)
        await lifecycle().admit(work.deadline)
        yield work
        if not (work.is_streaming or work.is_live):
            await work.admit()
            await work.reserve()
    except BaseException as error:
        await work.settle(error)
        raise
    if not work.is_streaming:
        await work.settle()


async def preflight(caller: Caller, kind: Kind) -> None:
    """Make the gate's three checks of the end user without reserving anything. Raise the first error.

    This is for a call that only prepares speech work, such as a call that issues a browser's token.
    """
    await policy.require(caller, caller.user, FEATURES[kind])
    await quota.check(caller, caller.user, kind)
    await concurrent_users.admit(caller.client_id, caller.user)


class WorkStream(StreamingHttpResponse):
    """Streaming response that settles its ``Work`` at the end, after an error, or when the client disconnects.

    ``on_end``: function to call after settling. Its argument is the whole body, or None if the body was not sent
    completely.
    """

    on_end: Callable[[bytes | None], Awaitable[None]] | None = None

    def __init__(
        self,
        work: Work,
        first: bytes,
        rest: AsyncGenerator[bytes, None],
        *,
        content_type: str,
        headers: dict[str, str],
    ) -> None:
        super().__init__(rest, content_type=content_type, headers=headers)
        self._work = work
        self._first = first
        self._rest = rest

    def __aiter__(self) -> AsyncIterator[bytes]:
        # Django closes this iterator as soon as the client disconnects, so the work is settled at once. With the base
        # class's iterator, the generator would only be closed, and the work settled, by the garbage collector.
        return self._chunks()

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        outcome: BaseException | None = None
        sent: list[bytes] = []
        try:
            async with aclosing(self._rest):
                if self._first:
                    sent.append(self._first)
                    yield self._first
                async for chunk in self._rest:
                    if self.on_end is not None:
                        sent.append(chunk)
                    yield chunk
        except GeneratorExit:
            outcome = asyncio.CancelledError()
            raise
        except BaseException as error:
            outcome = error
            raise
        finally:
            await self._work.settle(outcome)
            if self.on_end is not None:
                await self.on_end(None if outcome else b"".join(sent))
