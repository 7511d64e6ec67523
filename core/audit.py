"""The audit trail of all changes to API keys, rules, plans, prices and the roll-out.

Saving or deleting a row of an ``Audited`` model adds an entry to the trail in the same transaction, so no such change
can be missed. The context manager ``acting`` sets the author of the changes within its block, and the reason for them.
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

committed = Signal()  # sent after a change has been committed to the trail
MAX_SHOWN = 20  # maximum number of names that ``names`` lists; it only counts the others


@dataclass(frozen=True)
class Actor:
    """The author of changes.

    ``who``: user name, or name of the ramp or management command.
    ``why``: reason for the changes, or "".
    ``at``: time to record for the changes; None: now.
    """

    who: str
    why: str = ""
    at: datetime | None = None


_actor: ContextVar[Actor | None] = ContextVar("rollout_actor", default=None)


@contextmanager
def acting(who: str, why: str = "", at: datetime | None = None) -> Iterator[None]:
    """Record the changes within the block as made by ``who`` for the reason ``why``.

    ``at``: time to record, for changes that were made in the past; None: the time of the enclosing block, or now.
    """
    outer = _actor.get()
    token = _actor.set(Actor(who, why, at or (outer.at if outer else None)))
    try:
        yield
    finally:
        _actor.reset(token)


def actor() -> Actor:
    """Return the actor that ``acting`` has set. Without one, return the running management command as the actor."""
    named = _actor.get()
    if named is not None:
        return named
    program, *arguments = sys.argv or [""]
    return Actor(" ".join([Path(program).name, *arguments[:1]]).strip() or "python")


class Change(AppendOnlyModel):
    """An entry of the audit trail: one change by staff, a management command or a ramp (a scheduled roll-out).

    ``who``, ``why``: see ``Actor``.
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
        """Return (name, before, after) as text, for each field whose text differs."""
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
    """Add a row to the trail, and send the signal ``committed`` once the transaction is committed.

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

    ``recorded``: names of the fields whose changes are recorded.
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
        # Read the row back, to compare database types: an assigned float or string would count as a change.
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
    """Record a deletion in the audit trail.

    Django's signal ``pre_delete`` calls this function, also for cascaded deletions.
    """
    record(instance.subject(), instance._facts(), {})


def names(values: Iterable[str]) -> str:
    """Return the names, joined with commas. After ``MAX_SHOWN`` names, only say how many more there are."""
    known = list(values)
    more = f" and {len(known) - MAX_SHOWN:,} more" if len(known) > MAX_SHOWN else ""
    return ", ".join(known[:MAX_SHOWN]) + more
