"""``manage.py tune_asr``: measure which settings make the configured model fastest on this device, and save them."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from django.core.management.base import BaseCommand, CommandError
from django.test.utils import override_settings

from asr import tuning
from asr.checkpoint import configured
from asr.tuning_measurements import batches_of, measured
from asr.units import SAMPLE_RATE, Samples
from inference.errors import EngineUnavailable
from model_store.errors import ModelNotInstalled

SAID = (
    "saya mahu pergi ke kuala lumpur pada pukul lapan pagi esok",
    "ibu membeli ikan di pasar sebelum matahari terbit",
    "mereka pulang dari johor bahru selepas waktu makan tengah hari",
    "kami akan sampai di pulau pinang pada hari isnin minggu depan",
)


class Command(BaseCommand):
    help = (
        "Measure which numbers of workers and threads, contexts and batch sizes suit the configured model on this "
        "machine, and save them for the service."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--device", default="", help="cpu or cuda (default: VOICE_ASR_DEVICE)")
        parser.add_argument("--output", type=Path, help="file to write (default: where the engine looks for it)")
        parser.add_argument(
            "--seconds",
            type=float,
            default=5.0,
            help="seconds for each measurement of workers and threads (default: 5)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        changed = {"VOICE_ASR_DEVICE": options["device"]} if options["device"] else {}
        with override_settings(**changed):
            try:
                seconds = options["seconds"]
                table = asyncio.run(measured(configured(), speech(), seconds=seconds, tell=self.stdout.write))
            except (EngineUnavailable, ModelNotInstalled) as error:
                raise CommandError(str(error)) from error
            path = options["output"] or tuning.table_path()
            try:
                table.write(path)
            except OSError as error:
                raise CommandError(f"{path} cannot be written: {error}") from error
        self.stdout.write(
            f"{table.model} on {table.device}: {table.workers} x {table.threads} threads, "
            f"{', '.join(batches_of(table))}. Written to {path}; a service that starts now reads it."
        )


def speech() -> Samples:
    """Return about 15 s of Malay speech by the bundled voice: float32, shape ``(samples,)``, at ``SAMPLE_RATE``."""
    from tts import espeak

    spoken = np.concatenate([espeak.speak(sentence) for sentence in SAID]).astype(np.float32) / np.float32(32768)
    return np.asarray(soxr.resample(spoken, espeak.SAMPLE_RATE, SAMPLE_RATE), np.float32)
