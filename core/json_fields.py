"""Strict fields for JSON bodies and messages: they accept only the type in the schema.

The fields of Django REST framework are meant for forms, so they also accept the number 5 for the string "5".
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class StrictCharField(serializers.CharField):
    """Accepts a string and nothing else."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictFloatField(serializers.FloatField):
    """Accepts a number and nothing else: not "1", not true."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, (str, bool)):
            self.fail("invalid")
        try:
            return super().to_internal_value(data)
        except OverflowError:  # an integer of 400 digits
            self.fail("invalid")


class StrictIntegerField(serializers.IntegerField):
    """Accepts a whole number and nothing else: not "1", not true."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, (str, bool)):
            self.fail("invalid")
        return super().to_internal_value(data)
