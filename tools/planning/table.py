"""Write a plan as a text table and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from tools.planning.growth import Comparison, Estimate, UnitCost
from tools.planning.plan import Case
from tools.planning.rates import ASR, LIVE, TTS


@dataclass(frozen=True)
class Column:
    """A column of the text table and of the CSV file.

    ``heading``: the first line of the heading in the text table.
    ``unit``: the second line of this heading.
    ``field``: the name of the column in the CSV file.
    ``value``: returns the value for a case; None if the case has none.
    ``digits``: decimal places in the text table.
    """

    heading: str
    unit: str
    field: str
    value: Callable[[Case], float | None]
    digits: int = 0


COLUMNS = (
    Column("ASR", "/s", "asr_per_second", lambda case: case.rate.asr, 2),
    Column("TTS", "/s", "tts_per_second", lambda case: case.rate.tts, 2),
    Column("live", "/s", "streams_per_second", lambda case: case.rate.streams, 2),
    Column("talking", "people", "users_in_conversation", lambda case: case.experience.talking),
    Column("served", "mean", "users_served_mean", lambda case: case.experience.served, 1),
    Column("served", "most", "users_served_most", lambda case: case.experience.max_served),
    Column("GPUs", "", "gpus", lambda case: case.machines.gpus),
    Column("busy", "%", "gpu_percent", lambda case: 100 * case.experience.gpu_utilisation),
    Column("ASR", "pods", "asr_pods", lambda case: case.machines.pods[ASR]),
    Column("busy", "%", "asr_pod_percent", lambda case: 100 * case.experience.pod_utilisation[ASR]),
    Column("TTS", "pods", "tts_pods", lambda case: case.machines.pods[TTS]),
    Column("busy", "%", "tts_pod_percent", lambda case: 100 * case.experience.pod_utilisation[TTS]),
    Column("live", "pods", "live_pods", lambda case: case.machines.pods[LIVE]),
    Column("busy", "%", "live_pod_percent", lambda case: 100 * case.experience.pod_utilisation[LIVE]),
    Column("ASR", "p95 s", "asr_p95_s", lambda case: case.experience.p95_s[ASR], 2),
    Column("TTS", "p95 s", "tts_p95_s", lambda case: case.experience.p95_s[TTS], 2),
    Column("live", "p95 s", "live_p95_s", lambda case: case.experience.p95_s[LIVE], 2),
    Column("month", "USD", "month_usd", lambda case: case.money.month_usd),
    Column("hour", "USD", "audio_hour_usd", lambda case: case.money.audio_hour_usd, 4),
    Column("1,000 ch", "USD", "thousand_characters_usd", lambda case: case.money.thousand_characters_usd, 4),
)
MORE = (
    Column("", "", "asr_pod_wait_p95_s", lambda case: case.experience.pod_wait_p95_s[ASR], 4),
    Column("", "", "tts_pod_wait_p95_s", lambda case: case.experience.pod_wait_p95_s[TTS], 4),
    Column("", "", "live_pod_wait_p95_s", lambda case: case.experience.pod_wait_p95_s[LIVE], 4),
    Column("", "", "refused_percent", lambda case: 100 * case.experience.refused_share, 2),
    Column("", "", "asr_usd", lambda case: case.money.asr_usd, 2),
    Column("", "", "tts_usd", lambda case: case.money.tts_usd, 2),
    Column("", "", "audio_hour_floor_usd", lambda case: case.money.audio_hour_floor_usd, 5),
    Column("", "", "thousand_characters_floor_usd", lambda case: case.money.thousand_characters_floor_usd, 5),
)


def table(cases: Sequence[Case]) -> str:
    """Return the cases as a text table. Columns are as wide as their contents."""
    names = ["busiest hour", "", *(case.name for case in cases)]
    rows = [[column.heading for column in COLUMNS], [column.unit for column in COLUMNS]]
    rows += [[_figure(column, case) for column in COLUMNS] for case in cases]
    widths = [max(len(row[index]) for row in rows) for index in range(len(COLUMNS))]
    first = max(map(len, names))
    return "\n".join(
        f"{name:<{first}}  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        for name, row in zip(names, rows, strict=True)
    )


def _figure(column: Column, case: Case) -> str:
    value = column.value(case)
    return "–" if value is None else f"{value:,.{column.digits}f}"


def by_speed(estimated: Mapping[str, Sequence[Estimate]]) -> list[str]:
    """Return a text table: the GPUs and monthly cost of each phase for each assumed speed of a T4.

    ``estimated``: the estimates of each phase, keyed by the name of the phase.
    """
    first = max(map(len, estimated), default=0) + 1
    factors = [f"{one.factor:g}" for one in next(iter(estimated.values()), ())]
    lines = [f"{'T4 over that device':<{first}}" + "".join(f"{factor:>22}" for factor in factors)]
    for name, row in estimated.items():
        cells = [
            "too slow" if one.gpus is None else f"{one.gpus} GPU{'s' * (one.gpus != 1)}, {one.month_usd:,.0f} USD"
            for one in row
        ]
        lines.append(f"{name + ':':<{first}}" + "".join(f"{cell:>22}" for cell in cells))
    return lines


def write_csv(
    file: IO[str], cases: Iterable[Case], comparisons: Sequence[Comparison], *, is_measured: bool = True
) -> None:
    """Write a line for each case to a CSV file.

    ``comparisons``: the phases compared with the plan. They fill the columns "phase", "fits" and "reasons".
    ``is_measured``: whether the rates were measured on the planned GPU. If not, the column "fits" says "not measured".
    """
    verdicts = {case.name: each for each in comparisons for case in (each.by_users, each.by_crowd)}
    columns = (*COLUMNS, *MORE)
    writer = csv.writer(file)
    writer.writerow(["case", *(column.field for column in columns), "phase", "fits", "reasons"])
    for case in cases:
        verdict = verdicts.get(case.name)
        about = ["", "", ""]
        if verdict is not None:
            fits = ("yes" if verdict.fits else "no") if is_measured else "not measured"
            about = [str(verdict.phase), fits, "; ".join(verdict.reasons) if is_measured else ""]
        writer.writerow([case.name, *(_cell(column, case) for column in columns), *about])


def _cell(column: Column, case: Case) -> str:
    value = column.value(case)
    return "" if value is None else f"{value:.{max(column.digits, 4)}f}".rstrip("0").rstrip(".")


def cost_line(cost: UnitCost, unit: str) -> str:
    """Return a unit cost as text, such as ``ASR cost per hour of audio, USD: 0.2103, target < 0.01: not met. …``.

    ``unit``: the name of the unit, in the plural.
    """
    value = "no use" if cost.value is None else f"{cost.value:.4f}"
    words = f"{cost.name}: {value}, target {cost.target.in_words}: {cost.verdict}. "
    words += f"Machine time alone costs {cost.floor:.5f}, "
    if cost.needed is None:
        return words + "so no amount of use meets the target with such machines at such prices"
    return words + f"so the target is met from {cost.needed:,.0f} {unit} a month on"
