"""Select a percentage of all end users by giving each a fixed place in a queue.

An end user's place is the same in every process and never changes. Raising a percentage only adds the users whose
places come next; lowering it removes those who came last. All parts of voice share one queue, so a user within a small
percentage is also within every larger one.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

from rollout.feature import Feature

PLACES = 1 << 64
# Before voice was one flag, each part had a queue of its own. This one is still used, so its users keep their places.
QUEUE = Feature.ASR


def place(user: str, queue: str = QUEUE) -> int:
    """Return the end user's place in the queue, 0 to ``PLACES`` - 1.

    Places come from SHA-256, so they are spread evenly, and unrelated to the same user's place in another queue.
    """
    digest = hashlib.sha256(f"{queue}\0{user}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")


def is_within(user: str, percent: Decimal, queue: str = QUEUE) -> bool:
    """Return True if the end user is among the first ``percent`` (rounded down to two decimals) of the queue."""
    hundredths = int(percent * 100)
    return place(user, queue) * 10_000 < hundredths * PLACES


def shown(percent: Decimal | float | None) -> str:
    """Format a percentage for people without trailing zeros, such as ``7 %``."""
    return f"{round(Decimal(percent or 0), 2).normalize():f} %"
