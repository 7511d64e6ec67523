"""Base classes for append-only tables (the ledger and the audit trail), whose rows cannot be changed or deleted.

These classes refuse changes that are made with Django's models. Changes that are made in other ways, such as with SQL,
are refused by database triggers. The ledger's triggers are in ``usage.triggers``, and those of the audit trail are in a
migration of ``rollout``.
"""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from django.db import models

M = TypeVar("M", bound=models.Model)


class AppendOnly(Exception):
    """Raised on an attempt to change or delete a row of an append-only table."""

    def __init__(self, table: str = "this table") -> None:
        super().__init__(f"{table} is append-only")


class AppendOnlyQuerySet(models.QuerySet[M]):
    """A query set that can read and create rows. Methods that change or delete rows raise ``AppendOnly``."""

    def update(self, **_values: Any) -> NoReturn:
        raise AppendOnly(str(self.model._meta.verbose_name_plural))

    def delete(self) -> NoReturn:
        raise AppendOnly(str(self.model._meta.verbose_name_plural))

    def bulk_update(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise AppendOnly(str(self.model._meta.verbose_name_plural))


class AppendOnlyModel(models.Model):
    """A model whose rows can be created, but not changed or deleted. Attempts to do so raise ``AppendOnly``."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise AppendOnly(str(self._meta.verbose_name_plural))
        super().save(*args, **kwargs)

    def delete(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise AppendOnly(str(self._meta.verbose_name_plural))
