"""Arithmetic and formatting of money.

Amounts are integers in millionths of a ringgit or of a US dollar. Amounts to pay are rounded half up to sen (hundredths
of a ringgit).
"""

from __future__ import annotations

from core.quantities import MICROS

MICROS_PER_SEN = 10_000


def divide_half_up(amount: int, by: int) -> int:
    """Return ``amount / by`` rounded to the nearest integer, halves away from zero. ``by`` must be positive."""
    sign = -1 if amount < 0 else 1
    return sign * ((2 * abs(amount) + by) // (2 * by))


def in_sen(micros: int) -> int:
    """Convert millionths to hundredths (sen or cents), rounded half up."""
    return divide_half_up(micros, MICROS_PER_SEN)


def decimal(amount: int, places: int) -> str:
    """Format an integer as a decimal number: ``decimal(123456, 2)`` is ``1234.56``."""
    sign = "-" if amount < 0 else ""
    whole, part = divmod(abs(amount), 10**places)
    return f"{sign}{whole}.{part:0{places}d}"


def ringgit(sen: int) -> str:
    """Format an amount in sen for display: ``RM 1,234.56``."""
    sign = "-" if sen < 0 else ""
    whole, part = divmod(abs(sen), 100)
    return f"{sign}RM {whole:,}.{part:02d}"


def dollars(micros: int) -> str:
    """Format an amount in millionths of a dollar for display, rounded to cents: ``USD 1,234.56``."""
    cents = in_sen(micros)
    sign = "-" if cents < 0 else ""
    whole, part = divmod(abs(cents), 100)
    return f"{sign}USD {whole:,}.{part:02d}"


def unit_dollars(micros: int) -> str:
    """Format a unit price in millionths of a dollar. Prices below one dollar have four decimals, others two."""
    return dollars(micros) if micros >= MICROS else f"USD {decimal(divide_half_up(micros, 100), 4)}"


def exact(micros: int) -> str:
    """Format millionths without rounding, with at least two decimals: ``0.05``, ``0.0125``, ``1,200.00``."""
    sign = "-" if micros < 0 else ""
    whole, part = divmod(abs(micros), MICROS)
    places = f"{part:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole:,}.{places}"
