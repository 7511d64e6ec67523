"""Write structured logs: one JSON object per line, with the id of the request.

Log messages do not contain users' text, users' audio or credentials.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter as BaseJsonFormatter

from core.context import maybe_current

MAX_CAUSES = 20  # of an exception in the log


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


def without_messages(error: BaseException) -> BaseException:
    """Return a copy of an exception to log: with its type, traceback and causes, but without any message.

    Use this for errors that can come from processing what users said or wrote, because such a message may quote it.
    At most ``MAX_CAUSES`` causes are copied, because causes can form a cycle.
    """
    first = copy = _without_message(error)
    for _ in range(MAX_CAUSES):
        if error.__cause__ is not None:
            error = error.__cause__
            copy.__cause__ = copy = _without_message(error)
        elif error.__context__ is not None and not error.__suppress_context__:
            error = error.__context__
            copy.__context__ = copy = _without_message(error)
        else:
            break
    return first


def _without_message(error: BaseException) -> BaseException:
    kind = type(error)
    # A traceback shows the class's name and module. The class itself may need arguments that are not known here.
    copied: type[Exception] = type(kind.__name__, (Exception,), {"__module__": kind.__module__})
    return copied("(the message is not logged)").with_traceback(error.__traceback__)
