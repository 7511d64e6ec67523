"""A load of many concurrent end users, whose clients behave as documented.

Each request has an ``Idempotency-Key``. After a response with status 503, the same request is sent again. If the
connection breaks, it is sent to the next address.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import uuid
from collections import Counter
from dataclasses import dataclass, field

import httpx

from tests import sound

THINK_S = (0.2, 0.8)
LONGEST_PAUSE_S = 1.0  # no longer, whatever Retry-After says, because the test measures when the service is back
MAX_TRIES = 60
TIMEOUT_S = 40.0
SENTENCES = ("selamat pagi semua", "berapa harga nasi lemak ini", "tolong buka lampu di ruang tamu")


@dataclass
class Seen:
    """The results of the requests so far.

    ``succeeded``: ids of the requests that succeeded.
    ``lost``: requests that never succeeded.
    ``answers``: the number of attempts, by result.
    """

    succeeded: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)


class Load:
    def __init__(self, urls: list[str], key: str) -> None:
        self.seen = Seen()
        self._urls = urls
        self._key = key
        self._clips = [sound.wav(sound.said(sentence)) for sentence in SENTENCES]
        self._stopping = asyncio.Event()
        self._users: list[asyncio.Task[None]] = []

    async def start(self, users: int) -> None:
        self._users = [asyncio.create_task(self._user(number)) for number in range(users)]

    async def stop(self) -> None:
        """Let each user finish the current request, then stop."""
        self._stopping.set()
        await asyncio.gather(*self._users)

    async def _user(self, number: int) -> None:
        urls = itertools.cycle(self._urls[number % 2 :] + self._urls[: number % 2])
        limits = httpx.Limits(max_keepalive_connections=2)
        async with httpx.AsyncClient(timeout=TIMEOUT_S, limits=limits) as client:
            while not self._stopping.is_set():
                name = f"{number}-{uuid.uuid4().hex[:12]}"
                await self._retry_until_served(client, name, f"pengguna-{number}", urls)
                await asyncio.sleep(random.uniform(*THINK_S))

    async def _retry_until_served(
        self, client: httpx.AsyncClient, name: str, user: str, urls: itertools.cycle[str]
    ) -> None:
        arguments = self._request(name)
        headers = {
            "Authorization": f"Bearer {self._key}",
            "X-Voice-User": user,
            "X-Request-Id": name,
            "Idempotency-Key": name,
        }
        url = next(urls)
        for _ in range(MAX_TRIES):
            try:
                response = await client.post(url + arguments["path"], headers=headers, **arguments["content"])
            except httpx.TransportError as error:
                self.seen.answers[type(error).__name__] += 1
                url = next(urls)
                await asyncio.sleep(0.2)
                continue
            code = "" if response.status_code == 200 else f" {response.json()['error']['code']}"
            self.seen.answers[f"{response.status_code}{code}"] += 1
            if response.status_code == 200:
                assert len(response.content) > 10
                self.seen.succeeded.append(name)
                return
            assert response.status_code == 503, response.text
            await asyncio.sleep(min(LONGEST_PAUSE_S, float(response.headers["Retry-After"])))
        self.seen.lost.append(name)

    def _request(self, name: str) -> dict:
        if random.random() < 0.5:
            files = {"file": ("a.wav", random.choice(self._clips))}
            fields = {"model": "whisper-1", "language": "ms"}
            return {"path": "/v1/audio/transcriptions", "content": {"files": files, "data": fields}}
        body = {"model": "tts-1", "input": f"Apa khabar semua? {name}. {random.choice(SENTENCES)}."}
        return {"path": "/v1/audio/speech", "content": {"json": body}}
