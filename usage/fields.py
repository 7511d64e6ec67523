"""A model field for the day of a related ledger row."""

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
    """Field for the day of the ledger row that the model's ``entry`` refers to, in the service's time zone.

    Every save copies the day, so that rows can be counted by day without reading the ledger.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("db_index", True)
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def pre_save(self, model_instance: models.Model, add: bool) -> date:
        day = day_of(getattr(model_instance, "entry").created_at)  # noqa: B009 - only some models have this field
        setattr(model_instance, self.attname, day)
        return day
