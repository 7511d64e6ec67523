"""Strict JSON: a parser for request bodies, and fields that accept only the type in the schema.

Errors that Django REST framework's own parser would answer with 500 become 400. The fields of
Django REST framework are meant for forms, so they also accept the number 5 for the string "5".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class JsonParser(JSONParser):
    """Parser for JSON whose top level must be an object."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        try:
            data = super().parse(stream, media_type, parser_context)
        except RecursionError as error:  # half a megabyte of "[" is enough
            raise ParseError("JSON parse error - nested too deeply") from error
        if not isinstance(data, dict):
            raise ParseError("JSON parse error - the body must be an object")
        return data


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
