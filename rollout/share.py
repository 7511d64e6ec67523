"""Who belongs to a percentage of all end users: a fixed place for each, the same in every process and at every time.

Raising a percentage only adds those whose places come next; lowering it removes the ones that came last. All of voice
has one queue, so whoever is within its percentage has all the parts that reach as far.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

from rollout.feature import Feature

PLACES = 1 << 64
# Until voice was one flag, each part had a queue of its own. This one goes on, so that its users keep their places.
QUEUE = Feature.ASR


def place(user: str, queue: str = QUEUE) -> int:
    """Return the end user's place in the queue, 0 to ``PLACES`` - 1, from SHA-256: spread evenly, and unrelated to the
    same user's place in another queue."""
    digest = hashlib.sha256(f"{queue}\0{user}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")


def is_within(user: str, percent: Decimal, queue: str = QUEUE) -> bool:
    """Return True if the end user is among the first ``percent`` (to two decimals) of the queue."""
    hundredths = int(percent * 100)
    return place(user, queue) * 10_000 < hundredths * PLACES


def shown(percent: Decimal | float | None) -> str:
    """Format a percentage for people: `7 %`, however it is stored."""
    return f"{round(Decimal(percent or 0), 2).normalize():f} %"
