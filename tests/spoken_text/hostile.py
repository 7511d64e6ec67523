"""Measure how long text normalisation takes on texts that may make its rules slow.

There are nearly three hundred patterns, each repeated to a text of the same length.

    python -m tests.spoken_text.hostile [CHARACTERS]

The output shows the twelve slowest patterns, then the twelve with the longest spoken text. Each line has the CPU time,
and the ratio of spoken to written characters.
"""

from __future__ import annotations

import sys
import time

from spoken_text.speakable import speakable

_UNITS = (
    "a|1|1,111|0| |[|(|`a|<a |* a|A.|-|1-|a@|a.|$a|\\(|![|[a](|{|?!|.|12 34 |http://|#a|A1|1/|1:1|a\n|a_|&a;|"
    "RM1-|^1|RM|RM |RM1|RM1,|1.1|1.|,1|1,|%|1%|-1%|−5°C|5 km|km|km/|/km|1/2|1/2 |½|²|1²|12/3/2026 |12/3 |"
    "31/12|Mac |1 Mac |Mac 1 |12 hb |3.30 pagi|3pm|3:30-|9.00-|jam 1430 |1j 2m |1h|3m 20s|x |x2|xx|2x|x 1|=|"
    "1=|+|1+|++|1 + |C++|<|<3|< |>|>= |≥|≤|≈|~|~1|±|√|∑|∞|π|°|‰|$$|$x$|\\frac|\\frac{|\\frac{a}{b}|\\sqrt{|^|"
    "^{|_|\\text{|\\(a|\\[|{}|}|Dr. |No. |No |a.b.|A.B.C.|U.S. |dll. |Sdn. Bhd. |YB |TYT |r.a |KM |SS2/|A-1-|"
    "B-07-12 |ISBN 978|WXY 1234 |+60|+60 12|012-345 |999 |akaun |akaun a a |TAC |hantar ke |Boeing |V |XIX |"
    "Sultan Ali V |Kelas V dan |kata2|kata2 |ber2|yg |x a |dr |a/b|a / b|&|a&b|@a|@ |a@b.c|www.|www.a.b |"
    "a.com/|://|.com|#|##|# |\n# |\n- |\n1. |\n> |>|```|```\n|`|``|~~~|**|**a|__|_a_|a_b_c|~~|==|[^1]|[1]|"
    "[x](y)|![x](y)|<b>|<!--|-->|<br>|&amp;|&#1;|:tada:|:a|:-)|T_T|^_^|\xaf\\_(\u30c4)_/\xaf|(|)|(a|\u300c|"
    "\u300d|\u3010|\u3011|\"|'|“|”|‘|’|…|...|?|!|?! |;|:|, |—|–| - |•|你|你好。|\u3002|\uff0c|2026年|5-10|百|அ|அ. |"
    "௧|ا|\ufdfa|é|\ufb01|Ⅳ|①|\U0001f600|\U0001f469\u200d\U0001f469\u200d\U0001f467|\ufe0f|\u200b|\ud800|"
    "\u202e|\uff41|\uff15|\u338f|\t|\r|\x00|ESAI |AAAA |Aa|aA|IS|A B |I |1a|1A|a1|A-|1 A|No.1|5'7\"|6\"|'|5'|"
    "-5|- 5|5 - |5–|1-2-3|1.2.3.|v1.|ke-1|ke-|1990-an|24/7|50/50|1st |1 1/2 |3 000 |RM1 000 |1e9"
)
_TABLES = (
    "| a | b |\n",
    "| a | b |\n|---|---|\n",
    "|a|\n|-|\n" + "|1|\n" * 600,
    "| " + "kepala " * 30 + "|\n|---|\n" + "|1|\n" * 900,
    "| " + "9,999,999 | " * 20 + "\n" + "|-" * 20 + "|\n" + ("|1" * 20 + "|\n") * 90,
    "a | b\n--- | ---\n" + "1 | 2\n" * 600,
    "a" + " " * 300,
)


def patterns(chars: int = 4096) -> list[str]:
    """Return each pattern, repeated to a length of ``chars`` characters."""
    units = [unit for unit in _UNITS.split("|") if unit] + ["|", "| a ", *_TABLES]
    return [(unit * chars)[:chars] for unit in dict.fromkeys(units)]


def measure(text: str, language: str = "ms") -> tuple[float, float]:
    """Return the CPU time for a text in milliseconds, and the ratio of spoken to written characters."""
    started = time.process_time()  # CPU time does not depend on other programs
    spoken = speakable(text, language)
    return (time.process_time() - started) * 1000, len(spoken) / len(text)


def main() -> int:
    chars = int(sys.argv[1]) if len(sys.argv) > 1 else 4096
    rows = [(*measure(text), text[:24]) for text in patterns(chars)]
    for heading, key in (("slowest", 0), ("longest", 1)):
        sys.stdout.write(f"{heading} of {len(rows)} patterns of {chars} characters\n")
        for row in sorted(rows, key=lambda row: -row[key])[:12]:
            sys.stdout.write(f"  {row[0]:7.1f} ms  {row[1]:6.1f} said for one written  {row[2]!r}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
