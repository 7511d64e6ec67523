"""What a percentage would do, told before it is saved. Who knows peaks and costs registers a forecast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from rollout.models import ALL, NONE, Flag
from rollout.share import shown


@dataclass(frozen=True)
class Effect:
    """One line. ``note``: what it rests on. ``is_warning``: something to see to first."""

    name: str
    value: str
    note: str = ""
    is_warning: bool = False


Forecast = Callable[[Flag, Decimal], Sequence[Effect]]
_forecasts: list[Forecast] = []


def register(forecast: Forecast) -> None:
    """``forecast`` tells the effects of a flag's percentage becoming another."""
    if forecast not in _forecasts:
        _forecasts.append(forecast)


def asked(flag: Flag, text: str) -> Decimal | None:
    """The percentage that was typed, as it would count; None when it is none."""
    text = text.strip()
    if not text:
        return Flag(name=flag.name).reach
    try:
        percent = Decimal(text)
    except InvalidOperation:
        return None
    return percent if percent.is_finite() and NONE <= percent <= ALL else None


def render(flag: Flag, percent: Decimal) -> SafeString:
    """``flag``: as it is stored."""
    effects = [effect for forecast in _forecasts for effect in forecast(flag, percent)]
    context = {"before": shown(flag.reach), "after": shown(percent), "effects": effects}
    return render_to_string("admin/rollout/preview.html", context)
