r"""Score spoken forms against a table with the columns language, kind, text, and accepted forms.

    python -m tests.spoken_text.scoring CASES.tsv [--kind KIND] [--quiet]

In a text, "\n" is a line feed. Accepted forms are separated by " || ". Case and punctuation are ignored. For Tamil, a
case lists words that must occur, either plain or as "written=spoken", because the text around a number is unchanged.
"""

from __future__ import annotations

import argparse
import re
import sys
import unicodedata
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from spoken_text.speakable import speakable


class Case(NamedTuple):
    language: str
    kind: str
    text: str
    accepted: list[str]


def read_cases(path: Path) -> list[Case]:
    """Return the cases in a tab-separated file, which has one case per line."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [Case(row[0], row[1], row[2].replace("\\n", "\n"), row[3].split(" || ")) for row in rows]


def words(text: str) -> str:
    """Return ``text`` in lower case and without punctuation."""
    kept = (
        char if char == "'" or unicodedata.category(char)[0] in "LMN" else " "
        for char in unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    )
    return " ".join("".join(kept).replace(" '", " ").split())


def is_right(case: Case, spoken: str) -> bool:
    """Return True if ``spoken`` is an accepted form of the case.

    For Chinese, spaces are ignored. For Tamil, ``spoken`` must contain all the listed words and no digits.
    """
    said = words(spoken)
    if case.language == "ta":
        parts = [part.partition("=")[2] or part for part in re.split(r"\s+(?=\d+=)", case.accepted[0])]
        return all(words(part) in said for part in parts) and not re.search(r"\d", said)
    accepted = [words(form) for form in case.accepted]
    if case.language == "zh":
        return said.replace(" ", "") in [form.replace(" ", "") for form in accepted]
    return said in accepted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--kind", help="only this kind")
    parser.add_argument("--quiet", action="store_true", help="print the figures only")
    options = parser.parse_args()
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for case in read_cases(options.cases):
        if options.kind not in (None, case.kind):
            continue
        spoken = speakable(case.text, case.language)
        keys = (case.language, f"{case.language} {case.kind}")
        total.update(keys)
        if is_right(case, spoken):
            right.update(keys)
        elif not options.quiet:
            wanted = " || ".join(case.accepted)
            sys.stdout.write(f"{keys[1]}\n  text {case.text!r}\n  said {spoken}\n  want {wanted}\n")
    for key in sorted(total):
        sys.stdout.write(f"{key:24} {right[key]:4} of {total[key]:4} ({100 * right[key] / total[key]:.1f} %)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
