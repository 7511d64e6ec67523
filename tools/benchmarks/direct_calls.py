"""Measure speech to text and text to speech by direct function calls in this process, without HTTP."""

from __future__ import annotations

import time

from tools.benchmarks.report import Result
from tools.benchmarks.workload import clips, closed_loop, said


async def measure(direction: str, *, concurrency: int, seconds: float) -> Result:
    """Make direct calls in a closed loop, and return the result with this process's CPU seconds.

    ``direction``: "asr" or "tts".
    ``concurrency``: how many calls run at once.
    ``seconds``: how long to keep calling.
    """
    from inference import runtime

    await runtime.load_all()
    run = _asr if direction == "asr" else _tts
    await run(concurrency, 1.0)  # warm up
    before = time.process_time()
    result = await run(concurrency, seconds)
    result.cpu_s = time.process_time() - before
    await runtime.close_all()
    return result


async def _asr(concurrency: int, seconds: float) -> Result:
    from asr.checkpoint import configured
    from asr.transcription import Transcription
    from asr.units import Options
    from asr.whisper_engine import whisper

    files = clips()
    checkpoint = configured()
    options = Options(language="ms")

    async def call(number: int) -> bool:
        transcription = await Transcription.open(files[number % len(files)], whisper(), checkpoint, options)
        return bool((await transcription.whole()).text)

    return await closed_loop(call, concurrency=concurrency, seconds=seconds)


async def _tts(concurrency: int, seconds: float) -> Result:
    from tts.encoding import AudioFormat
    from tts.speech_file import SpeechRequest, speech_file
    from tts.voices import catalogue

    voice = catalogue().resolve(default="ms", voice="alloy")

    async def call(number: int) -> bool:
        request = SpeechRequest(said(number), voice, AudioFormat.MP3)
        file = await speech_file(request)
        return bool(file.finished and file.finished.data)

    return await closed_loop(call, concurrency=concurrency, seconds=seconds)
