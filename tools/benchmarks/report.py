"""The results of closed-loop runs, and a function that formats them as a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from core.percentiles import percentile


@dataclass
class Result:
    """The result of a closed-loop run.

    ``latencies_s``: the latency of each successful call in seconds, in any order.
    ``failures``: how many calls failed.
    ``elapsed_s``: the duration of the whole run in seconds.
    ``cpu_s``: CPU seconds of the process that did the work.
    """

    latencies_s: list[float] = field(default_factory=list)
    failures: int = 0
    elapsed_s: float = 0.0
    cpu_s: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.latencies_s) / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def cpu_ms(self) -> float:
        """The CPU milliseconds per successful call; NaN if no call succeeded."""
        return 1000 * self.cpu_s / len(self.latencies_s) if self.latencies_s else float("nan")

    @property
    def success_percent(self) -> float:
        """The percentage of calls that succeeded; NaN if there were no calls."""
        made = len(self.latencies_s) + self.failures
        return 100 * len(self.latencies_s) / made if made else float("nan")

    def percentile_ms(self, percent: float) -> float:
        return 1000 * percentile(self.latencies_s, percent)


@dataclass(frozen=True)
class Row:
    """A row of the table: the name of a run, its number of concurrent callers, and its result."""

    name: str
    concurrency: int
    result: Result


def table(rows: Iterable[Row]) -> str:
    lines = [f"{'what':<36}{'at once':>8}{'per second':>12}{'p50 ms':>9}{'p95 ms':>9}{'failed':>8}{'cpu ms':>8}"]
    for row in rows:
        result = row.result
        lines.append(
            f"{row.name:<36}{row.concurrency:>8}{result.per_second:>12.1f}{result.percentile_ms(50):>9.0f}"
            f"{result.percentile_ms(95):>9.0f}{result.failures:>8}{result.cpu_ms:>8.1f}"
        )
    return "\n".join(lines)
