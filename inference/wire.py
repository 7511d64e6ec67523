"""The protocol between an API process and the inference tier, version 1. Binary frames are sent over HTTP.

A request contains a unit, which is one piece of speech work, such as a speech segment. A successful reply contains the
unit's result. Both are frames with this layout:

    4 bytes   length of the header, big-endian
    header    JSON, UTF-8
    payload   samples if there are any, little-endian: int16 if this is lossless, else float32

The protocol has these endpoints:

    POST /units/v1/<engine>   run a unit; the reply contains its result, or an error in JSON
    GET  /units/v1/status     return the state of the engines in all known processes behind this address
    GET  /units/v1/about      return the information about the models that API processes need

A deadline is sent as the number of seconds left, so that clocks need not agree. If the client disconnects while its
unit waits, the unit is not run. Each app provides a ``Codec``, which converts its units and results.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from core import tracing
from inference.engine import EngineStats, Unit
from inference.errors import DeadlineExceeded, Draining, EngineUnavailable, InferenceError, OverCapacity, UnitFailed

PREFIX = "/units/v1/"
CONTENT_TYPE = "application/vnd.voice.unit"
LARGEST_FRAME = 8_388_608  # bytes; a unit of 30 s of audio has at most 2 MB
LONGEST_ID = 512
INT16_SCALE = np.float32(32768)
# Fields of ``EngineStats`` that API processes of version 0.3.0 do not know. Those processes reject an engine's state if
# it has unknown fields, so these fields are sent separately. Later versions ignore unknown fields.
LATER_FIELDS = frozenset(
    {"backlog_s", "seconds_per_cost", "utilisation", "fastest_seconds_per_cost", "cores", "workers"}
)

Fields = Mapping[str, Any]
U = TypeVar("U", bound=Unit)
R = TypeVar("R")


class WireError(ValueError):
    """Raised when data is not a valid frame of this version."""


class Codec(Protocol[U, R]):
    """Converts an app's units and results to JSON fields and a binary payload, and back.

    ``unpack_unit`` and ``unpack_result`` raise ``WireError`` for invalid data.
    """

    def pack_unit(self, unit: U) -> tuple[Fields, bytes]: ...

    def unpack_unit(self, fields: Fields, payload: bytes) -> U: ...

    def pack_result(self, result: R) -> tuple[Fields, bytes]: ...

    def unpack_result(self, fields: Fields, payload: bytes) -> R: ...

    def about(self) -> Fields:
        """Return what API processes need to know about the models, because they do not load the models themselves.

        This method is called in the inference tier.
        """

    def samples(self) -> list[U]:
        """Return sample units that warm up a newly loaded engine. This method is called in the inference tier."""

    def learn(self, about: Fields) -> None:
        """Store the information that ``about`` returned in the inference tier. This is called in an API process."""


@dataclass(frozen=True)
class Reply:
    """An HTTP response of the inference tier.

    ``retry_after_s``: value of the Retry-After header in seconds, or None to send no such header.
    """

    status: int
    body: bytes
    retry_after_s: float | None = None
    content_type: str = "application/json"


def frame(header: Fields, payload: bytes = b"") -> bytes:
    """Encode a header and a payload as a frame."""
    head = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return b"".join([struct.pack(">I", len(head)), head, payload])


def parse(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Split a frame into header and payload. Raise ``WireError`` if the frame is invalid."""
    try:
        (length,) = struct.unpack_from(">I", data)
        header = json.loads(data[4 : 4 + length].decode("utf-8", "surrogatepass"))
    except (struct.error, ValueError, RecursionError) as error:
        raise WireError("this is not a valid frame") from error
    if not isinstance(header, dict) or len(data) < 4 + length:
        raise WireError("this is not a valid frame")
    return header, data[4 + length :]


class PackedUnit:
    """A unit that is packed only once, but can be sent several times.

    Each frame contains the time that is left until the unit's deadline when the frame is created.
    """

    def __init__(self, codec: Codec[Any, Any], unit: Unit) -> None:
        fields, self._payload = codec.pack_unit(unit)
        self._header = {"live": unit.live, "admitted": unit.admitted, "slack_s": unit.slack_s, "unit": fields}
        self._header["origin"] = tracing.origin()
        self._deadline = unit.deadline

    def frame(self) -> bytes:
        return frame({**self._header, "left_s": self.left_s()}, self._payload)

    def left_s(self) -> float | None:
        """Return the seconds left until the deadline; None if there is no deadline."""
        return None if self._deadline is None else self._deadline - time.monotonic()


