"""A running service answers damaged audio files in time, with a transcript or a refusal, and with little memory.

Environment variables:

``VOICE_DAMAGED_FILES``: how many files to send (3,000 with ``make test-damaged``).
``VOICE_DAMAGED_SEED``: the seed of the random damage.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np

from tests.asr.test_containers import mutated, seeds
from tests.hostile.memory import forget_peak, peak_mib, resident_mib
from tests.services import served

FILES = int(os.environ.get("VOICE_DAMAGED_FILES", "100"))
SEED = int(os.environ.get("VOICE_DAMAGED_SEED", "13"))
ALLOWED = {200, 400, 413, 415, 503}
MAX_S = 60.0
MAX_MIB = 200.0
WARM = 10  # files sent first, which make the service allocate the memory that it keeps
# Allowed growth over the second half of the files. In the first half memory may grow more, because each worker of the
# model keeps the memory of its largest batch so far.
MAX_LEAK_MIB = 50.0


def test_damaged_files_are_decoded_or_refused_with_little_memory(tmp_path: Path) -> None:
    generator = np.random.default_rng(SEED)
    originals = seeds()
    answers: Counter[str] = Counter()
    slowest_s = most_mib = 0.0
    left_mib: list[float] = []  # growth since the service was at rest, after each tenth of the files
    with served(tmp_path, VOICE_ASR_MODEL="") as service, httpx.Client(base_url=service.url, timeout=MAX_S) as client:
        pid = service.process.pid
        for original in originals[:WARM]:
            _transcribe(client, service.headers(), original)
        rest_mib = resident_mib(pid)
        for index in range(FILES):
            data = mutated(originals[index % len(originals)], generator)
            forget_peak(pid)
            before_mib = resident_mib(pid)
            began = time.monotonic()
            answer = _transcribe(client, service.headers(), data)
            slowest_s = max(slowest_s, time.monotonic() - began)
            most_mib = max(most_mib, peak_mib(pid) - before_mib)
            code = "" if answer.is_success else answer.json()["error"]["code"]
            answers[f"{answer.status_code} {code}".strip()] += 1
            assert answer.status_code in ALLOWED, f"seed {SEED}, file {index}: {answer.status_code} {answer.text}"
            assert answer.status_code != 503 or "Retry-After" in answer.headers
            if (index + 1) % max(1, FILES // 10) == 0:
                left_mib.append(resident_mib(pid) - rest_mib)
    print(f"\n{FILES} files, seed {SEED}: {dict(answers.most_common())}")
    left = ", ".join(f"{mib:+.0f}" for mib in left_mib)
    print(f"slowest {slowest_s:.1f} s; {rest_mib:.0f} MiB at rest, +{most_mib:.0f} by one file at the most")
    print(f"left after each tenth: {left}")
    assert most_mib <= MAX_MIB
    assert left_mib[-1] - left_mib[len(left_mib) // 2 - 1] <= MAX_LEAK_MIB


def _transcribe(client: httpx.Client, headers: dict[str, str], data: bytes) -> httpx.Response:
    form = {"model": "whisper-1"}
    return client.post("/v1/audio/transcriptions", headers=headers, data=form, files={"file": ("a.mp3", data)})
