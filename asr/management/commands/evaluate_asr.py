"""``manage.py evaluate_asr MANIFEST``: error rates and speed of a checkpoint on the operator's own recordings."""

from __future__ import annotations

import asyncio
import json
from argparse import ArgumentParser
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.test.utils import override_settings

from asr import evaluation
from asr.checkpoint import CONTEXTS_S, FULL_CONTEXT_S, Checkpoint, configured
from asr.engine import WhisperEngine
from asr.evaluation import BadManifest, Rate, Score
from asr.units import Options
from inference.errors import EngineUnavailable
from model_store.errors import ModelNotHere

WORDS_STAY_THE_SAME = 0.005  # a WER difference up to this is noise, not a reason to keep the full context


class Command(BaseCommand):
    help = "Print WER, CER and real-time factor over a manifest (jsonl or csv: audio path and text)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("manifest", type=Path)
        parser.add_argument("--model", default="", help="directory, size or hub id (default: the configured)")
        parser.add_argument("--language", help="ISO 639-1 (default: detected)")
        parser.add_argument("--limit", type=int, help="only the first so many recordings")
        parser.add_argument("--worst", type=int, default=10, help="how many of the worst lines to print")
        parser.add_argument("--compare-context", action="store_true", help="full 30 s context against dynamic")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead")

    def handle(self, *args: Any, **options: Any) -> None:
        self.quiet = options["json"]
        try:
            lines = evaluation.read_manifest(options["manifest"])[: options["limit"]]
        except (BadManifest, OSError) as error:
            raise CommandError(str(error)) from error
        if not lines:
            raise CommandError(f"{options['manifest']} holds no recordings")
        with override_settings(**({"VOICE_ASR_MODEL": options["model"]} if options["model"] else {})):
            try:
                checkpoint = configured()
            except ModelNotHere as error:
                raise CommandError(str(error)) from error
            how = Options(language=options["language"])
            if options["compare_context"]:
                self._compare(lines, checkpoint, how, options)
            else:
                self._report(checkpoint.name, self._measure(lines, checkpoint, how), options)

    def _compare(
        self, lines: list[evaluation.Line], checkpoint: Checkpoint, how: Options, options: dict[str, Any]
    ) -> None:
        full = self._measure(lines, replace(checkpoint, contexts_s=(FULL_CONTEXT_S,)), how, "full context")
        dynamic = self._measure(lines, replace(checkpoint, contexts_s=CONTEXTS_S), how, "dynamic context")
        same = sum(a.heard == b.heard for a, b in zip(full, dynamic, strict=True))
        difference = evaluation.word_error_rate(dynamic).value - evaluation.word_error_rate(full).value
        speed = evaluation.real_time_factor(full).value / evaluation.real_time_factor(dynamic).value
        if options["json"]:
            result = {"full": _figures(full), "dynamic": _figures(dynamic), "same_words": same, "of": len(lines)}
            self.stdout.write(json.dumps(result | {"speedup": speed}))
            return
        self._report(f"{checkpoint.name}, full context", full, options)
        self._report(f"{checkpoint.name}, dynamic context", dynamic, options)
        self.stdout.write(
            f"same words in {same} of {len(lines)} recordings; WER changes by {100 * difference:+.2f} points"
        )
        verdict = "dynamic" if difference <= WORDS_STAY_THE_SAME else "full"
        self.stdout.write(f"dynamic is {speed:.1f} times as fast; use VOICE_ASR_CONTEXT={verdict} with this checkpoint")

    def _measure(
        self, lines: list[evaluation.Line], checkpoint: Checkpoint, how: Options, label: str = ""
    ) -> list[Score]:
        async def run() -> list[Score]:
            engine = WhisperEngine(checkpoint)
            results: list[Score] = []
            try:
                async for score in evaluation.scores(lines, engine, checkpoint, how):
                    results.append(score)
                    if not self.quiet:
                        progress = f"\r{label or checkpoint.name}: {len(results)} of {len(lines)} recordings"
                        self.stderr.write(progress, ending="")
            finally:
                await engine.close()
            if not self.quiet:
                self.stderr.write("")
            return results

        try:
            return asyncio.run(run())
        except (BadManifest, EngineUnavailable) as error:
            raise CommandError(str(error)) from error

    def _report(self, name: str, results: list[Score], options: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps({"model": name} | _figures(results)))
            return
        hours = sum(score.audio_s for score in results) / 3600
        self.stdout.write(f"{name}: {len(results)} recordings, {hours:.2f} h")
        for label, rate in _rates(results).items():
            self.stdout.write(f"  {label}  {_shown(label, rate)}")
        worst = sorted(results, key=lambda score: score.errors / score.words, reverse=True)[: options["worst"]]
        for score in worst:
            if score.errors:
                self.stdout.write(f"  {score.errors:>3} of {score.words} words wrong in {score.line.audio.name}")
                self.stdout.write(f"      said   {score.said}\n      heard  {score.heard}")


def _rates(results: list[Score]) -> dict[str, Rate]:
    return {
        "WER": evaluation.word_error_rate(results),
        "CER": evaluation.character_error_rate(results),
        "RTF": evaluation.real_time_factor(results),
    }


def _figures(results: list[Score]) -> dict[str, Any]:
    return {label.lower(): asdict(rate) for label, rate in _rates(results).items()} | {"recordings": len(results)}


def _shown(label: str, rate: Rate) -> str:
    if label == "RTF":
        return f"{rate.value:.4f}  (95 % interval {rate.low:.4f} to {rate.high:.4f})"
    return f"{100 * rate.value:5.2f} %  (95 % interval {100 * rate.low:.2f} to {100 * rate.high:.2f})"
