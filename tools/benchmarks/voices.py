"""Measure how intelligible voices are: they read sentences aloud, and Whisper base transcribes the audio.

    python -m tools.benchmarks.voices [voice ...] [--sentences N] [--held-out | --english] [--sounds] [--save DIR]
                                      [--mix NAME=RECIPE ... --packs DIR [--pace PERCENT]]

This needs Kokoro and Whisper base (``manage.py models install --default``). Text and transcript are normalised before
they are compared (``spoken_text.error_rate``), so that "15 peratus" equals "lima belas peratus".

--held-out  read sentences that were not used to choose or tune voices
--english   read Malay sentences that contain English words, and count the English words that are not recognised
--sounds    show how many Malay sounds of each kind are not recognised
--save      keep the audio for ``tools.benchmarks.predicted_mos``
--mix       try a mixture of the published voice packs in the folder that --packs names
"""

from __future__ import annotations

import argparse
import re
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np

from tools.benchmarks import environment  # first: it sets Django up

environment.prepare()

import jiwer  # noqa: E402
import soxr  # noqa: E402
from django.conf import settings  # noqa: E402
from faster_whisper import WhisperModel  # noqa: E402

from spoken_text.error_rate import alike  # noqa: E402
from spoken_text.speakable import speakable  # noqa: E402
from tools.benchmarks.sound_alignment import KINDS, missed_sounds  # noqa: E402
from tools.training.voice_packs import mixed, thinned  # noqa: E402
from tts import kokoro  # noqa: E402
from tts.encoding import SAMPLE_RATE, Samples  # noqa: E402
from tts.espeak_engine import speak_unit  # noqa: E402
from tts.phonemes import phonemes  # noqa: E402
from tts.synthesis import finish  # noqa: E402
from tts.units import Speech, SpeechUnit  # noqa: E402
from tts.voices import OPENAI_VOICES, Voice, catalogue  # noqa: E402

TEXTS = Path(__file__).with_name("listening")
_ENGLISH_WORD = re.compile(r"\[([^\]]+)\]")
_HEARING_RATE = 16_000


@dataclass(frozen=True)
class Reader:
    """A voice that reads the sentences: one from the catalogue, or an experimental mixture of Kokoro's voice packs."""

    name: str
    voice: Voice
    pack: kokoro.Pack | None = None  # None: the voice is eSpeak NG's


@dataclass(frozen=True)
class ClipResult:
    """The result of one sentence.

    ``text``: the sentence.
    ``heard``: its transcript.
    ``made_s``: how long the synthesis took, in seconds.
    ``audio_s``: the length of the audio in seconds.
    """

    text: str
    heard: str
    made_s: float
    audio_s: float


class Listener:
    """Speaks sentences with the voices' engines, and transcribes the audio with Whisper base."""

    def __init__(self, threads: int) -> None:
        self._kokoro = kokoro.load(settings.VOICE_MODELS_DIR / "kokoro-82m", threads=threads)
        self._whisper = WhisperModel(
            str(settings.VOICE_MODELS_DIR / "whisper-base"), device="cpu", compute_type="int8", cpu_threads=threads
        )

    def read(self, reader: Reader, text: str, language: str) -> tuple[Samples, float]:
        """Speak a text; return the samples, and how many seconds the synthesis took."""
        started = time.monotonic()
        if reader.pack is None:
            spoken = speak_unit(SpeechUnit(text=text, voice=reader.voice, language=language))
            if isinstance(spoken, Exception):
                raise spoken
            speech = spoken
        else:
            pace = int(reader.voice.parameters.get("pace", 100)) / 100
            audio = self._kokoro.speak(phonemes(text, language), reader.pack, pace)
            speech = Speech(audio, kokoro.SAMPLE_RATE)
        return finish(speech), time.monotonic() - started

    def transcribe(self, samples: Samples, language: str) -> str:
        """Return Whisper's transcript of samples at ``SAMPLE_RATE``."""
        audio = soxr.resample(samples.astype(np.float32) / 32768, SAMPLE_RATE, _HEARING_RATE)
        segments, _about = self._whisper.transcribe(
            audio, language=language, beam_size=5, condition_on_previous_text=False, without_timestamps=True
        )
        return " ".join(segment.text.strip() for segment in segments)

    def heard(self, reader: Reader, texts: list[str], language: str, save: Path | None) -> Iterator[ClipResult]:
        """Speak and transcribe each text, and yield the results in order.

        ``save``: the folder for the audio; None to discard it.
        """
        for index, text in enumerate(texts):
            samples, made_s = self.read(reader, speakable(text, language, letters=True), language)
            if save:
                _write(save / reader.name / f"{index:03d}.wav", samples)
            yield ClipResult(text, self.transcribe(samples, language), made_s, len(samples) / SAMPLE_RATE)


