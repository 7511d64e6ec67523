"""Leader election, for work that only one process at a time may do.

The leader holds a lease in Redis or, without Redis, in a database row. If it stops cleanly, another process can lead at
once. If it is killed, another process can lead after at most ``LEASE_S`` seconds. Leases expire by the clock of Redis
or of the database.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any, Protocol

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from capacity.models import Leadership
from core.redis_health import blocking_client

logger = logging.getLogger(__name__)

LEASE_S = 20.0


class Election(Protocol):
    """The election of one leader among the processes that call ``renew`` regularly."""

    def renew(self, holder: str, lease_s: float) -> bool:
        """Try to become, or to remain, the leader for ``lease_s`` seconds. Return True if ``holder`` leads now.

        ``holder``: name of the process.
        """

    def resign(self, holder: str) -> None:
        """Give up the lead if ``holder`` is the leader."""


class DatabaseElection:
    def __init__(self, role: str) -> None:
        self._role = role

    def renew(self, holder: str, lease_s: float) -> bool:
        until: Any = Now() + timedelta(seconds=lease_s)
        mine_or_free = Q(holder=holder) | Q(expires_at__lte=Now())
        rows = Leadership.objects.filter(role=self._role)
        if rows.filter(mine_or_free).update(holder=holder, expires_at=until):  # one statement, so that only one wins
            return True
        if rows.exists():
            return False
        Leadership.objects.bulk_create(
            [Leadership(role=self._role, holder=holder, expires_at=until)], ignore_conflicts=True
        )
        return rows.filter(holder=holder).exists()

    def resign(self, holder: str) -> None:
        Leadership.objects.filter(role=self._role, holder=holder).delete()


_RENEW = """
local holder = redis.call('GET', KEYS[1])
if holder == false or holder == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
return 0
"""
_RESIGN = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class RedisElection:
    def __init__(self, role: str, url: str) -> None:
        client = blocking_client(url)
        self._keys = [f"voice:leader:{role}"]
        self._renew = client.register_script(_RENEW)
        self._resign = client.register_script(_RESIGN)

    def renew(self, holder: str, lease_s: float) -> bool:
        return bool(self._renew(keys=self._keys, args=[holder, round(1000 * lease_s)]))

    def resign(self, holder: str) -> None:
        self._resign(keys=self._keys, args=[holder])


def election(role: str) -> Election:
    """Return the election for a role, in Redis if it is configured, else in the database."""
    return RedisElection(role, settings.REDIS_URL) if settings.REDIS_URL else DatabaseElection(role)
