"""The server of the inference tier: an ASGI application that receives units of work, and returns their results.

``inference.wire`` describes the binary frames in which units and results are sent. ``manage.py serve_inference`` runs
this application in one process, and ``inference.ray_app`` runs it in Ray Serve's ingress. A ``UnitHandler`` runs the
units, either in this process (``LocalUnitHandler``) or in Ray Serve replicas (``ray_app.DeploymentUnitHandler``).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from core import tracing
from core.context import RequestContext, enter
from core.logs import without_messages
from inference import gpu, runtime
from inference.errors import Draining, InferenceError, UnitFailed
from inference.wire import (
    LARGEST_FRAME,
    PREFIX,
    Fields,
    Reply,
    WireError,
    failure_reply,
    result_reply,
    split_reading,
    unpack_unit,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TierStatus:
    """The state of the inference tier.

    ``engines``: for each engine, its state in each process that has reported recently. A state has the process's id
    (``process``) and the fields of ``EngineStats``.
    ``gpus``: the fields of ``GpuReading`` for each GPU.
    ``replicas``: for each engine, the present (``running``) and the maximum (``most``) number of replicas; empty if the
    tier is a single process, or if the numbers are unknown.
    """

    engines: dict[str, list[Fields]]
    gpus: list[Fields] = field(default_factory=list)
    replicas: dict[str, Fields] = field(default_factory=dict)


class UnitHandler(Protocol):
    """Runs the units that ``UnitServer`` receives.

    ``answer`` runs the unit in a frame on the engine ``name``, and raises ``KeyError`` if there is no such engine.
    """

    async def answer(self, name: str, frame: bytes) -> Reply: ...

    async def status(self) -> TierStatus: ...

    async def about(self) -> dict[str, Fields]: ...


class LocalUnitHandler:
    """A ``UnitHandler`` that runs units in the engines of this process.

    ``process``: an id of this process, unique in the inference tier.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.process = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._names = frozenset(names)

    async def load(self) -> None:
        """Load the engines, and run sample units on each engine, so that the first request is not slow.

        Raise ``EngineUnavailable`` if an engine cannot be loaded, or the error of a model that fails.
        """
        await asyncio.gather(*(self._load(name) for name in self._names))

    @staticmethod
    async def _load(name: str) -> None:
        engine = runtime.local(name)
        await engine.load()
        for unit in runtime.codec(name).samples():
            await engine.submit(unit)

    @property
    def is_ready(self) -> bool:
        return all(runtime.local(name).stats().ready for name in self._names)

    async def answer(self, name: str, frame: bytes) -> Reply:
        if name not in self._names:
            raise KeyError(name)
        codec = runtime.codec(name)
        engine = runtime.local(name)
        try:
            unit = unpack_unit(codec, frame)
        except WireError as error:
            return failure_reply(error)
        if request_id := unit.origin.get(tracing.REQUEST_ID):
            enter(RequestContext(id=request_id))  # so that log lines contain the id of the unit's request
        started = time.monotonic()
        try:
            with tracing.span(f"tier {name}", tracing.SpanRole.SERVER, parent=unit.origin, engine=name):
                result = await engine.submit(unit)
        except InferenceError as error:
            logger.warning("a unit was not run", extra={"engine": name, "reason": type(error).__name__})
            return failure_reply(error)
        except Exception as error:  # the message may quote the unit's text, so callers get only the type of the error
            logger.error("an engine failed at a unit", exc_info=without_messages(error), extra={"engine": name})
            return failure_reply(UnitFailed(f"{name} failed ({type(error).__name__})"))
        duration_ms = round(1000 * (time.monotonic() - started))
        logger.info("unit", extra={"engine": name, "queued_ms": round(unit.queued_ms), "duration_ms": duration_ms})
        return result_reply(codec, result, unit, self.process, engine.stats())

    async def status(self) -> TierStatus:
        readings: dict[str, list[Fields]] = {
            name: [{"process": self.process, **asdict(runtime.local(name).stats())}] for name in self._names
        }
        return TierStatus(readings, [asdict(reading) for reading in gpu.read()])

    async def about(self) -> dict[str, Fields]:
        return {name: runtime.codec(name).about() for name in self._names}


