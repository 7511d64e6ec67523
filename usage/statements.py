"""Statements of a month's charges, for one end user or for all end users of a client application.

A draft may be recalculated at any time (``usage.statement_generation``). Database triggers (``usage.triggers``) refuse
changes to a final statement and its lines. Overcharges that are found afterwards are refunded with credit notes.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.db import models, transaction
from django.db.models import Q, Sum
from django.utils import timezone

from core.errors import DomainError
from core.models import ClientApplication
from usage.entry import Kind, Measure
from usage.money import decimal, in_sen, ringgit
from usage.period import end_of_month, month_of
from usage.plans import CHARACTERS_PER_PRICE, MS_PER_MINUTE

CURRENCY = "MYR"
SETTLING = timedelta(hours=1)  # time after the month's end for work still under way to get its ledger row

PER = {Measure.AUDIO: MS_PER_MINUTE, Measure.CHARACTERS: CHARACTERS_PER_PRICE}


FIRST_YEAR = 2000  # no data are older, and dates in the year 1 cannot be converted to UTC


class StatementError(DomainError):
    """Raised when a statement does not allow an action. The message gives the reason."""


def check_month(month: date) -> None:
    """Raise ``StatementError`` if there cannot be statements of this month."""
    if month > month_of(timezone.now()):
        raise StatementError("This month has not begun yet.")
    if month.year < FIRST_YEAR:
        raise StatementError("This month is too long ago.")


class Statement(models.Model):
    """A month's statement for one end user of a client application or, if ``user`` is empty, for all its end users."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        FINAL = "final", "Final"

    client = models.ForeignKey(ClientApplication, on_delete=models.PROTECT, related_name="+")
    user = models.CharField("end user", max_length=200, blank=True)
    month = models.DateField(help_text="Its first day")
    state = models.CharField(max_length=5, choices=State, default=State.DRAFT)
    total_micros = models.BigIntegerField(default=0)
    drafted_at = models.DateTimeField(default=timezone.now)
    finalised_at = models.DateTimeField(null=True, blank=True)
    finalised_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-month", "client", "user"]
        constraints = [
            models.UniqueConstraint(fields=["client", "user", "month"], name="statement_key"),
            models.CheckConstraint(
                condition=Q(state="draft", finalised_at=None) | Q(state="final", finalised_at__isnull=False),
                name="statement_final_has_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.client}{f': {self.user}' if self.user else ''}"

    @property
    def number(self) -> str:
        return f"S-{self.month:%Y%m}-{self.pk:06d}"

    @property
    def is_final(self) -> bool:
        return self.state == self.State.FINAL

    @property
    def total_sen(self) -> int:
        return in_sen(self.total_micros)

    @property
    def total(self) -> str:
        return ringgit(self.total_sen)

    @property
    def credited_sen(self) -> int:
        return int(self.credit_notes.aggregate(sum=Sum("amount_sen", default=0))["sum"])

    @property
    def balance(self) -> str:
        """The total minus all credit notes, formatted in ringgit."""
        return ringgit(self.total_sen - self.credited_sen)

    def check_final(self, now: datetime) -> None:
        """Raise ``StatementError`` if the statement is already final, or if ``now`` is too early to make it final."""
        if self.is_final:
            raise StatementError(f"{self.number} is final already.")
        if now < end_of_month(self.month) + SETTLING:
            raise StatementError(f"{self.number} cannot be final before its month is over.")

    @transaction.atomic
    def credit(self, amount_sen: int, *, why: str, by: str) -> CreditNote:
        """Write a credit note of ``amount_sen`` sen, and return it.

        ``why``: reason to record.
        ``by``: name of the user who writes the credit note.

        Raise ``StatementError`` if the statement is a draft, if ``why`` is empty, or if the amount is not between 1 sen
        and the balance.
        """
        statement = Statement.objects.select_for_update().get(pk=self.pk)
        if not statement.is_final:
            raise StatementError("A draft needs no credit note. Write the draft again.")
        left_sen = statement.total_sen - statement.credited_sen
        if not 0 < amount_sen <= left_sen:
            raise StatementError(
                f"A credit note on {self.number} must be at least 1 sen and at most {ringgit(left_sen)}."
            )
        if not why.strip():
            raise StatementError("A credit note needs a reason.")
        return CreditNote.objects.create(statement=statement, amount_sen=amount_sen, why=why.strip(), by=by)


class StatementLine(models.Model):
    """The charge for one kind of work under one plan.

    ``units``: usage in milliseconds or characters.
    ``included_units``: number of these units that the plan includes.
    ``price_micros``: price of ``PER`` units (a minute or 1,000 characters), in millionths of a ringgit.
    ``amount_micros``: amount to pay, in millionths of a ringgit.
    """

    statement = models.ForeignKey(Statement, on_delete=models.CASCADE, related_name="lines")
    plan = models.CharField(max_length=64, blank=True)
    kind = models.CharField(max_length=16, choices=[(kind.value, kind.name.capitalize()) for kind in Kind])
    units = models.BigIntegerField()
    included_units = models.BigIntegerField()
    price_micros = models.BigIntegerField()
    amount_micros = models.BigIntegerField()

    class Meta:
        ordering = ["plan", "kind", "price_micros"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.plan or 'no plan'}"

    @property
    def measure(self) -> Measure:
        return Kind(self.kind).measure

    @property
    def charged_units(self) -> int:
        return self.units - self.included_units

    @property
    def unit_name(self) -> str:
        return "minutes" if self.measure is Measure.AUDIO else "characters"

    def in_words(self) -> dict[str, Any]:
        """Return the line formatted for display and CSV.

        Audio is in minutes with three decimals, text in characters, and money in ringgit with six decimals.
        """
        return {
            "kind": self.get_kind_display(),
            "plan": self.plan,
            "unit": self.unit_name,
            "quantity": self._amount(self.units),
            "included": self._amount(self.included_units),
            "charged": self._amount(self.charged_units),
            "price": decimal(self.price_micros, 6),
            "price_per": "minute" if self.measure is Measure.AUDIO else "1,000 characters",
            "amount": decimal(self.amount_micros, 6),
        }

    def _amount(self, units: int) -> str:
        if self.measure is Measure.CHARACTERS:
            return str(units)
        return decimal((units * 1000 + MS_PER_MINUTE // 2) // MS_PER_MINUTE, 3)


class CreditNote(models.Model):
    """A refund on a final statement. Credit notes are never changed."""

    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="credit_notes")
    amount_sen = models.PositiveBigIntegerField()
    why = models.CharField(max_length=300)
    by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.CheckConstraint(condition=Q(amount_sen__gt=0), name="credit_note_above_zero")]

    def __str__(self) -> str:
        return f"{self.number} on {self.statement.number}"

    @property
    def number(self) -> str:
        return f"C-{self.pk:06d}"

    @property
    def amount(self) -> str:
        return ringgit(self.amount_sen)
