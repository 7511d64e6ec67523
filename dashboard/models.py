"""Which weekly summaries have been mailed, and to whom."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class MailedSummary(models.Model):
    """One reader has one week's summary. Written before the mail goes and deleted if it does not go, so that neither
    a second run nor one beside it mails it again."""

    week = models.DateField()
    reader = models.CharField(max_length=254)
    mailed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["week", "reader"], name="summary_mailed_once")]

    def __str__(self) -> str:
        return f"{self.week} to {self.reader}"
