"""Strict JSON: a parser for what clients send, and serialiser fields that accept only the JSON type in the schema.

For some invalid bodies, Django REST framework's parser would cause a 500; this parser answers 400. The framework's
fields are meant for forms, and would accept the number 5 for a string.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.utils import json

SHOWN_CHARACTERS = 50  # of a name from a body, in an error message


class InvalidJson(Exception):
    """A text is not JSON, or is JSON that not all programs would read in the same way. The message says why."""


def strict_loads(text: str) -> Any:
    """Return the value of a JSON text.

    Raise ``InvalidJson`` if it is not JSON (NaN and Infinity are not), if an object has the same name twice, if it is
    nested too deeply, or if a number has too many digits or is too large (1e400).
    """
    try:
        return json.loads(
            text,
            parse_float=_finite,
            parse_constant=json.strict_constant,
            object_pairs_hook=_without_repetition,
        )
    except RecursionError as error:  # caused by half a megabyte of "[", for example
        raise InvalidJson("nested too deeply") from error
    except ValueError as error:
        is_long_number = "digits" in str(error)  # Python's own words about a number of more than 4,300 digits
        raise InvalidJson("a number has too many digits" if is_long_number else str(error)) from error


def _finite(digits: str) -> float:
    """Return the number that is written in a JSON text. Raise ``InvalidJson`` for one that Python reads as infinite.

    Such a number could not be written as JSON again.
    """
    number = float(digits)
    if math.isinf(number):
        raise InvalidJson(f"the number {digits[:SHOWN_CHARACTERS]} is too large")
    return number


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dict. Raise ``InvalidJson`` if a name occurs more than once.

    Python would keep the last value of such a name, but other programs may keep the first. So the value that one
    program has checked might not be the value that another program uses.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        [(twice, _count)] = Counter(name for name, _value in pairs).most_common(1)
        raise InvalidJson(f"an object has the name {twice[:SHOWN_CHARACTERS]!r} more than once")
    return values


class JsonParser(JSONParser):
    """Parser for a JSON body, which must be an object in UTF-8.

    JSON has no other encoding (RFC 8259, section 8.1), so the charset of the request is not used.
    """

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        try:
            data = strict_loads(stream.read().decode())
        except (InvalidJson, UnicodeDecodeError) as error:
            raise ParseError(f"JSON parse error - {error}") from error
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
