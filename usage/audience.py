"""The number of users of each chat. This service sees only those who use voice, so people enter the total."""

from __future__ import annotations

from datetime import date

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

from core.models import ClientApplication


class ChatUsers(models.Model):
    """The number of users of a client application's chat, as its owners count them. Rows are only added, so they form
    the history."""

    client = models.ForeignKey(ClientApplication, on_delete=models.PROTECT, related_name="+")
    day = models.DateField("as of", default=timezone.localdate)
    users = models.PositiveIntegerField("chat users", validators=[MinValueValidator(1)])
    note = models.CharField(max_length=200, blank=True, help_text="Where the number comes from.")

    class Meta:
        ordering = ["-day", "client"]
        constraints = [models.UniqueConstraint(fields=["client", "day"], name="chat_users_once_a_day")]
        verbose_name_plural = "chat users"

    def __str__(self) -> str:
        return f"{self.client}: {self.users:,}"


def known_on(day: date) -> dict[int, ChatUsers]:
    """Return the newest number of each client application as of that day, by its id."""
    rows = ChatUsers.objects.filter(day__lte=day).select_related("client").order_by("day", "pk")
    return {row.client_id: row for row in rows}
