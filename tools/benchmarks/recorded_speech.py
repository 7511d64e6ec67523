"""Compare this service with ``plain_server`` on recorded human speech: clips per second and word error rate.

    BENCH_RECORDINGS=folder python -m tools.benchmarks.recorded_speech [seconds]

``plain_server`` is a minimal FastAPI server that calls faster-whisper for each request.

The project contains no recordings of human speech. ``BENCH_RECORDINGS`` names a folder with a ``manifest.jsonl``, each
line of which has ``audio``, ``language`` and ``text``.

Speed is measured on clips of ``SHORTEST_S`` to ``LONGEST_S`` seconds, cut at the pauses that voice activity detection
finds. There are two sets of clips: clean clips only, and clean clips together with variants that have noise, music or a
second speaker. Word error rates are compared on whole recordings. Both servers use the same weights and compute type
(``VOICE_ASR_COMPUTE_TYPE``; by default int8 on a CPU).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.benchmarks import environment

environment.prepare()

from asr.audio import decode  # noqa: E402
from asr.checkpoint import configured  # noqa: E402
from asr.repetition import repetition  # noqa: E402
from asr.segmenting import segments  # noqa: E402
from asr.tuning import compute_type_here  # noqa: E402
from spoken_text.error_rate import Errors, compare  # noqa: E402
from tests import sound  # noqa: E402
from tests.services import served  # noqa: E402
from tools.benchmarks.client import Client  # noqa: E402
from tools.benchmarks.plain_comparison import met, plain_server  # noqa: E402
from tools.benchmarks.report import Result, Row, table  # noqa: E402
from tools.benchmarks.through_http import form  # noqa: E402
from tools.benchmarks.workload import closed_loop  # noqa: E402

FOLDER = "BENCH_RECORDINGS"
SHORTEST_S = 1.5
LONGEST_S = 7.0
MIN_TIMES_CLEAN = 6.0
MIN_TIMES_HARD = 5.0
MAX_P50_MS = 300.0
MAX_P95_MS = 1000.0
MAX_POINTS_APART = 0.5
NOISE_BELOW = 0.3  # RMS of the noise over that of the speech
MUSIC_BELOW = 0.5  # RMS of the music over that of the speech
ALONE = 1
TEN = 10
CROWD = 50


@dataclass(frozen=True)
class Clip:
    """A recording to be transcribed.

    ``file``: the bytes of the audio file.
    ``language``: the spoken language.
    ``text``: the reference text; "" if unknown.
    """

    file: bytes
    language: str
    text: str = ""


@dataclass(frozen=True)
class Measured:
    """The results of one server.

    ``results``: the result of each run, keyed by the name of the set of clips and the number of callers.
    ``heard``: the transcript of each whole recording; "" if the request failed.
    """

    results: dict[tuple[str, int], Result]
    heard: list[str]


def recordings(folder: Path) -> list[Clip]:
    """Return the recordings that the folder's ``manifest.jsonl`` lists."""
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text("utf-8").splitlines() if line.strip()]
    return [Clip((folder / row["audio"]).read_bytes(), row["language"], row["text"]) for row in rows]


def clean_clips(whole: Sequence[Clip]) -> list[tuple[sound.Audio, str]]:
    """Cut the recordings at pauses; return the audio and language of each clip that has an allowed length."""
    clips: list[tuple[sound.Audio, str]] = []
    for each in whole:
        recording = decode(each.file, max_duration_s=600)
        clips += [
            (recording.float32(segment.start, segment.end), each.language)
            for segment in segments(recording, LONGEST_S, 0.8)
            if SHORTEST_S <= (segment.end - segment.start) / sound.RATE <= LONGEST_S
        ]
    return clips


