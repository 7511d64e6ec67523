"""Find and start the Debian programs that the tests need."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import CI

PATIENCE_S = 60.0


def found(name: str) -> str:
    """Return the path of a program.

    If the program is missing, the test is skipped. In CI the test fails instead, so no check is left out unnoticed.
    """
    path = shutil.which(name)
    if path is None:
        message = f"{name} is not installed (make services installs it as root)"
        if CI:
            raise FileNotFoundError(message)
        pytest.skip(message)
    return path


@contextmanager
def listening(
    command: Sequence[str], port: int, log: Path, environment: Mapping[str, str] = os.environ
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server; yield its process when it accepts connections, and stop it at the end.

    ``log``: the file for its output.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not _answers(port):
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, f"nothing listens on port {port}"
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
