"""Clients for live speech to text and text to speech over a WebSocket, in real time.

They run in the load generator's process, which uses gevent.
"""

from __future__ import annotations

import io
import json
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.event import Event
from websocket import ABNF, WebSocket, WebSocketBadStatusException, WebSocketException, create_connection

from core.error_codes import ErrorCode
from tools.loadtests.response_checks import WrongResponse, check_pcm

CHUNK_S = 0.1  # length of a chunk of audio, as the playground sends it
WORD_S = 0.06  # seconds between two words of a text, about the pace of a language model
REFUSALS = {code.value: code.status for code in ErrorCode if code.status in (429, 503)}


class Refused(Exception):
    """The service refused the request (429 or 503).

    ``retry_after_s``: seconds after which the service allows another try; 0 if it did not say.
    """

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class LiveEndpoint:
    """The address of the service, and the credentials for it.

    ``host``: the address, such as http://127.0.0.1:8000.
    ``headers``: the headers with the credentials.
    ``timeout_s``: close the connection if no message arrives for this many seconds.
    """

    host: str
    headers: dict[str, str]
    timeout_s: float


@dataclass(frozen=True)
class Live:
    """The result of one live stream.

    ``seconds``: how long the user waited.
    ``size``: bytes of audio or characters of text that were received.
    ``audio_s``: seconds of speech received; 0 for speech to text.
    ``degraded``: why a different voice spoke; "" if the requested voice spoke.
    """

    seconds: float
    size: int
    audio_s: float = 0.0
    degraded: str = ""


@dataclass
class ReceivedEvents:
    """The messages from the server so far. Times are those of ``time.monotonic``.

    ``events``: the last event of each type, with its time of arrival.
    ``words``: the text of each final result.
    ``audio``: the chunks of audio.
    ``first_audio``: when the first audio arrived; None before that.
    ``failure``: the error that ended the stream; None if there is none.
    ``over``: set when the server has finished or failed.
    ``ready``: set when the server is ready or has failed.
    """

    events: dict[str, tuple[float, dict[str, Any]]] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    audio: list[bytes] = field(default_factory=list)
    first_audio: float | None = None
    failure: Exception | None = None
    over: Event = field(default_factory=Event)
    ready: Event = field(default_factory=Event)


def recognise(line: LiveEndpoint, language: str, recording: bytes) -> Live:
    """Stream a WAV file to ``/ws/asr`` in real time, and return the result.

    The user's wait is the time from the end of the audio to the event ``done``.

    ``line``: the service.
    ``language``: the spoken language.
    ``recording``: the bytes of the WAV file.

    Raise ``Refused``, ``WrongResponse``, or an error of the connection.
    """
    with wave.open(io.BytesIO(recording)) as file:
        rate = file.getframerate()
        chunk = round(CHUNK_S * file.getframerate())
        chunks = [file.readframes(chunk) for _ in range(-(-file.getnframes() // chunk))]
    start = {"type": "start", "sample_rate": rate, "language": language}

    def talk(socket: WebSocket, received: ReceivedEvents) -> float:
        began = time.monotonic()
        for index, data in enumerate(chunks):
            gevent.sleep(max(0.0, began + (index + 1) * CHUNK_S - time.monotonic()))
            if received.over.is_set():
                break
            socket.send_binary(data)
        ended = time.monotonic()
        socket.send(json.dumps({"type": "stop"}))
        return ended

    ended, received = _converse(line, "/ws/asr", start, talk)
    if not " ".join(received.words).strip():
        raise WrongResponse("a transcript without words")
    return Live(received.events["done"][0] - ended, sum(map(len, received.words)))


def read_aloud(line: LiveEndpoint, voice: str, text: str) -> Live:
    """Send a text to ``/ws/tts`` word by word, and return the result.

    The user's wait is the time from the text's first full stop to the first audio.

    Raise ``Refused``, ``WrongResponse``, or an error of the connection.
    """

    def talk(socket: WebSocket, received: ReceivedEvents) -> float:
        complete = 0.0
        for word in text.split():
            if received.over.is_set():
                break
            socket.send(json.dumps({"type": "text", "text": word + " "}))
            if word.endswith(".") and not complete:
                complete = time.monotonic()
            gevent.sleep(WORD_S)
        socket.send(json.dumps({"type": "end"}))
        return complete

    complete, received = _converse(line, "/ws/tts", {"type": "start", "voice": voice, "format": "pcm"}, talk)
    audio = b"".join(received.audio)
    audio_s = check_pcm(audio)
    assert received.first_audio is not None
    _at, last_sentence = received.events.get("sentence", (0.0, {}))
    degraded = str(last_sentence.get("degraded", ""))
    return Live(max(0.0, received.first_audio - complete), len(audio), audio_s, degraded)


def error_code(body: bytes | str) -> str:
    """Return the error code of a JSON error response; "" if the body is not one."""
    try:
        code = json.loads(body)["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return ""
    return str(code)


def _converse(
    line: LiveEndpoint, path: str, start: dict[str, Any], talk: Callable[[WebSocket, ReceivedEvents], float]
) -> tuple[float, ReceivedEvents]:
    """Open a connection, send ``start``, call ``talk``, and read all messages up to ``done``.

    ``talk``: sends the user's messages; its second argument holds the messages received so far.

    Return the result of ``talk``, and the messages from the server.
    """
    address = "ws" + line.host.removeprefix("http") + path
    header = [f"{name}: {value}" for name, value in line.headers.items()]
    try:
        socket = create_connection(address, timeout=line.timeout_s, header=header)
    except WebSocketBadStatusException as error:  # refused by a proxy
        if error.status_code in (429, 503):
            retry_after = (error.resp_headers or {}).get("retry-after", "")
            raise Refused(str(error.status_code), float(retry_after) if retry_after.isdecimal() else 0.0) from error
        raise
    received = ReceivedEvents()
    listening = gevent.spawn(_listen, socket, received)
    try:
        socket.send(json.dumps(start))
        received.ready.wait()
        result = 0.0
        if received.failure is None:
            try:
                result = talk(socket, received)
            except (OSError, WebSocketException):
                received.over.wait(1)  # the server has closed the connection; wait until its reason has been read
                if received.failure is None:
                    raise
        received.over.wait()
    finally:
        listening.kill()
        socket.shutdown()  # type: ignore[no-untyped-call]
    if received.failure is not None:
        raise received.failure
    return result, received


def _listen(socket: WebSocket, received: ReceivedEvents) -> None:
    try:
        while "done" not in received.events:
            opcode, message = socket.recv_data()
            now = time.monotonic()
            if opcode == ABNF.OPCODE_CLOSE:
                code = int.from_bytes(message[:2], "big")
                why = message[2:].decode("utf-8", "replace")
                raise WrongResponse(f"closed before it was done: {code} {why}".rstrip())
            if opcode == ABNF.OPCODE_BINARY:
                received.first_audio = received.first_audio or now
                received.audio.append(message)
                continue
            event: dict[str, Any] = json.loads(message)
            received.events[event["type"]] = now, event
            match event["type"]:
                case "ready":
                    received.ready.set()
                case "final":
                    received.words.append(event["text"])
                case "error":
                    code = event["error"]["code"]
                    status = REFUSALS.get(code)
                    if status:
                        raise Refused(f"{status} {code}")
                    raise WrongResponse(f"{code}: {event['error']['message']}"[:200])
    except (OSError, WebSocketException, ValueError, KeyError, Refused, WrongResponse) as error:
        received.failure = error
    finally:
        received.ready.set()
        received.over.set()
