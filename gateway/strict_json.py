"""Strict JSON: a parser for request bodies, and serialiser fields that accept only the JSON type in the schema.

For some invalid bodies, Django REST framework's parser would cause a 500; this parser answers 400. The framework's
fields are meant for forms, and would accept the number 5 for a string.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class JsonParser(JSONParser):
    """Parser for a JSON body, which must be an object."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        try:
            data = super().parse(stream, media_type, parser_context)
        except RecursionError as error:  # caused by half a megabyte of "[", for example
            raise ParseError("JSON parse error - nested too deeply") from error
        except ParseError as error:
            if "digits" in str(error):  # Python's own words about a number of more than 4,300 digits
                raise ParseError("JSON parse error - a number has too many digits") from error
            raise
        if not isinstance(data, dict):
            raise ParseError("JSON parse error - the body must be an object")
        return data


class StrictCharField(serializers.CharField):
    """Field that accepts only a string."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictFloatField(serializers.FloatField):
    """Field that accepts only a number: neither "1" nor true."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, (str, bool)):
            self.fail("invalid")
        try:
            return super().to_internal_value(data)
        except OverflowError:  # caused by an integer of 400 digits, for example
            self.fail("invalid")


class StrictIntegerField(serializers.IntegerField):
    """Field that accepts only a whole number: neither "1" nor true."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, (str, bool)):
            self.fail("invalid")
        return super().to_internal_value(data)