def hard_clips(clips: Sequence[tuple[sound.Audio, str]]) -> list[tuple[sound.Audio, str]]:
    """Return a harder variant of each clip, with its language.

    Every third clip is followed by another clip, like a second speaker, if both together are at most ``LONGEST_S``
    seconds long. The other clips get noise or music in the background.
    """
    hard: list[tuple[sound.Audio, str]] = []
    for number, (audio, language) in enumerate(clips):
        seconds = len(audio) / sound.RATE
        loudness = float(np.sqrt(np.mean(np.square(audio))))
        other, _ = clips[(number + len(clips) // 2) % len(clips)]
        if number % 3 == 2 and seconds + len(other) / sound.RATE <= LONGEST_S:
            hard.append((sound.joined([audio, sound.silence(0.3), other]), language))
            continue
        backdrop, level = (
            (sound.noise(seconds, 1.0), NOISE_BELOW) if number % 2 else (sound.hold_music(seconds), MUSIC_BELOW)
        )
        backdrop = np.resize(backdrop, len(audio))
        scale = level * loudness / max(1e-6, float(np.sqrt(np.mean(np.square(backdrop)))))
        hard.append((np.clip(audio + scale * backdrop, -1, 1).astype(np.float32), language))
    return hard


async def measure(
    url: str,
    headers: dict[str, str],
    sets: dict[str, list[Clip]],
    whole: Sequence[Clip],
    seconds: float,
    crowds: Sequence[int] = (ALONE, TEN, CROWD),
) -> Measured:
    """Measure the speed on each set of clips, then transcribe the whole recordings; return the results.

    ``url``: the address of the server.
    ``headers``: the headers of each request.
    ``sets``: the sets of clips, keyed by name.
    ``whole``: the whole recordings.
    ``seconds``: how long each run lasts.
    ``crowds``: numbers of concurrent callers. There is one run for each set of clips and each of these numbers.
    """
    async with Client(url, headers) as client:

        async def ask(clip: Clip) -> str | None:
            kind, body = form(clip.file, {"model": "whisper-1", "language": clip.language})
            answer = await client.send(client.request("POST", "/v1/audio/transcriptions", {"Content-Type": kind}, body))
            if not answer.succeeded:
                await asyncio.sleep(float(answer.headers.get("retry-after", "0")))
                return None
            return str(json.loads(answer.body)["text"])

        results: dict[tuple[str, int], Result] = {}
        for name, clips in sets.items():

            async def call(number: int, clips: list[Clip] = clips) -> bool:
                return await ask(clips[number % len(clips)]) is not None

            await closed_loop(call, concurrency=2, seconds=1.0)
            for callers in crowds:
                results[name, callers] = await closed_loop(call, concurrency=callers, seconds=seconds)
        return Measured(results, [await ask(clip) or "" for clip in whole])


async def main(seconds: float) -> None:
    folder = os.environ.get(FOLDER)
    if not folder:
        print(f"people's recordings: {FOLDER} names no folder, so they are left out")
        return
    whole = recordings(Path(folder))
    clean = clean_clips(whole)
    sets = {
        name: [Clip(sound.wav(audio), language) for audio, language in clips]
        for name, clips in (("clean", clean), ("hard", [*clean, *hard_clips(clean)]))
    }
    cores = os.cpu_count() or 1
    os.environ["PLAIN_COMPUTE_TYPE"] = compute_type_here()
    trials: dict[tuple[int, int], float] = {}
    for split in ((cores, 1), (1, cores)):
        with plain_server(configured().source, *split) as url:
            trial = await measure(url, {}, {"clean": sets["clean"]}, [], seconds / 2, [TEN])
        trials[split] = trial.results["clean", TEN].per_second
    threads, workers = max(trials, key=lambda split: trials[split])
    with plain_server(configured().source, threads, workers) as url:
        plain = await measure(url, {}, sets, whole, seconds)
    with tempfile.TemporaryDirectory() as scratch, served(Path(scratch), VOICE_LOG_LEVEL="WARNING") as service:
        ours = await measure(service.url, service.headers(), sets, whole, seconds)
    rows = [
        Row(f"{who}, {name} clips", callers, result)
        for who, measured in ((f"plain server, {threads} x {workers}", plain), ("this one", ours))
        for (name, callers), result in measured.results.items()
    ]
    print(table(rows))
    for name, least in (("clean", MIN_TIMES_CLEAN), ("hard", MIN_TIMES_HARD)):
        times = ours.results[name, TEN].per_second / plain.results[name, TEN].per_second
        print(
            f"{name} clips, {TEN} at once: this one / plain = {times:.1f} ({met(times >= least)}: at least {least:g})"
        )
    alone = ours.results["hard", ALONE]
    quick = alone.percentile_ms(50) <= MAX_P50_MS and alone.percentile_ms(95) <= MAX_P95_MS
    print(
        f"hard clips, alone: p50 {alone.percentile_ms(50):.0f} ms, p95 {alone.percentile_ms(95):.0f} ms "
        f"({met(quick)}: at most {MAX_P50_MS:g} and {MAX_P95_MS:g})"
    )
    print(words(whole, plain.heard, ours.heard))


def words(whole: Sequence[Clip], plain: Sequence[str], ours: Sequence[str]) -> str:
    """Return a line of text that compares the word error rates of the two servers.

    The line also gives the difference between the rates with its 95 % interval (bootstrap over the recordings), and the
    number of this service's transcripts that contain a repetition loop.

    ``whole``: the recordings with their reference texts.
    ``plain``: the transcripts of the plain server.
    ``ours``: the transcripts of this service.
    """
    errors = [
        (compare(clip.text, first or "-", clip.language), compare(clip.text, second or "-", clip.language))
        for clip, first, second in zip(whole, plain, ours, strict=True)
    ]
    draw = random.Random(1)
    apart = sorted(_points_apart(draw.choices(errors, k=len(errors))) for _ in range(1000))
    difference = _points_apart(errors)
    looped = sum((found := repetition(text)) is not None and found.period > 1 for text in ours)
    rates = [
        100 * sum(pair[side].count for pair in errors) / sum(pair[side].words for pair in errors) for side in (0, 1)
    ]
    return (
        f"word error rate of {len(whole)} recordings: plain {rates[0]:.1f} %, this one {rates[1]:.1f} %; difference "
        f"{difference:+.1f} points, 95 % interval {apart[25]:+.1f} to {apart[974]:+.1f} "
        f"({met(difference <= MAX_POINTS_APART)}: at most {MAX_POINTS_APART:+g}); {looped} texts repeat themselves"
    )


def _points_apart(errors: Sequence[tuple[Errors, Errors]]) -> float:
    said = sum(first.words for first, _ in errors)
    return 100 * sum(second.count - first.count for first, second in errors) / said


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0))
