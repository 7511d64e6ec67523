"""Measure a model's error rates and speed on recordings with reference texts, listed in a manifest."""

from __future__ import annotations

import asyncio
import csv
import json
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import jiwer
from django.conf import settings

from asr.audio import decode
from asr.checkpoint import Checkpoint
from asr.recognition import Recogniser
from asr.transcription import Transcription
from asr.tuning import compute_type_here
from asr.units import SAMPLE_RATE, Options
from core.errors import ApiError
from spoken_text.error_rate import Errors, alike, compare

MANIFESTS = ("manifest.jsonl", "manifest.csv")
DURATIONS_S = (3.0, 10.0, 30.0)  # durations that separate the groups of ``by_duration``
_AUDIO_KEYS = ("audio", "audio_path", "audio_filepath", "path", "file")
_TEXT_KEYS = ("text", "sentence", "transcript", "transcription")
_LOOP = re.compile(r"(?<!\S)(\S.{0,80}?)(?: \1){2,}(?!\S)")  # the same words at least three times in a row
_SAMPLES = 1000  # number of bootstrap samples

T = TypeVar("T")


class BadManifest(ValueError):
    """Raised when the manifest, or a recording that it lists, cannot be used. The message says which."""


@dataclass(frozen=True)
class Reference:
    """A recording and its reference text.

    ``audio``: path of the recording.
    ``language``: ISO 639-1 code, or "" if the manifest does not state the language.
    """

    audio: Path
    text: str
    language: str = ""


@dataclass(frozen=True)
class ClipResult:
    """The text that a model recognised in a recording.

    ``language``: code of the recognised language.
    ``audio_s``: length of the recording in seconds.
    ``fallbacks``: number of segments that were decoded more than once.
    """

    text: str
    language: str
    audio_s: float
    fallbacks: int


@dataclass(frozen=True)
class Score:
    """The comparison of one recording's recognised text with its reference text, and the time that recognition took.

    ``reference_text``: the reference text, normalised for comparison.
    ``recognised``: the recognised text, normalised for comparison.
    ``errors``: the word errors.
    ``character_errors``: number of wrong characters.
    ``characters``: number of characters in the reference text, without spaces.
    ``loops``: number of phrases that occur at least three times in a row in the recognised text, but not in the
    reference text.
    ``fallbacks``: number of segments that were decoded more than once.
    ``audio_s``: length of the recording in seconds.
    ``took_s``: seconds that recognition took.
    """

    reference: Reference
    language: str
    reference_text: str
    recognised: str
    errors: Errors
    character_errors: int
    characters: int
    loops: int
    fallbacks: int
    audio_s: float
    took_s: float


@dataclass(frozen=True)
class Rate:
    """A ratio over all recordings, such as a word error rate, with its 95 % confidence interval.

    The interval is estimated from bootstrap samples of the recordings.

    ``value``: sum of all numerators divided by the sum of all denominators.
    ``low``: lower limit of the interval.
    ``high``: upper limit of the interval.
    """

    value: float
    low: float
    high: float


class Transcriber(Protocol):
    """A way to recognise recordings, such as this service or plain faster-whisper."""

    async def load(self) -> None: ...

    async def transcribe(self, reference: Reference) -> ClipResult: ...

    async def close(self) -> None: ...


class ServiceTranscriber:
    """Recognises recordings with the same code as the service."""

    def __init__(self, engine: Recogniser, checkpoint: Checkpoint, options: Options) -> None:
        self._engine = engine
        self._checkpoint = checkpoint
        self._options = options

    async def load(self) -> None:
        await self._engine.load()

    async def transcribe(self, reference: Reference) -> ClipResult:
        data = reference.audio.read_bytes()
        transcription = await Transcription.open(data, self._engine, self._checkpoint, self._options)
        transcript = await transcription.whole()
        again = sum(part.hypothesis.temperature > 0 or part.hypothesis.tries > 1 for part in transcript.parts)
        return ClipResult(transcript.text, transcript.language, transcript.duration_s, again)

    async def close(self) -> None:
        await self._engine.close()


class PlainTranscriber:
    """Recognises recordings with faster-whisper's own ``transcribe`` and the same weights, for comparison.

    The text is comparable, but the speed is not: in this process, faster-whisper may run faster than usual, because
    ``asr.tuning.allow_avx512`` enables wider vector instructions.
    """

    def __init__(self, checkpoint: Checkpoint, options: Options) -> None:
        self._checkpoint = checkpoint
        self._options = options

    async def load(self) -> None:
        from faster_whisper import WhisperModel

        self._model = await asyncio.to_thread(
            WhisperModel,
            self._checkpoint.source,
            device=settings.VOICE_ASR_DEVICE,
            compute_type=compute_type_here(),
        )

    async def transcribe(self, reference: Reference) -> ClipResult:
        return await asyncio.to_thread(self._transcribe, reference)

    def _transcribe(self, reference: Reference) -> ClipResult:
        recording = decode(reference.audio.read_bytes(), max_duration_s=settings.VOICE_MAX_AUDIO_S)
        audio = recording.float32(0, len(recording.samples))
        found, about = self._model.transcribe(
            audio,
            language=self._options.language,
            beam_size=settings.VOICE_ASR_BEAM,
            vad_filter=True,
            initial_prompt=self._options.prompt or None,
            hotwords=", ".join(self._options.keywords) or None,
        )
        segments = list(found)
        again = sum(segment.temperature > 0 for segment in segments)
        text = " ".join(segment.text.strip() for segment in segments)
        return ClipResult(text, about.language, len(audio) / SAMPLE_RATE, again)

    async def close(self) -> None:
        del self._model


