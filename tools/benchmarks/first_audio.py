"""Measure how long a neural voice takes from receiving a text to its first audio, one reply at a time.

    python -m tools.benchmarks.first_audio [replies] [voice]

A reply is three sentences of ``listening/malay.txt``. By default, the voice ``aisyah`` speaks 20 replies.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from contextlib import aclosing
from pathlib import Path

from tools.benchmarks import environment  # first: it sets Django up

environment.prepare()

from core.percentiles import percentile  # noqa: E402
from inference import runtime  # noqa: E402
from tts.brownout import NEURAL  # noqa: E402
from tts.encoding import SAMPLE_RATE  # noqa: E402
from tts.synthesis import Synthesis, sentences_of  # noqa: E402
from tts.units import WHOLE_UP_TO_CHARACTERS  # noqa: E402
from tts.voices import Voice, catalogue  # noqa: E402

TEXTS = Path(__file__).with_name("listening") / "malay.txt"
SENTENCES_OF_A_REPLY = 3


async def first_audio(text: str, voice: Voice) -> tuple[float, float]:
    """Synthesise a text. Return the time to its first audio and the longest gap during playback, both in seconds.

    A gap occurs when playback has used up all audio so far and the next chunk is not ready.
    """
    started = time.monotonic()
    first_s = heard_until = gap_s = 0.0
    speech = Synthesis(
        sentences_of(text, voice.language),
        voice,
        starts_early=True,
        is_awaited_whole=len(text) <= WHOLE_UP_TO_CHARACTERS,
    )
    async with aclosing(speech.chunks()) as chunks:
        async for samples in chunks:
            now = time.monotonic() - started
            if not first_s:
                first_s = heard_until = now
            gap_s = max(gap_s, now - heard_until)
            heard_until = max(heard_until, now) + len(samples) / SAMPLE_RATE
    return first_s, gap_s


async def main(replies: int, name: str) -> None:
    print(environment.machine())
    voice = catalogue().get(name)
    if voice is None or voice.engine != NEURAL:
        raise SystemExit(f"there is no neural voice {name!r}: manage.py models install --default")
    await runtime.engine(NEURAL).load()
    lines = iter(TEXTS.read_text(encoding="utf-8").splitlines())
    texts = [" ".join(three) for three in zip(*[lines] * SENTENCES_OF_A_REPLY, strict=False)][:replies]
    measured = [await first_audio(text, voice) for text in texts]
    firsts = sorted(first for first, _gap in measured)
    gaps = sorted(gap for _first, gap in measured)
    print(f"first audio: p50 {statistics.median(firsts):.2f} s, p95 {percentile(firsts, 95):.2f} s")
    print(f"longest gap within a reply: p50 {statistics.median(gaps):.2f} s, p95 {percentile(gaps, 95):.2f} s")
    await runtime.close_all()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, sys.argv[2] if len(sys.argv) > 2 else "aisyah"))
