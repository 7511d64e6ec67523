"""Streaming sessions without WebSockets, for tests of live recognition."""

from __future__ import annotations

import asyncio

from asr.checkpoint import configured
from asr.endpointing import TurnDetection
from asr.streaming import StreamingSession
from asr.streaming_events import Event, Final
from asr.units import Options
from asr.whisper_engine import WhisperEngine
from inference.engine import EngineStats
from inference.errors import OverCapacity
from tests import sound

CHUNK = 1_600  # 100 ms
TALK = sound.joined(
    [
        sound.silence(0.5),
        sound.said("selamat pagi semua"),
        sound.silence(1.0),
        sound.said("terima kasih"),
        sound.silence(1),
    ]
)


QUEUE = EngineStats(True, 9, 9, 0, 0, 0, 0.0, estimated_wait_s=3.0)


class Listener:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def text(self) -> str:
        return " ".join(final.text for final in self.of(Final))


def session(engine, listener: Listener, detection: TurnDetection | None = TurnDetection(), **more) -> StreamingSession:  # noqa: B008
    options = more.pop("options", Options(language="ms", words=True))
    return StreamingSession(engine, configured(), listener.events.append, options=options, detection=detection, **more)


async def speak(stream: StreamingSession, audio: sound.Audio, pause_s: float = 0.0) -> None:
    for start in range(0, len(audio), CHUNK):
        await stream.append(audio[start : start + CHUNK])
        await asyncio.sleep(pause_s)


class BusyEngine:
    """An engine that always reports the same load.

    ``stats``: the load to report; by default that of a GPU with a queue and an estimated wait of 3 s.
    ``refuse``: whether the engine refuses every unit.
    ``live``: for each submitted unit, whether it belonged to a live stream.
    """

    def __init__(self, engine: WhisperEngine, *, refuse: bool = False, stats: EngineStats = QUEUE) -> None:
        self.engine = engine
        self._stats = stats
        self.refuse = refuse
        self.live: list[bool] = []

    async def submit(self, unit):
        self.live.append(unit.live)
        if self.refuse:
            raise OverCapacity(1.0)
        return await self.engine.submit(unit)

    def stats(self) -> EngineStats:
        return self._stats
