"""The engine for eSpeak NG, which runs in this process on one thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import numpy as np

from inference.batcher import Batcher
from inference.engine import EngineStats
from inference.ordered import in_order
from inference.runtime import batch_observer
from spoken_text.pronunciation.espeak_markup import EspeakPiece, espeak_pieces, plain_text, voices_for
from tts.espeak import NORMAL_RATE, SAMPLE_RATE, EspeakError, phonemes, speak, start
from tts.units import Speech, SpeechUnit
from tts.voices import primary

# _RATES are eSpeak NG's settings in words per minute. _SPEEDS are the speeds measured at these settings in Malay and
# English, relative to the normal rate. Speed is not proportional to rate.
_RATES = (80, 100, 120, 140, 160, 175, 200, 240, 300, 350, 400, 450)
_SPEEDS = (0.470, 0.560, 0.672, 0.794, 0.911, 1.0, 1.146, 1.385, 1.740, 2.045, 2.320, 2.510)

_MAX_BATCH = 4  # small, because batching saves only thread switches and the first unit waits for the last
_AHEAD = 8
_ENGLISH = "en"  # British English, which is closer to Malaysian English than American English is


class EspeakEngine:
    def __init__(self, name: str = "espeak-ng", *, max_queue: int = 1024) -> None:
        self._batcher: Batcher[SpeechUnit, Speech] = Batcher(
            name, _run, limit=lambda unit: _MAX_BATCH, max_queue=max_queue, on_batch=batch_observer(name)
        )

    async def load(self) -> None:
        """Load the library and its data from the installed Python package. This takes milliseconds."""
        if not self._batcher.stats().ready:
            self._batcher.start()
            await asyncio.to_thread(start)

    async def close(self) -> None:
        await asyncio.to_thread(self._batcher.close)

    async def submit(self, unit: SpeechUnit) -> Speech:
        await self.load()
        return await self._batcher.submit(unit)

    def stream(self, units: AsyncIterator[SpeechUnit]) -> AsyncIterator[Speech]:
        return in_order(units, self.submit, ahead=_AHEAD)

    def stats(self) -> EngineStats:
        return self._batcher.stats()


def espeak_rate(speed: float) -> tuple[int, float]:
    """Return eSpeak NG's rate in words per minute for a speed, and the factor by which to change the audio's tempo.

    ``speed``: factor; 1 is normal.

    The tempo factor is 1 unless eSpeak NG cannot speak that slowly or that fast.
    """
    rate = round(float(np.interp(speed, _SPEEDS, _RATES)))
    return rate, speed / min(max(speed, _SPEEDS[0]), _SPEEDS[-1])


def _run(units: list[SpeechUnit]) -> list[Speech | Exception]:
    return [speak_unit(unit) for unit in units]


def speak_unit(unit: SpeechUnit) -> Speech | Exception:
    """Return the speech for one unit (a sentence or a part of one), or the ``EspeakError`` if eSpeak NG fails."""
    parameters = unit.voice.parameters
    own_pace = int(parameters.get("rate", NORMAL_RATE)) / NORMAL_RATE
    rate, tempo = espeak_rate(unit.speed * own_pace)
    pitch = int(parameters.get("pitch", 50))
    try:
        parts = [
            speak(piece.text, name, rate=rate, pitch=pitch, marked=piece.marked)
            for piece, name in _pieces(unit, str(parameters.get("voice", "ms")))
        ]
    except EspeakError as error:
        return error
    samples = np.concatenate(parts) if parts else np.zeros(0, np.int16)
    return Speech(samples.astype(np.float32) / np.float32(32768), SAMPLE_RATE, tempo)


def _pieces(unit: SpeechUnit, voice: str) -> Iterable[tuple[EspeakPiece, str]]:
    """Split a unit's text into pieces. Return each piece with the name of the eSpeak NG voice that speaks it.

    With a Malay voice, the text is turned into phonemes, and words of another language are separate pieces with a voice
    of that language. With any other voice, the plain text is one piece.
    """
    if primary(unit.voice.language) != "ms":
        return [(EspeakPiece(unit.language, plain_text(unit.text)), voice)]
    return voices_for(espeak_pieces(unit.text, "ms", english=_english), voice)


def _english(text: str) -> str:
    return phonemes(text, _ENGLISH)
