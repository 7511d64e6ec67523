"""Describe a simulated run as text: the load, the latencies, and the changes made by the autoscaler."""

from __future__ import annotations

from core.percentiles import percentile
from tools.planning.rates import ASR, DEPLOYMENTS, KINDS, LIVE, TTS
from tools.planning.simulation.cluster import INTERVAL_S, Run


def narrative(run: Run, *, minutes: int, in_minutes: bool = False) -> list[str]:
    """Return a table of the run as lines of text, and a line for each change made by the autoscaler.

    ``minutes``: simulated minutes per line of the table.
    ``in_minutes``: show times since the start of the run instead of times of day.
    """
    lines = [
        f"{'from':>6}{'work/s':>9}{'people':>8}{'ASR pods':>10}{'TTS pods':>10}{'live pods':>11}{'GPU %':>7}"
        f"{'ASR p50 / p95 s':>18}{'TTS p50 / p95 s':>18}{'refused':>9}"
    ]
    for first in range(0, len(run.intervals), minutes):
        part = run.intervals[first : first + minutes]
        answers = {kind: [seconds for each in part for seconds in each.latencies_s[kind]] for kind in KINDS}
        experience = {
            kind: f"{percentile(found, 50):.2f} / {percentile(found, 95):.2f}" if found else "–"
            for kind, found in answers.items()
        }
        pods = {
            name: f"{max(each.pods[name] for each in part)} of {max(each.wanted[name] for each in part)}"
            for name in DEPLOYMENTS
        }
        lines.append(
            f"{when(run, first * INTERVAL_S, in_minutes=in_minutes):>6}"
            f"{sum(each.arrivals for each in part) / len(part) / INTERVAL_S:>9.2f}{max(each.users for each in part):>8}"
            f"{pods[ASR]:>10}{pods[TTS]:>10}{pods[LIVE]:>11}{max(each.gpu_percent for each in part):>7.0f}"
            f"{experience[ASR]:>18}{experience[TTS]:>18}{sum(each.refused for each in part):>9,}"
        )
    for change in run.changes:
        at = when(run, change.at_s, in_minutes=in_minutes, seconds=True)
        verb = "adds" if change.after > change.before else "takes away"
        lines.append(f"{at}  autoscaler {verb}: {change.deployment} pods {change.before} → {change.after}")
    if not run.changes:
        lines.append("the autoscaler changes nothing")
    return lines


def when(run: Run, at_s: float, *, in_minutes: bool, seconds: bool = False) -> str:
    """Return a time of a run as text, such as ``21:15``.

    ``at_s``: seconds since the start of the run.
    ``in_minutes``: show minutes and seconds since the start, instead of hours and minutes of the day.
    ``seconds``: add the seconds to a time of day.
    """
    whole = round(at_s if in_minutes else run.start_h * 3600 + at_s)
    if in_minutes:
        return f"{whole // 60:02d}:{whole % 60:02d}"
    clock = f"{whole // 3600 % 24:02d}:{whole // 60 % 60:02d}"
    return f"{clock}:{whole % 60:02d}" if seconds else clock
