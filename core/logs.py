"""Write structured logs: one JSON object per line, with the id of the request.

Log messages do not contain users' text, users' audio or credentials.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter as BaseJsonFormatter

from core.context import maybe_current


class RequestIdFilter(logging.Filter):
    """Adds the id of the current request to each log record. It never drops a record."""

    def filter(self, record: logging.LogRecord) -> bool:
        if (context := maybe_current()) is not None:
            record.request_id = context.id
        return True


class JsonFormatter(BaseJsonFormatter):
    """Formats a log record as one line of JSON."""

    def __init__(self) -> None:
        super().__init__("%(message)s", json_ensure_ascii=False)

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        super().add_fields(log_data, record, message_dict)
        for unwanted in ("request", "taskName", "color_message"):  # attached by Django and uvicorn for internal use
            log_data.pop(unwanted, None)
