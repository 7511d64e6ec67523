"""Liveness and readiness checks, for process supervisors (such as Kubernetes) and load balancers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from core.db_health import database
from core.redis_health import redis_health
from gateway import catalogue
from gateway.lifecycle import lifecycle
from inference import runtime

logger = logging.getLogger(__name__)

CHECK_TIMEOUT_S = 3.0
TRAFFIC = "traffic"
PAGES = "pages"


@require_safe
async def live(request: HttpRequest) -> JsonResponse:
    """Answer 200, which shows that this process is alive.

    Other services are not checked: restarting this process would not help if the database, for example, is unavailable.
    """
    return JsonResponse({"status": "ok", "version": settings.VOICE_VERSION})


@require_safe
async def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 if this process is ready to take work, else 503.

    The process is ready if its engines are loaded, the database and Redis are reachable, and it is not draining.

    ``?for=traffic`` is for load balancers, and ignores faults that the service tolerates for a while (docs/outages.md).
    All processes share Redis, the database and the inference tier, so a fault there affects every process. If the load
    balancer took all processes out of service, the fault would become an outage, and callers would get the load
    balancer's error page instead of the API's error.

    ``?for=pages`` ignores the same faults, and does not check the models. It is for a process that serves only the
    admin, the dashboard and the usage endpoints.
    """
    purpose = request.GET.get("for", "")
    checks: dict[str, Callable[[], Awaitable[str]]] = {"database": _database}
    if purpose != PAGES:
        checks = {"models": _models, **checks}
    if settings.REDIS_URL:
        checks["redis"] = _redis
    found = dict(zip(checks, await asyncio.gather(*(_outcome(name, checks[name]) for name in checks)), strict=True))
    if lifecycle().draining:
        found["process"] = "draining"
    failed = {name for name, outcome in found.items() if outcome != "ok"}
    is_ready = not (failed - _tolerable_failures() if purpose in (TRAFFIC, PAGES) else failed)
    body: dict[str, Any] = {"status": "ready" if is_ready else "not ready", "checks": found}
    if notices := catalogue.notices():
        body["notices"] = notices
    return JsonResponse(body, status=200 if is_ready else 503)


def _tolerable_failures() -> set[str]:
    """Return the names of the checks whose failure this process can tolerate at the moment."""
    tolerable = {"redis"}
    if database.has_answered and database.unavailable_s < settings.VOICE_DATABASE_OUTAGE_S:
        tolerable.add("database")
    # If the tier has never been reachable, its address may be wrong. A process with a wrong address must not become
    # ready and replace a process that works.
    if settings.VOICE_INFERENCE_URL and lifecycle().loaded:
        tolerable.add("models")
    return tolerable


async def _outcome(name: str, check: Callable[[], Awaitable[str]]) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check()
    except Exception:  # the reason is logged; the caller of this page only learns that the check failed
        logger.warning("not ready", exc_info=True, extra={"check": name})
        return "unreachable"


async def _models() -> str:
    life = lifecycle()
    life.start_loading()
    if life.failures:
        return "failed: " + ", ".join(sorted(life.failures))
    if not life.loaded:
        return "loading"
    status = runtime.status()
    failed = sorted(name for name in status if not status[name].ready and not runtime.uses_fallback(name))
    # Only the engines of an inference tier can be unreachable.
    return "unreachable: " + ", ".join(failed) if failed else "ok"


async def _database() -> str:
    database.check()
    await database_sync_to_async(_select_one)()
    return "ok"


def _select_one() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


async def _redis() -> str:
    await redis_health(settings.REDIS_URL).ping()
    return "ok"