def unpack_unit(codec: Codec[U, Any], data: bytes) -> U:
    """Return the unit in a frame. Raise ``WireError`` if the frame is invalid."""
    header, payload = parse(data)
    try:
        left_s = header["left_s"]
        live = bool(header["live"])
        admitted = bool(header["admitted"])
        slack_s = float(header.get("slack_s", 0.0))
        unit = codec.unpack_unit(header["unit"], payload)
        unit.deadline = None if left_s is None else time.monotonic() + float(left_s)
    except WireError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise WireError(f"the unit's fields are not those of this version ({error!r})") from error
    unit.live = live
    unit.admitted = admitted
    unit.slack_s = slack_s
    unit.origin = _origin(header.get("origin"))
    return unit


def _origin(sent: Any) -> dict[str, str]:
    """Return the origin of a unit, that is, its request and trace, as another process has sent it.

    Ignore values that are not short strings, because the sender may be an unknown program.
    """
    pairs = sent.items() if isinstance(sent, dict) else ()
    return {name: value for name, value in pairs if isinstance(value, str) and len(value) <= LONGEST_ID}


def result_reply(codec: Codec[Any, R], result: R, unit: Unit, process: str, stats: EngineStats) -> Reply:
    """Return a reply with the result of a unit and the engine's state.

    The state tells clients how busy the tier is, so that they need not ask for it.

    ``process``: id of the process that has run the unit.
    """
    fields, payload = codec.pack_result(result)
    reading, later = split_reading(asdict(stats))
    header = {"queued_ms": unit.queued_ms, "process": process, "stats": reading, "later": later, "result": fields}
    return Reply(200, frame(header, payload), content_type=CONTENT_TYPE)


def split_reading(reading: Fields) -> tuple[Fields, Fields]:
    """Split the fields of an engine's state into those that every version knows, and the ``LATER_FIELDS``."""
    known = {name: value for name, value in reading.items() if name not in LATER_FIELDS}
    return known, {name: value for name, value in reading.items() if name in LATER_FIELDS}


def failure_reply(error: InferenceError | WireError) -> Reply:
    """Return the reply that reports an error. The client converts it back to an ``InferenceError`` with ``failure``."""
    retry_after_s = error.retry_after_s if isinstance(error, OverCapacity) else None
    match error:
        case DeadlineExceeded():
            status = 503
            code = "deadline_exceeded"
        case OverCapacity():
            status = 503
            code = "over_capacity"
        case EngineUnavailable():
            status = 503
            code = "engine_unavailable"
        case WireError():
            status = 400
            code = "bad_unit"
        case _:
            status = 500
            code = "unit_failed"
    details = {"code": code, "message": str(error), "retry_after_s": retry_after_s}
    if isinstance(error, Draining):  # a separate field, because earlier versions do not know any other code
        details["draining"] = True
    body = {"error": details}
    return Reply(status, json.dumps(body).encode(), retry_after_s)


def failure(status: int, body: bytes) -> InferenceError:
    """Return the error that a reply with a status other than 200 describes.

    Return ``EngineUnavailable`` for a reply that is not from the tier but, for example, from a proxy.
    """
    try:
        error = json.loads(body)["error"]
        code = error["code"]
        message = str(error["message"])
        retry_after_s = error["retry_after_s"]
    except (ValueError, KeyError, TypeError):
        return EngineUnavailable(f"the inference tier answered {status}")
    match code:
        case "over_capacity":
            return OverCapacity(float(retry_after_s or 1.0))
        case "deadline_exceeded":
            return DeadlineExceeded(float(retry_after_s or 1.0))
        case "engine_unavailable":
            return Draining(message) if error.get("draining") else EngineUnavailable(message)
        case _:
            return UnitFailed(message)


def pack_samples(audio: npt.NDArray[np.float32]) -> tuple[str, bytes]:
    """Pack samples as int16 if this is lossless, else as float32. Return the type, "int16" or "float32", and the bytes.

    Almost all audio was decoded from int16 samples, so int16 is usually lossless and halves the size.

    ``audio``: float32 within [-1, 1], shape (n,).
    """
    scaled = audio * INT16_SCALE
    whole = np.round(scaled)
    if np.array_equal(scaled, whole) and (not len(whole) or (whole.min() >= -32768 and whole.max() <= 32767)):
        return "int16", whole.astype("<i2").tobytes()
    return "float32", np.ascontiguousarray(audio, "<f4").tobytes()


def unpack_samples(kind: str, payload: bytes) -> npt.NDArray[np.float32]:
    """Return the samples of a payload, float32, shape (n,).

    ``kind``: type of the packed samples, "int16" or "float32".

    Raise ``WireError`` if ``kind`` is unknown or the payload does not consist of whole samples.
    """
    types = {"int16": "<i2", "float32": "<f4"}
    if kind not in types or len(payload) % np.dtype(types[kind]).itemsize:
        raise WireError(f"{len(payload)} bytes are no samples of type {kind!r}")
    samples = np.frombuffer(payload, types[kind])
    return samples.astype(np.float32) / INT16_SCALE if kind == "int16" else samples.astype(np.float32)
