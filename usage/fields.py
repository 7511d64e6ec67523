"""Model field that copies the day of a related ledger row."""

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
    """Day of the ledger row that ``entry`` refers to, in the service's time zone.

    The field is set on every save, so that counting by day needs no query of the ledger.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("db_index", True)
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def pre_save(self, model_instance: models.Model, add: bool) -> date:
        day = day_of(getattr(model_instance, "entry").created_at)  # noqa: B009 - only some models have this field
        setattr(model_instance, self.attname, day)
        return day
