"""Functions that format quantities as text, such as ``4.2 s``, ``12.5 min`` or ``2 days``, and matching form fields.

All functions except ``audio`` format None as ``–``.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextInputWidget

NONE = "–"
MICROS = 1_000_000
MINUTE = 60.0
HOUR = 3_600.0
DAY = 86_400.0


def number(value: float | None) -> str:
    """Round a number to a whole number, and format it with thousands separators."""
    return NONE if value is None else f"{value:,.0f}"


def counted(value: int, noun: str) -> str:
    """Format a whole number with a noun whose plural ends in s, such as ``1 draft`` or ``1,200 drafts``."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def seconds(value: float | None, places: int = 2) -> str:
    """Format a number of seconds with ``places`` decimal places."""
    return NONE if value is None else f"{value:,.{places}f} s"


def percent(value: float | None, places: int = 1) -> str:
    """Format a percentage with ``places`` decimal places."""
    return NONE if value is None else f"{value:.{places}f} %"


def audio(milliseconds: int) -> str:
    """Format a duration of audio, which is given in milliseconds, as seconds, minutes or hours."""
    length = abs(milliseconds) / 1000
    shown = milliseconds / 1000
    if length < MINUTE:
        return f"{shown:.1f} s"
    return f"{shown / MINUTE:.1f} min" if length < HOUR else f"{shown / HOUR:,.1f} h"


def span(length: timedelta | None) -> str:
    """Format a duration in the largest suitable unit, such as ``30 s``, ``45 min``, ``3.5 h`` or ``2 days``."""
    if length is None:
        return NONE
    value = length.total_seconds()
    if value < MINUTE:
        return f"{value:.0f} s"
    if value < HOUR:
        return _trimmed(value / MINUTE, "min")
    if value >= 2 * DAY and value % DAY == 0:
        return f"{value / DAY:.0f} days"
    return _trimmed(value / HOUR, "h")


def _trimmed(value: float, unit: str) -> str:
    return f"{value:.1f}".removesuffix(".0") + f" {unit}"


class MicrosField(forms.DecimalField):
    """A form field for an amount of money.

    The amount is entered as a decimal number and stored as a whole number of millionths.
    """

    def __init__(self, **options: Any) -> None:
        # Drop the model field's limits, which are in millionths.
        for name in ("min_value", "max_value", "step_size"):
            options.pop(name, None)
        options["widget"] = UnfoldAdminTextInputWidget({"inputmode": "decimal"})
        super().__init__(min_value=Decimal(0), max_value=Decimal(1_000_000), decimal_places=6, **options)

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, int):
            return value
        whole = f"{Decimal(value) / MICROS:.6f}".rstrip("0")
        places = len(whole.partition(".")[2])
        return whole + "0" * max(0, 2 - places)

    def clean(self, value: Any) -> Any:
        amount = super().clean(value)
        return None if amount is None else int(amount * MICROS)


class SpanField(forms.DurationField):
    """A form field for a duration. The user enters a number, whose unit is ``unit``.

    Django's format for durations (``1 12:00:00``) is accepted too.
    """

    def __init__(self, *, unit: timedelta, **options: Any) -> None:
        self.unit = unit
        options["widget"] = UnfoldAdminTextInputWidget({"inputmode": "decimal"})
        super().__init__(**options)

    def prepare_value(self, value: Any) -> Any:
        return f"{value / self.unit:.6f}".rstrip("0").rstrip(".") if isinstance(value, timedelta) else value

    def to_python(self, value: Any) -> timedelta | None:
        if isinstance(value, str) and ":" not in value and value.strip():
            try:
                return float(value) * self.unit
            except (ValueError, OverflowError) as error:
                raise ValidationError(self.error_messages["invalid"], code="invalid") from error
        return super().to_python(value)


class ShortFloatField(forms.FloatField):
    """A form field for a number, which shows ``80`` where Django's own field shows ``80.0``."""

    def __init__(self, **options: Any) -> None:
        options["widget"] = UnfoldAdminTextInputWidget({"inputmode": "decimal"})
        super().__init__(**options)

    def prepare_value(self, value: Any) -> Any:
        return f"{value:.10g}" if isinstance(value, float) else value
