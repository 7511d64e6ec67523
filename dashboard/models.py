"""The table of the weekly summaries that have been mailed."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class MailedSummary(models.Model):
    """A weekly summary that has been mailed to one address (``reader``).

    The row is written before the mail is sent, and deleted if sending fails. Therefore neither a later run nor a
    simultaneous one mails the summary again, unless ``--again`` is given.
    """

    week = models.DateField()
    reader = models.CharField(max_length=254)
    mailed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["week", "reader"], name="summary_mailed_once")]

    def __str__(self) -> str:
        return f"{self.week} to {self.reader}"
