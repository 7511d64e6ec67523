"""Preview the effects of a percentage before it is saved.

Apps that can predict peaks and costs register a forecast, whose lines are added to the preview.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from rollout.models import ALL, NONE, Flag
from rollout.percentage import shown


@dataclass(frozen=True)
class Effect:
    """One line of the preview.

    ``note``: basis of the estimate.
    ``is_warning``: True if the user should pay attention to this line before saving the percentage.
    """

    name: str
    value: str
    note: str = ""
    is_warning: bool = False


Forecast = Callable[[Flag, Decimal], Sequence[Effect]]
_forecasts: list[Forecast] = []


def register(forecast: Forecast) -> None:
    """Add a forecast to every preview.

    A forecast is a function that takes a flag and a percentage, and returns the effects of setting the percentage.
    """
    if forecast not in _forecasts:
        _forecasts.append(forecast)


def percent_from_text(flag: Flag, text: str) -> Decimal | None:
    """Return the percentage in ``text``, which a user has typed.

    Return the flag's default if ``text`` is empty, and None if it is not a valid percentage.
    """
    text = text.strip()
    if not text:
        return Flag(name=flag.name).reach
    try:
        percent = Decimal(text)
    except InvalidOperation:
        return None
    return percent if percent.is_finite() and NONE <= percent <= ALL else None


def render(flag: Flag, percent: Decimal) -> SafeString:
    """Return HTML that shows the effects of setting ``percent``.

    ``flag``: the flag with the values in the database, that is, without the change.
    """
    effects = [effect for forecast in _forecasts for effect in forecast(flag, percent)]
    context = {"before": shown(flag.reach), "after": shown(percent), "effects": effects}
    return render_to_string("admin/rollout/preview.html", context)
