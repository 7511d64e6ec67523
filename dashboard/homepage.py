"""The admin's first page, which shows the capacity now.

With JavaScript, the page updates itself from the view ``fresh``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_safe

from dashboard import homepage_data, timeline
from rollout import status as rollout_board

REFRESH_S = 5
LIVE_PARTS = ("watcher", "alerts", "now", "readings", "rollout")
SLOW_PARTS = ("cost", "phase", "timeline")


@dataclass(frozen=True)
class PagePermissions:
    """The viewer's permissions, which decide what parts and buttons of the page are shown."""

    capacity: bool
    rollout: bool
    cost: bool
    acknowledge: bool
    switch: bool

    @classmethod
    def of(cls, request: HttpRequest) -> PagePermissions:
        may = request.user.has_perm
        return cls(
            may("capacity.view_sample"),
            may("rollout.view_flag"),
            may("usage.view_infrastructurecost"),
            may("capacity.change_alert"),
            may("rollout.change_flag"),
        )

    @property
    def is_anything(self) -> bool:
        """True if the viewer may see any part of the page."""
        return self.capacity or self.rollout or self.cost


def page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the page's data to the template context, and return it. The admin theme (unfold) calls this."""
    now = timezone.now()
    permissions = PagePermissions.of(request)
    context |= {"title": "Capacity now", "permissions": permissions, "now": now, "renewal": _renewal()}
    context |= _gathered(permissions, now, is_slow_too=True)
    if permissions.capacity:
        drawn = homepage_data.chart(now)
        context |= {"static_curve": homepage_data.static_curve(drawn), "chart": drawn}
    return context


@require_safe
def fresh(request: HttpRequest) -> JsonResponse:
    """Return JSON with parts of the page as HTML, and with the last steps of today's curve of concurrent users.

    Query parameters:

    - ``step``: index of the first step of the curve to return;
    - ``slow``: if present, the parts that change slowly are included.
    """
    now = timezone.now()
    permissions = PagePermissions.of(request)
    is_slow_too = "slow" in request.GET
    context = {"permissions": permissions, "now": now, **_gathered(permissions, now, is_slow_too=is_slow_too)}
    parts = [*LIVE_PARTS, *(SLOW_PARTS if is_slow_too else ())]
    answer: dict[str, Any] = {
        "at": f"{timezone.localtime(now):%H:%M:%S}",
        "parts": {name: render_to_string(f"admin/home/{name}.html", context, request) for name in parts},
    }
    if permissions.capacity:
        answer["curve"] = homepage_data.curve(now, _step(request))
    response = JsonResponse(answer)
    add_never_cache_headers(response)
    return response


def _step(request: HttpRequest) -> int:
    """Return the first step of the curve that the client requests, or 0 (the whole day) if it is invalid."""
    text = request.GET.get("step", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else 0


def _gathered(permissions: PagePermissions, now: datetime, *, is_slow_too: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if permissions.capacity:
        found |= homepage_data.live(now)
    if permissions.rollout:
        found["features"] = rollout_board.features()
    if is_slow_too and (permissions.capacity or permissions.cost):
        found |= homepage_data.slow(now)
    if is_slow_too:
        found["happenings"] = timeline.latest(now, rollout=permissions.rollout, capacity=permissions.capacity)
    return found


def _renewal() -> dict[str, Any]:
    return {"fresh": f"{reverse('admin:index')}now.json", "refresh_s": REFRESH_S}
