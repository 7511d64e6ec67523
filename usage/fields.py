"""A model field that fills itself in."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from django.db import models

from usage.period import day_of

if TYPE_CHECKING:
    Base = models.DateField[date, date]
else:
    Base = models.DateField


class DayOfRequest(Base):
    """The day of the ``entry`` that a row is about, so that counting by day needs no look into the ledger."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("db_index", True)
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def pre_save(self, model_instance: models.Model, add: bool) -> date:
        day = day_of(getattr(model_instance, "entry").created_at)  # noqa: B009 - it is no field of all models
        setattr(model_instance, self.attname, day)
        return day
