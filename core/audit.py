"""The audit trail: who changed API keys, the roll-out, plans, costs, alert rules and other settings, when and why.

When a recorded field of an ``Audited`` model changes, or a row is deleted, an entry is added to the audit trail in the
same transaction. So the change and the entry are stored together or not at all. The context manager ``acting`` sets who
makes the changes within its block, and why.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from django.db import models, transaction
from django.dispatch import Signal
from django.utils import timezone

from core.append_only import AppendOnlyModel, AppendOnlyQuerySet
from core.quantities import MICROS, NONE, span

M = TypeVar("M", bound="Audited")

committed = Signal()  # sent after the transaction of a change has been committed
MAX_SHOWN = 20  # maximum number of names that ``names`` lists


@dataclass(frozen=True)
class Actor:
    """The author of changes.

    ``who``: name of the user, the management command, or the ramp (an automatic roll-out in steps).
    ``why``: reason for the changes, or "".
    ``at``: time to record for the changes; None for the present time.
    """

    who: str
    why: str = ""
    at: datetime | None = None


_actor: ContextVar[Actor | None] = ContextVar("rollout_actor", default=None)


@contextmanager
def acting(who: str, why: str = "", at: datetime | None = None) -> Iterator[None]:
    """Record all changes within the ``with`` block as made by ``who`` for the reason ``why``.

    ``at``: time to record, if the changes were made in the past. None means the time that an enclosing block of
    ``acting`` has set, or else the present time.
    """
    outer = _actor.get()
    token = _actor.set(Actor(who, why, at or (outer.at if outer else None)))
    try:
        yield
    finally:
        _actor.reset(token)


def actor() -> Actor:
    """Return the actor that ``acting`` has set. Outside an ``acting`` block, this is the running program or command."""
    named = _actor.get()
    if named is not None:
        return named
    program, *arguments = sys.argv or [""]
    return Actor(" ".join([Path(program).name, *arguments[:1]]).strip() or "python")


class Change(AppendOnlyModel):
    """An entry of the audit trail, which describes a change of one row.

    ``at``: time of the change.
    ``who``: name of the user, the management command, or the ramp (an automatic roll-out in steps).
    ``why``: reason for the change, or "".
    ``subject``: name of the changed row.
    ``before``: old values of the changed fields; {} for a new row.
    ``after``: new values of the changed fields; {} for a deleted row.
    """

    at = models.DateTimeField(default=timezone.now, db_index=True, editable=False)
    who = models.CharField(max_length=150, db_index=True)
    subject = models.CharField(max_length=400, db_index=True)  # enough for an end user's id, a flag and a client
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    why = models.TextField(blank=True)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        app_label = "rollout"
        ordering = ["-id"]
        verbose_name_plural = "audit trail"

    def __str__(self) -> str:
        return f"{self.subject}: {self.summary()}"

    def summary(self) -> str:
        """Return the change as text, such as ``percent 5 → 7``."""
        return ", ".join(f"{name} {before} → {after}" for name, before, after in self.fields_in_words())

    def fields_in_words(self) -> list[tuple[str, str, str]]:
        """Return (name, old value, new value) as text, for each field whose old and new text differ."""
        names = [*self.before, *(name for name in self.after if name not in self.before)]
        rows = [(_label(name), _shown(self.before, name), _shown(self.after, name)) for name in names]
        return [row for row in rows if row[1] != row[2]]


def _label(name: str) -> str:
    return name.removesuffix("_micros").removeprefix("micros_").replace("_", " ")


def _shown(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if value in (None, ""):
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if "micros" in name and isinstance(value, int):
        return f"{value / MICROS:,.6f}".rstrip("0").rstrip(".")
    return str(value)


def record(subject: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Add an entry to the audit trail, and send the signal ``committed`` after the transaction has been committed.

    Call this function in the transaction of the change.

    ``subject``: name of the changed row.
    ``before``: old values of the changed fields.
    ``after``: new values of the changed fields.
    """
    who = actor()
    at = who.at or timezone.now()
    Change.objects.create(at=at, who=who.who[:150], why=who.why, subject=subject, before=before, after=after)
    transaction.on_commit(lambda: committed.send(Change))


class AuditedQuerySet(models.QuerySet[M]):
    """A query set whose ``update`` saves rows one by one, so that each change is recorded in the audit trail."""

    def update(self, **values: Any) -> int:
        with transaction.atomic():
            rows = list(self)
            for row in rows:
                for name, value in values.items():
                    setattr(row, name, value)
                row.save()
        return len(rows)


class Audited(models.Model):
    """A model whose changes are recorded in the audit trail.

    ``recorded``: names of the fields whose changes are recorded. A subclass must set it.
    """

    recorded: ClassVar[tuple[str, ...]]

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            stored = self._stored()
            super().save(*args, **kwargs)
            before = stored._facts() if stored else {}
            after = self._reread()._facts()
            changed = [name for name in after if name not in before or before[name] != after[name]]
            if changed:
                record(
                    self.subject(),
                    {name: before[name] for name in changed if name in before},
                    {name: after[name] for name in changed},
                )

    def _reread(self) -> Audited:
        # Read the row back, so that database types are compared. An assigned float or string would count as a change.
        rows: Any = type(self)._base_manager
        row: Audited = rows.get(pk=self.pk)
        return row

    def subject(self) -> str:
        """Return the name of this row for the audit trail."""
        return f"{self._meta.verbose_name} {self}"

    def _facts(self) -> dict[str, Any]:
        return {name: _plain(getattr(self, name)) for name in self.recorded}

    def _stored(self) -> Audited | None:
        rows: Any = type(self)._base_manager
        return rows.select_for_update().filter(pk=self.pk).first() if self.pk is not None else None


def _plain(value: Any) -> Any:
    """Convert a value to a type that JSON can represent."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, timedelta):
        return span(value)
    if isinstance(value, datetime):
        return f"{timezone.localtime(value):%Y-%m-%d %H:%M}"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"  # so that 5.00 and 5 count as the same value
    return str(value)


def is_deleted(instance: Audited, **_signal: Any) -> None:
    """Record the deletion of a row in the audit trail.

    Django's signal ``pre_delete`` calls this function, even if the row is deleted by a cascade.
    """
    record(instance.subject(), instance._facts(), {})


def names(values: Iterable[str]) -> str:
    """Return the names as text, separated by commas. After ``MAX_SHOWN`` names, only say how many more there are."""
    known = list(values)
    more = f" and {len(known) - MAX_SHOWN:,} more" if len(known) > MAX_SHOWN else ""
    return ", ".join(known[:MAX_SHOWN]) + more
