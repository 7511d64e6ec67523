"""Number of users of each client application's chat, as reported by staff.

This service sees only the users of voice, so it cannot count all users of a chat itself.
"""

from __future__ import annotations

from datetime import date

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

from core.models import ClientApplication


class ChatUsers(models.Model):
    """Reported number of chat users of a client application on one day.

    Rows are added, or deleted if wrong, but never changed, so that they record the history.
    """

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
    """Return the newest report of each client application up to ``day``, by the application's id."""
    rows = ChatUsers.objects.filter(day__lte=day).select_related("client").order_by("day", "pk")
    return {row.client_id: row for row in rows}