class UnitServer:
    """The ASGI application of the inference tier.

    ``draining``: set this to True when the server is about to stop. It then finishes the running units, and refuses new
    units, so that clients send them elsewhere. It also closes the connection after each reply, because a load balancer
    may pass the client's next connection to another server.
    """

    def __init__(self, handler: UnitHandler) -> None:
        self._handler = handler
        self.draining = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _answer_lifespan(receive, send)
            return
        try:
            reply = await self._reply(scope["method"], scope["path"], receive)
        except KeyError:
            missing = {"code": "not_found", "message": "There is no such engine here.", "retry_after_s": None}
            reply = _json({"error": missing}, 404)
        except WireError as error:
            reply = failure_reply(error)
        if reply is not None:
            await _send(reply, send, is_last=self.draining)

    async def _reply(self, method: str, path: str, receive: Any) -> Reply | None:
        """Return the reply to a request; None if the client has disconnected."""
        match method, path:
            case "GET", "/healthz":
                return _json({"status": "ok"})
            case "GET", "/readyz":
                return await self._ready()
            case "GET", p if p == f"{PREFIX}status":
                return _json({"draining": self.draining, **_status_fields(await self._handler.status())})
            case "GET", p if p == f"{PREFIX}about":
                return _json(await self._handler.about())
            case "POST", p if p.startswith(PREFIX):
                return await self._unit(p.removeprefix(PREFIX), receive)
            case _:
                raise KeyError(path)

    async def _ready(self) -> Reply:
        readings = (await self._handler.status()).engines
        is_ready = not self.draining and all(any(one["ready"] for one in of) for of in readings.values())
        return _json({"status": "ready" if is_ready else "not ready"}, 200 if is_ready else 503)

    async def _unit(self, name: str, receive: Any) -> Reply | None:
        # The body is read even while draining. If the connection were closed earlier, the client might lose the reply.
        frame = await _body(receive)
        if frame is None:
            return None
        if self.draining:
            return failure_reply(Draining("this server is shutting down"))
        answering = asyncio.ensure_future(self._handler.answer(name, frame))
        disconnecting = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({answering, disconnecting}, return_when=asyncio.FIRST_COMPLETED)
            return await answering if answering.done() else None
        finally:
            for task in (answering, disconnecting):
                task.cancel()  # if the client has disconnected, nobody needs the result
                with suppress(asyncio.CancelledError, Exception):
                    await task


def _status_fields(status: TierStatus) -> Fields:
    """Convert a status to fields that can be sent as JSON.

    Older clients reject an engine's state if it has fields that they do not know (``wire.LATER_FIELDS``). So these
    fields are moved to the field ``later``, by engine and process.
    """
    engines: dict[str, list[Fields]] = {name: [] for name in status.engines}
    later: dict[str, dict[str, Fields]] = {name: {} for name in status.engines}
    for name, readings in status.engines.items():
        for reading in readings:
            known, later[name][reading["process"]] = split_reading(reading)
            engines[name].append(known)
    return {**asdict(status), "engines": engines, "later": later}


async def _answer_lifespan(receive: Any, send: Any) -> None:
    """Answer ASGI's lifespan events without doing anything.

    The code that creates the handler also loads and closes it.
    """
    for event in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
        await receive()
        await send({"type": event})


async def _body(receive: Any) -> bytes | None:
    """Return the request's body; None if the client has disconnected. Raise ``WireError`` if the body is too long."""
    parts: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return None
        parts.append(event.get("body", b""))
        size += len(parts[-1])
        if size > LARGEST_FRAME:
            raise WireError(f"a frame has at most {LARGEST_FRAME:,} bytes")
        if not event.get("more_body", False):
            return b"".join(parts)


async def _disconnected(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _json(body: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(body).encode())


async def _send(reply: Reply, send: Any, *, is_last: bool) -> None:
    """Send the reply. ``is_last``: whether to close the connection afterwards."""
    headers = {"Content-Type": reply.content_type, "Content-Length": str(len(reply.body))}
    if reply.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(reply.retry_after_s)))
    if is_last:
        headers["Connection"] = "close"
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
    await send({"type": "http.response.body", "body": reply.body})
