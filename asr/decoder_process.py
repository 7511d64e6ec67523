"""Run FFmpeg in child processes with limited memory, so that a malicious file cannot harm the service.

A child process reads a file, writes the decoded chunks, and waits for the next file. On Linux, the kernel limits the
memory that each child can allocate after its start to ``MEMORY_BYTES``. If a child crashes, or writes nothing for
``SILENCE_S`` seconds, it is killed, and its file is reported as undecodable.

The parent sends requests to the child's standard input, and reads the answers from its standard output:

    request   length of the file (8 bytes), longest duration in seconds (float64), the file
    answers   kind (1 byte), position (8 bytes), length of the payload (4 bytes), the payload

The last answer to a request has the kind ``DONE`` or ``REFUSED``.

Threads: each child serves one thread at a time. ``_lock`` guards the list ``_idle``.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import av
import numpy as np

from asr.containers import Chunk, UnusableAudio, chunks, invalid
from core.error_codes import ErrorCode

MEMORY_BYTES = 128 << 20
SILENCE_S = 20.0
SAMPLES = b"S"
DONE = b"D"
REFUSED = b"R"
_REQUEST = struct.Struct("<Qd")
_ANSWER = struct.Struct("<cQI")
_ROOT = Path(__file__).resolve().parent.parent


class DecoderUnavailable(Exception):
    """Raised when no child process can be started."""


class _Crashed(Exception):
    """Raised when the child process has died or no longer answers."""


def decoded(data: bytes, max_duration_s: float) -> Iterator[Chunk]:
    """Run ``asr.containers.chunks`` in a child process, and yield its chunks.

    Raise ``UnusableAudio`` if the file cannot be decoded or the child crashes, and ``DecoderUnavailable`` if no child
    can be started.
    """
    process = _take()
    finished = False
    try:
        yield from process.decode(data, max_duration_s)
        finished = True
    except UnusableAudio:
        finished = True
        raise
    except _Crashed as error:
        raise invalid("The audio file could not be decoded. Is it damaged?") from error
    finally:
        if finished:
            _give_back(process)
        else:
            process.kill()


class _DecoderProcess:
    """A child process that decodes one file after another."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "asr.decoder_process"]
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(  # noqa: S603 - this program's own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environment, cwd=_ROOT
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def decode(self, data: bytes, max_duration_s: float) -> Iterator[Chunk]:
        assert self._process.stdin is not None
        try:
            for part in (_REQUEST.pack(len(data), max_duration_s), data):
                _write(self._process.stdin, part)
        except OSError as error:
            raise _Crashed from error
        while True:
            kind, position, length = _ANSWER.unpack(self._read(_ANSWER.size))
            payload = self._read(length)
            if kind == SAMPLES:
                yield Chunk(position, np.frombuffer(payload, np.int16))
            elif kind == REFUSED:
                refusal = json.loads(payload)
                raise UnusableAudio(ErrorCode(refusal["code"]), refusal["template"], **refusal["values"])
            else:
                return

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _read(self, count: int) -> bytes:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        received = bytearray()
        deadline = time.monotonic() + SILENCE_S
        while len(received) < count:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            if not poll.poll(max(0, 1000 * (deadline - time.monotonic()))):
                raise _Crashed
            part = os.read(descriptor, count - len(received))
            if not part:
                raise _Crashed
            received += part
        return bytes(received)


# --- idle children ----------------------------------------------------------------------------------------------------
_idle: list[_DecoderProcess] = []
_lock = threading.Lock()


def _take() -> _DecoderProcess:
    with _lock:
        while _idle:
            process = _idle.pop()
            if process.alive:
                return process
    try:
        return _DecoderProcess()
    except OSError as error:
        raise DecoderUnavailable from error


def _give_back(process: _DecoderProcess) -> None:
    with _lock:
        _idle.append(process)


@atexit.register
def _end_all() -> None:
    with _lock:
        while _idle:
            _idle.pop().kill()


os.register_at_fork(after_in_child=_idle.clear)  # the decoder processes belong to the parent


# --- in the child -----------------------------------------------------------------------------------------------------
def serve() -> None:
    """Decode the files that arrive on standard input, until the parent process closes it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent decides when to stop
    av.logging.set_level(av.logging.PANIC)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # so that printed output does not mix with the answers
    _bound_memory()
    while head := sys.stdin.buffer.read(_REQUEST.size):
        length, max_duration_s = _REQUEST.unpack(head)
        data = sys.stdin.buffer.read(length)
        if len(data) < length:
            return
        _answer(data, max_duration_s, answers)


def _answer(data: bytes, max_duration_s: float, answers: IO[bytes]) -> None:
    try:
        for chunk in chunks(data, max_duration_s):
            payload = chunk.samples.tobytes()
            answers.write(_ANSWER.pack(SAMPLES, chunk.position, len(payload)) + payload)
        answers.write(_ANSWER.pack(DONE, 0, 0))
    except UnusableAudio as refusal:
        payload = json.dumps({"code": refusal.code, "template": refusal.template, "values": refusal.values}).encode()
        answers.write(_ANSWER.pack(REFUSED, 0, len(payload)) + payload)
    answers.flush()


def _bound_memory() -> None:
    if sys.platform != "linux":  # other systems rely on the checks in ``asr.containers``
        return
    status = Path("/proc/self/status").read_text("ascii")
    [data_kb] = [line.split()[1] for line in status.splitlines() if line.startswith("VmData:")]
    limit = int(data_kb) * 1024 + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _write(file: IO[bytes], data: bytes) -> None:
    """Write all of the data to an unbuffered file. One call of the file's ``write`` may write only a part of it."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


if __name__ == "__main__":
    serve()
