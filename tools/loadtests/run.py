"""Run a load test: start the load generator, collect its events, and judge the results.

- One thread reads the generator's pipe. Only this thread writes to the tally, and it holds ``Run.lock`` meanwhile.
- Other threads must hold ``Run.lock`` while they read the tally of a run in progress.
"""

from __future__ import annotations

import importlib.util
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import BinaryIO

from tools.loadtests import events, service
from tools.loadtests.generator_config import CONFIG_VARIABLE, MAX_SPEECH_S, PIPE_VARIABLE, GeneratorConfig
from tools.loadtests.processes import Watch
from tools.loadtests.scenarios import Scenario, ramp_s
from tools.loadtests.service import Service, Unusable
from tools.loadtests.tally import Tally
from tools.loadtests.verdict import Criterion, Server, Verdict, judge, overall

GENERATOR_STARTS_S = 60.0
LOOK_S = 1.0
WARM_UP_S = 15.0
INTERRUPTED_STOP_S = 3.0  # short, because the user may be waiting after Ctrl-C
_LOCUSTFILE = "tools/loadtests/locustfile.py"


@dataclass(frozen=True)
class Options:
    """The options of a run.

    ``scenario``: the scenario, before scaling.
    ``users``: number of concurrent users, after scaling.
    ``duration_s``: seconds with all users present, after scaling.
    ``time_scale``: the factor by which the duration was scaled.
    ``is_closed_loop``: whether users ask again without think time.
    """

    scenario: Scenario
    users: int
    duration_s: float
    time_scale: float
    is_closed_loop: bool

    @property
    def ramp_s(self) -> float:
        """The seconds in which the users arrive, before ``duration_s``."""
        return ramp_s(self.duration_s)

    @property
    def total_s(self) -> int:
        """The length of the whole run in seconds, including the arrival of the users."""
        return math.ceil(self.ramp_s + self.duration_s)


def warm_up(options: Options) -> Options:
    """Return the options of the warm-up before a run: the same users in a closed loop for ``WARM_UP_S``.

    The service allocates memory when it is first busy. This memory is no leak, so it must be allocated before the run.
    """
    return replace(options, duration_s=WARM_UP_S, is_closed_loop=True)


@dataclass(frozen=True)
class Recordings:
    """The recordings that the users of a run sent.

    ``source``: who spoke them.
    ``number``: how many different recordings there were.
    ``mean_s``: the mean length of the recordings in seconds.
    """

    source: str
    number: int
    mean_s: float

    @classmethod
    def of(cls, config: GeneratorConfig) -> Recordings:
        return cls(config.clips_from, len(config.clips), round(fmean(clip.seconds for clip in config.clips), 2))


@dataclass(frozen=True)
class Result:
    """The results of a run. Times are Unix times.

    ``options``: the options of the run.
    ``host``: the address of the service.
    ``recordings``: the recordings that the users sent.
    ``tally``: the requests and their figures.
    ``watch``: the server's processes.
    ``criteria``: the verdict on each criterion.
    ``started``: when the first event arrived.
    ``ended``: when the run ended.
    ``full_from``: when the last user had arrived; None if not all users arrived.
    ``incomplete_because``: why the run ended early; "" if it did not.
    """

    options: Options
    host: str
    recordings: Recordings
    tally: Tally
    watch: Watch
    criteria: list[Criterion]
    started: float
    ended: float
    full_from: float | None
    incomplete_because: str = ""

    @property
    def is_complete(self) -> bool:
        return not self.incomplete_because

    @property
    def verdict(self) -> Verdict:
        return overall(self.criteria, is_complete=self.is_complete)


def locust_is_missing() -> bool:
    return importlib.util.find_spec("locust") is None


