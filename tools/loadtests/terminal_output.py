"""The output of ``manage.py loadtest``: the progress of a run, and its verdict."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from capacity.latency_targets import Workload
from tools.loadtests.events import Outcome
from tools.loadtests.verdict import Verdict

if TYPE_CHECKING:
    from django.core.management.base import OutputWrapper

    from tools.loadtests.run import Options, Result, Run

PLAIN_EVERY_S = 5.0  # interval of progress lines where the output is not a terminal
_MARKS = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.NOT_MEASURED: "–"}
_IN_WORDS = {Verdict.PASSED: "PASSED", Verdict.FAILED: "FAILED", Verdict.NOT_MEASURED: "NO VERDICT"}


def heading(options: Options, host: str) -> str:
    loop = ", closed loop" if options.is_closed_loop else ""
    return (
        f"{options.scenario.name}: {options.users} concurrent users for {options.duration_s:g} s{loop}, on {host} "
        "(Ctrl-C ends it)"
    )


class Progress:
    """Prints the progress of a run. Call it repeatedly with the run.

    On a terminal, it updates a block of lines in place. Elsewhere, it adds a line every ``PLAIN_EVERY_S`` seconds.
    """

    def __init__(self, out: OutputWrapper) -> None:
        self._out = out
        self._is_terminal = out.isatty()
        self._height = 0
        self._told_at = 0.0

    def __call__(self, run: Run) -> None:
        now = time.time()
        if not self._is_terminal:
            if now - self._told_at >= PLAIN_EVERY_S:
                self._told_at = now
                self._write("  ".join(_lines(run, now)) + "\n")
            return
        lines = _lines(run, now)
        back = f"\x1b[{self._height}A" if self._height else ""
        self._write(back + "".join(f"\x1b[2K{line}\n" for line in lines))
        self._height = len(lines)

    def _write(self, text: str) -> None:
        self._out.write(text, ending="")
        self._out.flush()


def _lines(run: Run, now: float) -> list[str]:
    with run.lock:
        tally = run.tally
        rps, p95 = tally.recent(now)
        users = tally.pulses[-1].users if tally.pulses else 0
        in_flight = tally.pulses[-1].in_flight if tally.pulses else 0
        refused = tally.count(Outcome.REFUSED)
        failed = tally.count(Outcome.FAILED, Outcome.HUNG)
        answered = tally.count()
    memory = run.watch.memory()
    waits = "  ".join(f"{work.value} {_seconds(p95[work])}" for work in Workload)
    return [
        f"{now - tally.started:4.0f} of {run.options.total_s} s  {users} users, {in_flight} requests in progress",
        f"{rps:5.1f}/s, {answered:,} answered, {refused:,} refused, {failed:,} failed",
        f"p95 now: {waits}" + (f"  memory {memory / 2**20:,.0f} MiB" if memory else ""),
    ]


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"


def verdict(result: Result) -> str:
    """Return a text with a table of the criteria, the recordings, what each voice spoke, and the overall verdict."""
    rows = [(_MARKS[criterion.verdict], criterion) for criterion in result.criteria]
    name = max(len(criterion.name) for _mark, criterion in rows)
    limit = max(len(criterion.limit) for _mark, criterion in rows)
    lines = [
        f"  {mark} {criterion.name:<{name}}  {criterion.limit:<{limit}}  {criterion.measured}"
        + ("  (not measured)" if criterion.verdict is Verdict.NOT_MEASURED else "")
        for mark, criterion in rows
    ]
    sent = result.recordings
    spoken = [
        f"    recordings: {sent.number:,}, {sent.mean_s:.1f} s on average, {sent.source}",
        *(_spoken(row) for row in result.tally.voices()),
    ]
    why = "" if result.is_complete else f": incomplete, {result.incomplete_because}"
    return "\n".join(["", *lines, *spoken, "", f"{result.options.scenario.name}: {_IN_WORDS[result.verdict]}{why}"])


def _spoken(row: dict[str, Any]) -> str:
    """Return a line that says how much one voice spoke.

    ``row``: an item of ``Tally.voices``.
    """
    who = f"eSpeak NG for {row['voice']} ({row['degraded']})" if row["degraded"] else row["voice"]
    return f"    spoken by {who}: {row['replies']:,} replies, {row['audio_s']:,.0f} s, {row['percent']:g} %"