def rates(heard: list[ClipResult], language: str) -> tuple[float, float]:
    """Return the word error rate and the character error rate over all sentences. Spaces do not count as characters."""
    pairs = [alike(one.text, one.heard, language) for one in heard]
    said = [pair[0] for pair in pairs]
    got = [pair[1] for pair in pairs]
    letters = jiwer.cer([one.replace(" ", "") for one in said], [one.replace(" ", "") for one in got])
    return jiwer.wer(said, got), letters


def missed_english(lines: list[str], heard: list[ClipResult]) -> float:
    """Return the share of English words that were not recognised, from 0 to 1.

    ``lines``: the sentences, with each English word in square brackets.
    ``heard``: the result of each sentence.
    """
    wanted = missed = 0
    for line, one in zip(lines, heard, strict=True):
        got = alike(one.text, one.heard, "ms")[1].replace(" ", "")  # words that are written together also count
        for word in _ENGLISH_WORD.findall(line):
            wanted += 1
            missed += alike(word, word, "ms")[0].replace(" ", "") not in got
    return missed / wanted


def _write(path: Path, samples: Samples) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())


def _readers(options: argparse.Namespace) -> Iterator[Reader]:
    known = catalogue()
    first = known.all()[0]
    for name in options.voices or ([] if options.mix else ["aisyah", "melati", "hafiz", "azlan", "ms"]):
        voice = known.resolve(default=first.id, voice=name) if name in OPENAI_VOICES else known.get(name)
        if voice is None:
            raise SystemExit(f"there is no voice {name!r}")
        yield Reader(name, voice, kokoro.pack_of(str(voice.parameters["pack"])) if voice.engine == "kokoro" else None)
    for mix in options.mix:
        name, _, recipe = mix.partition("=")
        tried = replace(first, id=name, parameters={"pace": options.pace})
        yield Reader(name, tried, thinned(mixed(recipe, options.packs)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("voices", nargs="*")
    parser.add_argument("--mix", action="append", default=[])
    parser.add_argument("--packs", type=Path)
    parser.add_argument("--pace", type=int, default=100, help="of the mixtures, in per cent")
    parser.add_argument("--sentences", type=int, default=1000)
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--english", action="store_true", help="English words in Malay sentences")
    kinds.add_argument("--held-out", action="store_true", help="sentences used for no tuning decision")
    parser.add_argument("--sounds", action="store_true", help="which Malay sounds were not heard")
    parser.add_argument("--save", type=Path)
    parser.add_argument("--show", action="store_true", help="what was heard wrong")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    listener = Listener(options.threads)
    texts_file = "english_words.txt" if options.english else "held_out.txt" if options.held_out else "malay.txt"
    lines = (TEXTS / texts_file).read_text(encoding="utf-8").splitlines()
    lines = lines[:: max(1, len(lines) // options.sentences)]
    texts = [_ENGLISH_WORD.sub(r"\1", line) for line in lines]
    print(f"{environment.machine()}; {len(texts)} sentences\n")
    print("| voice | WER | CER | English words missed | real-time factor |\n|---|---|---|---|---|", flush=True)
    sounds: dict[str, dict[str, tuple[int, int]]] = {}
    for reader in _readers(options):
        heard = list(listener.heard(reader, texts, "ms", options.save))
        wer, cer = rates(heard, "ms")
        english = f"{missed_english(lines, heard):.2f}" if options.english else ""
        pace = fmean(one.made_s for one in heard) / fmean(one.audio_s for one in heard)
        print(f"| {reader.name} | {wer:.3f} | {cer:.3f} | {english} | {pace:.2f} |", flush=True)
        sounds[reader.name] = missed_sounds(alike(one.text, one.heard, "ms") for one in heard)
        if options.show:
            for one in heard:
                said, got = alike(one.text, one.heard, "ms")
                if said != got:
                    print(f"    {said}\n    {got}")
    if options.sounds:
        _print_sounds(sounds)


def _print_sounds(sounds: dict[str, dict[str, tuple[int, int]]]) -> None:
    """Print the percentage of sounds that were not recognised: a row for each kind, a column for each voice."""
    print("\n| not heard of | " + " | ".join(sounds) + " |\n|---|" + "---|" * len(sounds))
    for kind in KINDS:
        counts = [of[kind] for of in sounds.values()]
        shares = " | ".join(f"{100 * missed / total:.0f} %" if total else "–" for missed, total in counts)
        print(f"| {kind} ({max(total for _missed, total in counts)}) | {shares} |")


if __name__ == "__main__":
    main()
