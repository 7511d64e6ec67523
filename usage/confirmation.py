"""Forms that the admin shows to confirm a change of the ledger or of statements."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from usage.money import decimal


class MonthForm(forms.Form):
    month = forms.DateField(
        input_formats=["%Y-%m"], help_text="For example 2026-11", widget=UnfoldAdminTextInputWidget()
    )


class WhyForm(forms.Form):
    why = forms.CharField(label="Why", max_length=200, widget=UnfoldAdminTextareaWidget({"rows": 2}))


class UnitsForm(WhyForm):
    units = forms.IntegerField(label="Characters", min_value=1, widget=UnfoldAdminIntegerFieldWidget())


class _Scaled(forms.DecimalField):
    """Form field entered in a larger unit than the stored one, such as seconds for milliseconds.

    ``factor`` is the number of stored units in one entered unit.
    """

    def __init__(self, factor: int, places: int, **options: Any) -> None:
        self.factor = factor
        super().__init__(min_value=Decimal(1) / factor, decimal_places=places, **options)
        self.widget = UnfoldAdminTextInputWidget({"inputmode": "decimal"})

    def prepare_value(self, value: Any) -> Any:
        return decimal(value, self.decimal_places or 0) if isinstance(value, int) else value

    def clean(self, value: Any) -> Any:
        amount = super().clean(value)
        return None if amount is None else int(amount * self.factor)


class SecondsForm(WhyForm):
    """Form for an amount of audio: people enter seconds, ``units`` holds milliseconds as the ledger does."""

    units = _Scaled(1000, 3, label="Audio, seconds")


class CreditForm(WhyForm):
    amount_sen = _Scaled(
        100, 2, label="Amount, RM", help_text="It begins with the difference to what the ledger says now."
    )
