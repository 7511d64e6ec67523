"""Export or erase the entries about an end user in the admin's log (Django's ``LogEntry``).

An entry can name an end user in two ways. It can describe a change of a row that belongs to the end user. Or it can
describe a change of another object, such as a cohort or a plan, and list the end user's row among the rows that were
changed with the object. In both cases, the entry contains the label of the row (its ``str``), which contains the end
user's id.

Text that staff have written is left unchanged, because an id in it cannot be distinguished from an ordinary word or
number. If two client applications use the same id for different end users, the entries of both end users are exported
or erased. The same is true of some of the roll-out's tables (``rollout.personal_data``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import CharField, Model, Q, QuerySet
from django.db.models.functions import Cast

ERASED = "The former text was erased at the end user's request."

Rows = Iterable[QuerySet[Any]]


def export(rows: Rows, user: str) -> list[dict[str, Any]]:
    """Return the log entries that are about ``rows`` or name the end user, oldest first.

    Each entry is a dictionary with the keys ``at`` (time), ``what`` (label of the changed object) and ``message``.

    ``rows``: query sets of the end user's rows.
    ``user``: the end user's id.
    """
    entries = {entry.pk: entry for entry in [*_about(rows), *_naming(user)]}
    return [
        {"at": entry.action_time, "what": entry.object_repr, "message": entry.get_change_message()}
        for _pk, entry in sorted(entries.items())
    ]


def erase(rows: Rows, user: str, nobody: str) -> int:
    """Erase an end user from the log, and return the number of changed entries.

    In entries about ``rows``, the label and the message are replaced. In other entries that name the end user, only the
    id is replaced. The time, the author and the kind of change are kept.

    ``rows``: query sets of the end user's rows. Call this before the rows themselves are deleted or changed.
    ``user``: the end user's id.
    ``nobody``: text that replaces the id.
    """
    about = [entry.pk for entry in _about(rows)]
    for entry_pk in about:
        LogEntry.objects.filter(pk=entry_pk).update(object_repr=nobody, change_message=ERASED)
    naming = [entry for entry in _naming(user) if entry.pk not in set(about)]
    for entry in naming:
        if _is_of_people(entry) and _is_named(user, entry.object_repr):
            entry.object_repr = _without(user, entry.object_repr, nobody)[:200]
        parts = _parts(entry)
        for named in _naming_parts(parts, user):
            named["object"] = _without(user, named["object"], nobody)
        if parts:
            entry.change_message = json.dumps(parts)
        entry.save(update_fields=["object_repr", "change_message"])
    return len(about) + len(naming)


def written(user: str) -> tuple[str, str]:
    """Return the two forms in which an id may be written in the log: unchanged, and escaped as in ASCII-only JSON."""
    return user, json.dumps(user)[1:-1]


def _label(user: str) -> re.Pattern[str]:
    """Return a pattern that matches the labels of an end user's rows, which are the id or ``client: id: plan``."""
    return re.compile(rf"(?P<before>\A|\A[^:]*: ){re.escape(user)}(?P<after>\Z|: .+\Z)", re.DOTALL)


def _is_named(user: str, label: str) -> bool:
    """Return True if ``label`` is the label of one of this end user's rows."""
    found = _label(user).search(label)
    return found is not None and bool(found["before"]) == bool(found["after"])


def _without(user: str, label: str, nobody: str) -> str:
    return _label(user).sub(lambda found: f"{found['before']}{nobody}{found['after']}", label)


def _parts(entry: LogEntry) -> list[dict[str, Any]]:
    """Return the changes that the entry's message lists as JSON; [] if the message is plain text."""
    try:
        message = json.loads(entry.change_message)
    except ValueError:
        return []
    return [part for part in message if isinstance(part, dict)] if isinstance(message, list) else []


def _naming_parts(parts: list[dict[str, Any]], user: str) -> list[dict[str, Any]]:
    kinds = {str(model._meta.verbose_name) for model in _models_of_people()}
    what = [fields for part in parts for fields in part.values() if isinstance(fields, dict)]
    return [one for one in what if one.get("name") in kinds and _is_named(user, str(one.get("object", "")))]


def _is_of_people(entry: LogEntry) -> bool:
    return entry.content_type is not None and entry.content_type.model_class() in _models_of_people()


def _models_of_people() -> set[type[Model]]:
    """Return the models whose rows belong to an end user, that is, all models with a text field ``user``."""
    return {
        model
        for model in apps.get_models()
        if any(field.name == "user" and isinstance(field, CharField) for field in model._meta.fields)
    }


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
    return [entry for entry in LogEntry.objects.filter(maybe) if _names(entry, user)]


def _names(entry: LogEntry, user: str) -> bool:
    if _is_of_people(entry) and _is_named(user, entry.object_repr):
        return True
    return bool(_naming_parts(_parts(entry), user))
