"""A process of the service that has users: ``python -m tests.capacity.holder asr:aminah tts:aminah ...``.

The process serves these end users until it is killed. Without arguments, it repeatedly prints three numbers of users in
all processes: those of speech to text, those of text to speech, and both together.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
django.setup()

from capacity import concurrent_users  # noqa: E402
from rollout.feature import Feature  # noqa: E402


async def serve(work: list[str]) -> None:
    for item in work:
        feature, user = item.split(":")
        await concurrent_users.concurrency_slot(1, user, Feature(feature)).begin()
    print("serving", flush=True)
    await asyncio.Event().wait()


def watch() -> None:
    while True:
        served = concurrent_users.now_served()
        print(len(served.asr), len(served.tts), len(served.together), flush=True)
        time.sleep(0.1)


if __name__ == "__main__":
    if sys.argv[1:]:
        asyncio.run(serve(sys.argv[1:]))
    else:
        watch()
