"""The requests of the benchmarks: 4 s clips of Malay to transcribe, and the same sentences to speak."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from tests import sound
from tools.benchmarks.report import Result

Call = Callable[[int], Awaitable[bool]]  # makes the call with this number, and returns True if it succeeded

_SUBJECTS = ["saya mahu pergi ke", "kami akan sampai di", "mereka pulang dari", "ibu membeli ikan di", "dia bekerja di"]
_PLACES = ["kuala lumpur", "pulau pinang", "johor bahru", "kota kinabalu", "shah alam"]
_TIMES = ["pada pukul lapan pagi esok", "pada hari isnin minggu depan", "selepas waktu makan tengah hari"]
SENTENCES = [f"{subject} {place} {when}" for subject in _SUBJECTS for place in _PLACES for when in _TIMES]


def said(number: int) -> str:
    """Return a sentence with a capital letter and a full stop.

    ``number``: any number. The sentences are used in turn.
    """
    return SENTENCES[number % len(SENTENCES)].capitalize() + "."


def clips() -> list[bytes]:
    """Return a WAV file (16 kHz, mono, about 4 s) for each sentence."""
    return [sound.wav(sound.said(sentence)) for sentence in SENTENCES]


async def closed_loop(call: Call, *, concurrency: int, seconds: float) -> Result:
    """Run a closed loop for ``seconds`` and return its result.

    Each of ``concurrency`` callers sends its next request as soon as the last one is answered.
    """
    result = Result()
    numbers = iter(range(10**9))
    started = time.perf_counter()

    async def caller() -> None:
        while time.perf_counter() - started < seconds:
            asked = time.perf_counter()
            if await call(next(numbers)):
                result.latencies_s.append(time.perf_counter() - asked)
            else:
                result.failures += 1

    await asyncio.gather(*(caller() for _ in range(concurrency)))
    result.elapsed_s = time.perf_counter() - started
    return result
