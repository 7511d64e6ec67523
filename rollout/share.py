"""Who belongs to a percentage of all end users: a fixed place for each, the same in every process and at every time.

Raising a percentage only adds those whose places come next; lowering it removes the ones that came last.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

PLACES = 1 << 64


def place(flag: str, user: str) -> int:
    """The end user's place in the queue for this flag, 0 to ``PLACES`` - 1, from SHA-256: spread evenly, and unrelated
    to the same user's place for another flag."""
    digest = hashlib.sha256(f"{flag}\0{user}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")


def is_within(flag: str, user: str, percent: Decimal) -> bool:
    """The end user is among the first ``percent`` (to two decimals) of the queue for this flag."""
    hundredths = int(percent * 100)
    return place(flag, user) * 10_000 < hundredths * PLACES


def shown(percent: Decimal | int | None) -> str:
    """`7 %`, however it is stored."""
    return f"{Decimal(percent or 0).normalize():f} %"
