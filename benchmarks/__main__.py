"""``make bench``: the figures of the README's performance table, as ratios within one run where they are ratios."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks import environment  # first: it sets Django up

environment.prepare()

from benchmarks import live, live_speech, straight, through_http  # noqa: E402
from benchmarks.report import Row, table  # noqa: E402

CONCURRENCY = (1, 10, 50, 100)


async def main(seconds: float) -> None:
    print(environment.machine())
    for direction in ("asr", "tts"):
        rows: list[Row] = []
        ratios: list[str] = []
        with tempfile.TemporaryDirectory() as folder:
            for concurrency in CONCURRENCY:
                alone = await straight.measure(direction, concurrency=concurrency, seconds=seconds)
                http = await through_http.measure(direction, Path(folder), concurrency=concurrency, seconds=seconds)
                rows.append(Row(f"{direction} straight through the engine", concurrency, alone))
                rows.append(Row(f"{direction} through HTTP", concurrency, http))
                ratios.append(f"{http.per_second / alone.per_second:.2f} at {concurrency}")
        print(table(rows))
        print(f"{direction}: HTTP / straight = {', '.join(ratios)}\n")
    await live.main([1, 50])
    print()
    await live_speech.main()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))
