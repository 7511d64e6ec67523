"""Select a percentage of all end users, by giving each end user a fixed place in a queue.

An end user's place is the same in every process and never changes. A percentage selects the end users with the first
places: raising it only adds users, and lowering it removes the users who were added last. All parts of voice share one
queue, so a user within one part's percentage is also within every part with a larger percentage.

``rollout.policy`` decides who has voice. It looks at lists and cohorts first.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

from rollout.feature import Feature

QUEUE_LENGTH = 1 << 64
# Before there was one flag for voice, each part had its own queue. All parts now use the queue of speech to text, so
# that its users keep their places.
QUEUE = Feature.ASR


def queue_position(user: str, queue: str = QUEUE) -> int:
    """Return the end user's place in the queue, from 0 to ``QUEUE_LENGTH`` - 1.

    Places are computed with SHA-256, so they are evenly distributed, and a user's places in two queues are independent.
    """
    digest = hashlib.sha256(f"{queue}\0{user}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")


def is_within(user: str, percent: Decimal, queue: str = QUEUE) -> bool:
    """Return True if the end user is within the first ``percent`` % (rounded down to two decimals) of the queue."""
    hundredths = int(percent * 100)
    return queue_position(user, queue) * 10_000 < hundredths * QUEUE_LENGTH


def shown(percent: Decimal | float | None) -> str:
    """Format a percentage for display, without trailing zeros: ``7 %``."""
    return f"{round(Decimal(percent or 0), 2).normalize():f} %"
