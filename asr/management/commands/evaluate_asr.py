"""``manage.py evaluate_asr MANIFEST``: measure a model's error rates and speed on the operator's own recordings."""

from __future__ import annotations

import asyncio
import json
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.test.utils import override_settings

from asr import evaluation
from asr.checkpoint import CONTEXTS_S, FULL_CONTEXT_S, Checkpoint, configured
from asr.evaluation import BadManifest, PlainTranscriber, Rate, Score, ServiceTranscriber, Transcriber
from asr.units import Options
from asr.whisper_engine import WhisperEngine
from inference.errors import EngineUnavailable
from model_store.errors import ModelNotInstalled

PLAIN = "plain"
WORDS_STAY_THE_SAME = 0.005  # a smaller increase of the WER is noise, and no reason to keep the full context


class Command(BaseCommand):
    help = (
        "Measure the word error rate (WER), character error rate (CER) and real-time factor (RTF) over a set of "
        "recordings."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "manifest",
            type=Path,
            help="a file (.jsonl or .csv) with an audio path, a text and a language per entry, or a directory with a "
            "manifest.jsonl",
        )
        parser.add_argument(
            "--model", default="", help="directory, size or hub id of the model (default: the configured model)"
        )
        parser.add_argument("--language", help="language of the recordings, ISO 639-1 (default: detected)")
        parser.add_argument("--limit", type=int, help="maximum number of recordings, from the beginning (default: all)")
        parser.add_argument("--worst", type=int, default=10, help="number of worst recordings to print (default: 10)")
        parser.add_argument(
            "--compare",
            metavar="MODEL",
            help=f"compare with another model on each recording; {PLAIN!r} is faster-whisper's own transcribe with the "
            "same weights",
        )
        parser.add_argument(
            "--compare-context", action="store_true", help="compare the full 30 s context with the dynamic one"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        self.options = options
        try:
            self.references = evaluation.read_manifest(options["manifest"])[: options["limit"]]
        except (BadManifest, OSError) as error:
            raise CommandError(str(error)) from error
        if not self.references:
            raise CommandError(f"{options['manifest']} holds no recordings")
        try:
            with override_settings(**({"VOICE_ASR_MODEL": options["model"]} if options["model"] else {})):
                self._run(configured())
        except ModelNotInstalled as error:
            raise CommandError(str(error)) from error

    def _run(self, checkpoint: Checkpoint) -> None:
        other = self.options["compare"]
        if self.options["compare_context"]:
            self._compare_contexts(checkpoint)
        elif not other:
            self._report({checkpoint.name: self._measure(checkpoint)})
        elif other == PLAIN:
            results = {checkpoint.name: self._measure(checkpoint)}
            self._report(results | {f"{checkpoint.name}, plain faster-whisper": self._measure(checkpoint, plain=True)})
        else:
            with override_settings(VOICE_ASR_MODEL=other):
                compared = configured()
            name = compared.name if compared.name != checkpoint.name else f"{compared.name}, compared"
            self._report({checkpoint.name: self._measure(checkpoint), name: self._measure(compared)})

    def _compare_contexts(self, checkpoint: Checkpoint) -> None:
        full = self._measure(replace(checkpoint, contexts_s=(FULL_CONTEXT_S,)), "full context")
        dynamic = self._measure(replace(checkpoint, contexts_s=CONTEXTS_S), "dynamic context")
        speed = evaluation.real_time_factor(full).value / evaluation.real_time_factor(dynamic).value
        self._report({f"{checkpoint.name}, full context": full, f"{checkpoint.name}, dynamic context": dynamic})
        if not self.options["json"]:
            verdict = "dynamic" if evaluation.difference(full, dynamic).value <= WORDS_STAY_THE_SAME else "full"
            self.stdout.write(
                f"dynamic is {speed:.1f} times as fast; use VOICE_ASR_CONTEXT={verdict} with this checkpoint"
            )

    def _measure(self, checkpoint: Checkpoint, label: str = "", *, plain: bool = False) -> list[Score]:
        how = Options(language=self.options["language"])
        transcriber: Transcriber = (
            PlainTranscriber(checkpoint, how)
            if plain
            else ServiceTranscriber(WhisperEngine(checkpoint), checkpoint, how)
        )
        try:
            return asyncio.run(self._scores(transcriber, label or checkpoint.name))
        except (BadManifest, EngineUnavailable) as error:
            raise CommandError(str(error)) from error

    async def _scores(self, transcriber: Transcriber, label: str) -> list[Score]:
        results: list[Score] = []
        try:
            async for score in evaluation.scores(self.references, transcriber):
                results.append(score)
                if not self.options["json"]:
                    self.stderr.write(f"\r{label}: {len(results)} of {len(self.references)} recordings", ending="")
        finally:
            await transcriber.close()
        if not self.options["json"]:
            self.stderr.write("")
        return results

    def _report(self, models: dict[str, list[Score]]) -> None:
        """Print the results of one model, or the results of two models and their difference."""
        if self.options["json"]:
            self.stdout.write(json.dumps(_as_json(models)))
            return
        for name, results in models.items():
            self._report_model(name, results)
        if len(models) == 2:
            first, second = models.values()
            change = evaluation.difference(first, second)
            same = sum(a.recognised == b.recognised for a, b in zip(first, second, strict=True))
            self.stdout.write(f"same words in {same} of {len(first)} recordings")
            self.stdout.write(
                f"WER of the second less that of the first: {100 * change.value:+.2f} points "
                f"(95 % interval {100 * change.low:+.2f} to {100 * change.high:+.2f})"
            )

    def _report_model(self, name: str, results: list[Score]) -> None:
        hours = sum(score.audio_s for score in results) / 3600
        self.stdout.write(f"{name}: {len(results)} recordings, {hours:.2f} h")
        for label, rate in _rates(results).items():
            self.stdout.write(f"  {label}  {_shown(label, rate)}")
        counts = _counts(results)
        self.stdout.write("  " + ", ".join(f"{count} {what}" for what, count in counts.items()))
        for groups in (evaluation.by_language(results), evaluation.by_duration(results)):
            for group, some in groups.items():
                rates = [f"{label} {100 * figure(some).value:5.2f} %" for label, figure in _ERROR_RATES.items()]
                self.stdout.write(f"  {group:<16} {len(some):>4} recordings  {'  '.join(rates)}")
        worst = sorted(results, key=lambda score: score.errors.rate, reverse=True)[: self.options["worst"]]
        for score in worst:
            if score.errors.count:
                about = f"{score.errors.count:>3} of {score.errors.words} words wrong in {score.reference.audio.name}"
                self.stdout.write(
                    f"  {about}\n      reference   {score.reference_text}\n      hypothesis  {score.recognised}"
                )


_ERROR_RATES: dict[str, Callable[[list[Score]], Rate]] = {
    "WER": evaluation.word_error_rate,
    "CER": evaluation.character_error_rate,
}


def _rates(results: list[Score]) -> dict[str, Rate]:
    return {label: figure(results) for label, figure in _ERROR_RATES.items()} | {
        "RTF": evaluation.real_time_factor(results)
    }


def _counts(results: list[Score]) -> dict[str, int]:
    return {
        "substitutions": sum(score.errors.substitutions for score in results),
        "deletions": sum(score.errors.deletions for score in results),
        "insertions": sum(score.errors.insertions for score in results),
        "recordings with a loop": sum(score.loops > 0 for score in results),
        "segments decoded again": sum(score.fallbacks for score in results),
    }


def _figures(results: list[Score]) -> dict[str, Any]:
    figures: dict[str, Any] = {label.lower(): asdict(rate) for label, rate in _rates(results).items()}
    return figures | _counts(results) | {"recordings": len(results)}


def _as_json(models: dict[str, list[Score]]) -> dict[str, Any]:
    described = [
        {
            "model": name,
            **_figures(results),
            "by_language": {group: _figures(some) for group, some in evaluation.by_language(results).items()},
            "by_duration": {group: _figures(some) for group, some in evaluation.by_duration(results).items()},
        }
        for name, results in models.items()
    ]
    if len(described) == 1:
        return described[0]
    return {"models": described, "wer_difference": asdict(evaluation.difference(*models.values()))}


def _shown(label: str, rate: Rate) -> str:
    if label == "RTF":
        return f"{rate.value:.4f}  (95 % interval {rate.low:.4f} to {rate.high:.4f})"
    return f"{100 * rate.value:5.2f} %  (95 % interval {100 * rate.low:.2f} to {100 * rate.high:.2f})"