def read_manifest(path: Path) -> list[Reference]:
    """Read a manifest, which is a file of JSON lines or a CSV file with a header.

    Audio paths in the manifest are relative to the manifest's directory.

    ``path``: the manifest, or a directory that contains it.

    Raise ``BadManifest`` if the directory contains no manifest, if the manifest is invalid, or if it lists a recording
    that does not exist. Raise ``OSError`` if the manifest cannot be read.
    """
    if path.is_dir():
        inside = [path / name for name in MANIFESTS if (path / name).is_file()]
        if not inside:
            raise BadManifest(f"{path} holds no {' or '.join(MANIFESTS)}")
        path = inside[0]
    rows: list[dict[str, str]]
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix.lower() == ".csv":
            rows = list(csv.DictReader(file))
        else:
            try:
                rows = [json.loads(line) for line in file if line.strip()]
            except json.JSONDecodeError as error:
                raise BadManifest(f"{path}: not JSON lines: {error}") from error
    return [_reference(path, number, row) for number, row in enumerate(rows, 1)]


def _reference(path: Path, number: int, row: dict[str, str]) -> Reference:
    audio = next((row[key] for key in _AUDIO_KEYS if row.get(key)), None)
    text = next((row[key] for key in _TEXT_KEYS if row.get(key)), None)
    if audio is None or text is None:
        raise BadManifest(f"{path}: entry {number} needs an audio path ({_AUDIO_KEYS[0]}) and a text ({_TEXT_KEYS[0]})")
    resolved = path.parent / audio
    if not resolved.is_file():
        raise BadManifest(f"{path}: entry {number}: no file {resolved}")
    return Reference(resolved, text, row.get("language") or "")


async def scores(references: Sequence[Reference], transcriber: Transcriber) -> AsyncIterator[Score]:
    """Recognise the recordings one after another, and yield their scores.

    No two recordings run at the same time, so the measured speed is that of a single request on an idle service.

    Raise ``BadManifest`` for a recording that cannot be decoded, or a reference text without words.
    """
    await transcriber.load()
    for reference in references:
        started = time.perf_counter()
        try:
            result = await transcriber.transcribe(reference)
        except ApiError as error:
            raise BadManifest(f"{reference.audio}: {error.message}") from error
        try:
            yield score(reference, result, time.perf_counter() - started)
        except ValueError as error:
            raise BadManifest(f"{reference.audio}: {error}") from error


def score(reference: Reference, result: ClipResult, took_s: float) -> Score:
    """Compare a recording's recognised text with its reference text.

    ``took_s``: seconds that recognition took.

    Raise ``ValueError`` for a reference text without words.
    """
    language = reference.language or result.language
    reference_text, recognised = alike(reference.text, result.text, language)
    errors = compare(reference.text, result.text, language)
    letters = reference_text.replace(" ", "")
    characters = jiwer.process_characters(letters, recognised.replace(" ", ""))
    return Score(
        reference=reference,
        language=language,
        reference_text=reference_text,
        recognised=recognised,
        errors=errors,
        character_errors=characters.substitutions + characters.deletions + characters.insertions,
        characters=len(letters),
        loops=len(set(_LOOP.findall(recognised)) - set(_LOOP.findall(reference_text))),
        fallbacks=result.fallbacks,
        audio_s=result.audio_s,
        took_s=took_s,
    )


def word_error_rate(results: Sequence[Score]) -> Rate:
    return _rate([(score.errors.count, score.errors.words) for score in results])


def character_error_rate(results: Sequence[Score]) -> Rate:
    """Return the character error rate. Spaces are ignored, so a word that is written as two words is not an error."""
    return _rate([(score.character_errors, score.characters) for score in results])


def real_time_factor(results: Sequence[Score]) -> Rate:
    """Return the real-time factor: seconds of processing per second of audio. A smaller factor is faster."""
    return _rate([(score.took_s, score.audio_s) for score in results])


def difference(before: Sequence[Score], after: Sequence[Score]) -> Rate:
    """Return the word error rate of ``after`` minus that of ``before``.

    Both lists must contain scores of the same recordings in the same order. The bootstrap samples contain pairs of the
    two scores of a recording. So a recording that is hard for both models does not widen the confidence interval.
    """
    pairs = [(b.errors.count, a.errors.count, a.errors.words) for b, a in zip(before, after, strict=True)]
    return _bootstrap(pairs, lambda some: sum(a - b for b, a, _ in some) / sum(words for _, _, words in some))


def by_language(results: Sequence[Score]) -> dict[str, list[Score]]:
    return _grouped(results, lambda score: score.language or "?")


def by_duration(results: Sequence[Score]) -> dict[str, list[Score]]:
    """Group the scores by the duration of the recordings, shortest first. The keys are labels such as "under 3 s"."""

    def group(score: Score) -> str:
        longest = next((limit for limit in DURATIONS_S if score.audio_s < limit), None)
        return f"{DURATIONS_S[-1]:g} s and longer" if longest is None else f"under {longest:g} s"

    return _grouped(sorted(results, key=lambda score: score.audio_s), group)


def _grouped(results: Sequence[Score], key: Callable[[Score], str]) -> dict[str, list[Score]]:
    groups: dict[str, list[Score]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return groups


def _rate(pairs: Sequence[tuple[float, float]]) -> Rate:
    return _bootstrap(pairs, lambda some: sum(top for top, _ in some) / sum(bottom for _, bottom in some))


def _bootstrap(items: Sequence[T], figure: Callable[[Sequence[T]], float]) -> Rate:
    rng = random.Random(0)
    found = sorted(figure(rng.choices(items, k=len(items))) for _ in range(_SAMPLES))
    return Rate(figure(items), found[_SAMPLES // 40], found[-_SAMPLES // 40])
