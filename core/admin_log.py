"""The admin's log (Django's ``LogEntry``): what it says of one end user, handed out or made nameless.

It names people in two ways: an entry is about a row of theirs, or somebody wrote their id into a reason. An id in a
text cannot be told from the same id at another client application; handing out or erasing takes both, as the roll-out
does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import CharField, Q, QuerySet
from django.db.models.functions import Cast

ERASED = "What stood here was erased at the end user's request."

Rows = Iterable[QuerySet[Any]]


def export(rows: Rows, user: str) -> list[dict[str, Any]]:
    """Entries about these rows or that name the end user, the oldest first, as JSON takes them."""
    entries = {entry.pk: entry for entry in [*_about(rows), *_naming(user)]}
    return [
        {"at": entry.action_time, "what": entry.object_repr, "message": entry.get_change_message()}
        for _pk, entry in sorted(entries.items())
    ]


def erase(rows: Rows, user: str, nobody: str) -> int:
    """Empty entries about these rows, and put ``nobody`` where others name the end user. When, by whom and what kind of
    change it was stays. Call it while the rows still have the end user's id. Gives how many entries changed."""
    about = [entry.pk for entry in _about(rows)]
    for entry_pk in about:
        LogEntry.objects.filter(pk=entry_pk).update(object_repr=nobody, change_message=ERASED)
    naming = [entry for entry in _naming(user) if entry.pk not in set(about)]
    for entry in naming:
        entry.object_repr = without(user, entry.object_repr, nobody)[:200]
        entry.change_message = without(user, entry.change_message, nobody)
        entry.save(update_fields=["object_repr", "change_message"])
    return len(about) + len(naming)


def written(user: str) -> tuple[str, str]:
    """The id as it is, and as ASCII-only JSON has it."""
    return user, json.dumps(user)[1:-1]


def names(user: str, text: str) -> bool:
    """Return True if the text has the id as a word, not as a part of another id."""
    return any(_word(one).search(text) for one in written(user))


def without(user: str, text: str, nobody: str) -> str:
    for one in written(user):
        text = _word(one).sub(lambda _found: nobody, text)
    return text


def _word(user: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w@+-])(?<!\w\.){re.escape(user)}(?![\w@+-]|\.\w)")


def _about(rows: Rows) -> list[LogEntry]:
    found: list[LogEntry] = []
    for queryset in rows:
        keys = queryset.order_by().annotate(_key=Cast("pk", CharField())).values("_key")
        kind = ContentType.objects.get_for_model(queryset.model)
        found += LogEntry.objects.filter(content_type=kind, object_id__in=keys)
    return found


def _naming(user: str) -> list[LogEntry]:
    maybe = Q()
    for one in written(user):
        maybe |= Q(object_repr__contains=one) | Q(change_message__contains=one)
    entries = LogEntry.objects.filter(maybe)
    return [entry for entry in entries if names(user, f"{entry.object_repr}\n{entry.change_message}")]
