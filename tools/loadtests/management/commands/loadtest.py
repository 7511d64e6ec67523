"""``manage.py loadtest SCENARIO``: load the service with simulated users, and write a verdict and a report."""

from __future__ import annotations

import math
import secrets
import signal
import sys
import tempfile
import threading
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from capacity import loadtests as kept
from tools.loadtests import report, speech_clips, terminal_output
from tools.loadtests.generator_config import TIMEOUT_S, Clip, GeneratorConfig
from tools.loadtests.run import Options, Result, Run, locust_is_missing, warm_up
from tools.loadtests.scenarios import SCENARIOS
from tools.loadtests.service import Service, Unusable, address, check, throw_away
from tools.loadtests.speakers import best_speaker
from tools.loadtests.verdict import Verdict

NO_VERDICT = 2
STATUS = {Verdict.PASSED: 0, Verdict.FAILED: 1, Verdict.NOT_MEASURED: NO_VERDICT}
CLIPS_PER_USER = 3


class Command(BaseCommand):
    help = "Run a load test with simulated users and print the verdict. Exit status: 0 passed, 1 failed, 2 no verdict."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("scenario", choices=SCENARIOS)
        parser.add_argument("--host", help="URL of the service to test (default: start a temporary one here)")
        parser.add_argument("--key", help="API key for --host")
        parser.add_argument(
            "--key-file", type=Path, help="file with the API key; safer, because other users can see command lines"
        )
        parser.add_argument(
            "--scale-time", type=_positive, default=1.0, help="factor for the duration; 0.1 is a tenth (default: 1)"
        )
        parser.add_argument(
            "--users-scale",
            type=_positive,
            default=1.0,
            help="factor for the number of users; 0.1 is a tenth (default: 1)",
        )
        parser.add_argument(
            "--closed-loop", action="store_true", help="send each user's next request as soon as the last is answered"
        )
        parser.add_argument(
            "--clips",
            type=Path,
            metavar="FOLDER",
            help="folder of recordings to send (default: speech made by Kokoro if it is installed, else by eSpeak NG)",
        )
        parser.add_argument("--language", default="ms", help="language of the recordings (default: ms)")
        parser.add_argument("--voice", default="alloy", help="voice for text to speech (default: alloy)")
        parser.add_argument("--metrics", help="URL of the server's metrics, for its memory (default: HOST/metrics)")
        parser.add_argument(
            "--report",
            type=Path,
            metavar="FOLDER",
            help="folder for report.html and report.json (default: a new one in VOICE_STATE_DIR/loadtests)",
        )
        parser.add_argument(
            "--patience",
            type=_positive,
            default=TIMEOUT_S,
            help="seconds after which an unanswered request counts as hung (default: %(default)g)",
        )
        parser.add_argument("--no-warm-up", action="store_true", help="do not warm the service up first")
        parser.add_argument("--no-store", action="store_true", help="do not store the run in the database")

    def handle(self, *args: Any, **options: Any) -> None:
        if locust_is_missing():
            raise CommandError("This needs locust, which is not installed: make setup-dev", returncode=NO_VERDICT)
        scenario = SCENARIOS[options["scenario"]]
        run_options = Options(
            scenario,
            users=max(1, round(options["users_scale"] * scenario.users)),
            duration_s=60 * scenario.minutes * options["scale_time"],
            time_scale=options["scale_time"],
            is_closed_loop=options["closed_loop"],
        )
        try:
            result = self._run(run_options, options)
        except (Unusable, speech_clips.UnusableClips, OSError) as error:
            raise CommandError(str(error), returncode=NO_VERDICT) from error
        except KeyboardInterrupt as interrupt:
            raise CommandError("interrupted before the load began", returncode=NO_VERDICT) from interrupt
        self._print_result(result, options)
        if status := STATUS[result.verdict]:
            sys.exit(status)

    def _run(self, run_options: Options, options: dict[str, Any]) -> Result:
        user_prefix = f"loadtest-{secrets.token_hex(4)}"
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voice-loadtest-")))
            clips, source = self._clips(options, folder, run_options.users)  # first, while no service needs the cores
            target = self._target(options, folder, stack)
            check(target, user_prefix, run_options.users)
            config = GeneratorConfig(
                host=target.host,
                key=target.key,
                user_prefix=user_prefix,
                first=secrets.randbelow(10**6),
                clips=clips,
                clips_from=source,
                is_closed_loop=run_options.is_closed_loop,
                language=options["language"],
                voice=options["voice"],
                timeout_s=options["patience"],
            )
            interrupted = stack.enter_context(_interruptible())
            if not options["no_warm_up"]:
                self._warm_up(run_options, target, config, interrupted)
            self.stdout.write(terminal_output.heading(run_options, target.host))
            return Run(run_options, target, settings.BASE_DIR, interrupted).go(
                config, terminal_output.Progress(self.stdout)
            )

    def _warm_up(
        self, run_options: Options, target: Service, config: GeneratorConfig, interrupted: threading.Event
    ) -> None:
        self.stdout.write("Warming up ...")
        gentle = warm_up(run_options)
        first = config.first + run_options.users * 1000  # the warm-up must not use the sentences of the run
        Run(gentle, target, settings.BASE_DIR, interrupted).go(
            replace(config, is_closed_loop=True, first=first), lambda _run: None
        )

    def _target(self, options: dict[str, Any], folder: Path, stack: ExitStack) -> Service:
        if not options["host"]:
            self.stdout.write("Starting a temporary service ...")
            return stack.enter_context(throw_away(folder, settings.BASE_DIR, settings.VOICE_MODELS_DIR))
        key = options["key_file"].read_text().strip() if options["key_file"] else options["key"]
        if not key:
            raise Unusable("--host needs --key or --key-file")
        host = address(options["host"])
        return Service(host, key, options["metrics"] or f"{host}/metrics")

    def _clips(self, options: dict[str, Any], folder: Path, users: int) -> tuple[list[Clip], str]:
        """Return the clips, and a text that says who spoke them."""
        clips = folder / "clips"
        clips.mkdir()
        if options["clips"]:
            return list(speech_clips.recorded(options["clips"], clips)), f"from the folder {options['clips'].name}"
        number = min(speech_clips.MAX_SPOKEN, CLIPS_PER_USER * users)
        speaker = best_speaker(settings.VOICE_MODELS_DIR, settings.VOICE_STATE_DIR / "loadtest-speech")
        self.stdout.write(f"{speaker.name} speaks {number} clips ...")
        return list(speech_clips.spoken(clips, number, speaker)), f"spoken by {speaker.name}"

    def _print_result(self, result: Result, options: dict[str, Any]) -> None:
        facts = report.facts(result)
        started = timezone.localtime(datetime.fromtimestamp(result.started, tz=timezone.get_current_timezone()))
        name = f"{result.options.scenario.name}-{started:%Y%m%d-%H%M%S}"
        folder = options["report"] or settings.VOICE_STATE_DIR / "loadtests" / name
        page = report.write(facts, folder)
        self.stdout.write(terminal_output.verdict(result))
        self.stdout.write(f"Report: {page}")
        if options["no_store"]:
            return
        try:
            kept.keep(facts)
        except DatabaseError as error:
            self.stderr.write(f"Not stored in the database: {error}")


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C or SIGTERM sets.

    The run can then end early and still write its report.
    """
    interrupted = threading.Event()
    before = {number: signal.signal(number, lambda *_: interrupted.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _positive(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and 0 < value <= 100):
        raise ArgumentTypeError("a number above 0, at most 100")
    return value
