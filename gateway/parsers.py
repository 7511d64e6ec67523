"""Parsers for request bodies. Errors that Django REST framework would answer with 500 become 400."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