class Run:
    """One run of the load generator against a service.

    ``options``: the options of the run.
    ``target``: the service.
    ``root``: the folder of the project, in which Locust is started.
    ``interrupted``: ends the run early if another thread sets it.
    """

    def __init__(self, options: Options, target: Service, root: Path, interrupted: threading.Event) -> None:
        self.options = options
        self.target = target
        self._root = root
        self.lock = threading.Lock()
        self.tally = Tally(time.time())
        self.watch = Watch(target.metrics, options.total_s)
        self.interrupted = interrupted

    def go(self, config: GeneratorConfig, show: Callable[[Run], None]) -> Result:
        """Run the load to its end, and return the judged results.

        ``config``: the configuration of the load generator.
        ``show``: called every second with this run, to print the progress.

        Raise ``Unusable`` if the generator does not start.
        """
        reading, writing = os.pipe()
        with tempfile.TemporaryDirectory(prefix="voice-loadtest-") as folder:
            file = Path(folder) / "generator.json"
            log = Path(folder) / "locust.log"
            config.write(file)
            with log.open("wb") as output:
                generator = self._start(file, config.timeout_s, writing, output)
            os.close(writing)
            following = threading.Thread(target=self._follow, args=[reading], name="loadtest-events", daemon=True)
            following.start()
            self.watch.start()
            try:
                self._wait(generator, config.timeout_s, show)
            finally:
                self._stop(generator)
                self.watch.stop()
                following.join(5)
            if not self.tally.pulses and not self.interrupted.is_set():
                raise Unusable("the load generator did not start:\n" + log.read_text(errors="replace")[-2000:])
        return self._result(generator.returncode, Recordings.of(config))

    def _start(self, file: Path, timeout_s: float, writing: int, output: BinaryIO) -> subprocess.Popen[bytes]:
        options = self.options
        command = [
            sys.executable,
            "-m",
            "locust",
            "-f",
            _LOCUSTFILE,
            "--headless",
            "--host",
            self.target.host,
            "--users",
            str(options.users),
            "--spawn-rate",
            f"{options.users / options.ramp_s:.3f}",
            "--run-time",
            f"{options.total_s}s",
            "--stop-timeout",
            f"{timeout_s + MAX_SPEECH_S:.0f}",
            "--exit-code-on-error",
            "0",
            "--loglevel",
            "WARNING",
            "--only-summary",
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
        environment |= {CONFIG_VARIABLE: str(file), PIPE_VARIABLE: str(writing)}
        return subprocess.Popen(
            command,
            cwd=self._root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[writing],
            start_new_session=True,
        )

    def _follow(self, reading: int) -> None:
        with os.fdopen(reading, "rb") as lines:
            for text in lines:
                with suppress(ValueError, TypeError):  # the last line is incomplete if the generator was killed
                    event = events.read(text)
                    with self.lock:
                        self.tally.add(event)

    def _wait(self, generator: subprocess.Popen[bytes], timeout_s: float, show: Callable[[Run], None]) -> None:
        begun = time.monotonic()
        longest = GENERATOR_STARTS_S + self.options.total_s + 2 * (timeout_s + MAX_SPEECH_S)
        while generator.poll() is None and time.monotonic() < begun + longest:
            if self.interrupted.wait(LOOK_S):
                return
            show(self)

    def _stop(self, generator: subprocess.Popen[bytes]) -> None:
        for number, timeout_s in ((signal.SIGTERM, INTERRUPTED_STOP_S), (signal.SIGKILL, 10.0)):
            if generator.poll() is not None:
                return
            generator.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                generator.wait(timeout_s)

    def _result(self, status: int | None, recordings: Recordings) -> Result:
        tally = self.tally
        watch = self.watch
        options = self.options
        ended = time.time()
        full_from = next((pulse.at for pulse in tally.pulses if pulse.users >= options.users), None)
        load_ends = max((pulse.at for pulse in tally.pulses if pulse.users), default=ended)
        because = "it was interrupted" if self.interrupted.is_set() else ""
        if not because and status != 0:
            because = "the load generator broke off"
        trends = watch.trends(full_from or tally.started, load_ends) if watch.processes else None
        died = self.target.process is not None and self.target.process.poll() is not None
        server = Server(
            trends=trends,
            replaced=len(watch.replaced()) if watch.processes else None,
            is_ready=not died and service.is_ready(self.target.host),
            why=watch.problem,
        )
        criteria = judge(options.scenario, options.users, tally, server)
        return Result(
            options,
            self.target.host,
            recordings,
            tally,
            watch,
            criteria,
            tally.started,
            ended,
            full_from,
            incomplete_because=because,
        )
