"""Forms on the confirmation pages of actions that change the ledger or statements."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from core.confirmation import reason_field
from usage.money import decimal
from usage.statements import StatementError, check_month


class MonthForm(forms.Form):
    month = forms.DateField(
        input_formats=["%Y-%m"], help_text="For example 2026-11", widget=UnfoldAdminTextInputWidget()
    )

    def clean_month(self) -> date:
        month: date = self.cleaned_data["month"]
        try:
            check_month(month)
        except StatementError as error:
            raise forms.ValidationError(str(error)) from error
        return month


class CorrectionForm(forms.Form):
    """Base form that asks why a counter-entry or a credit note is written. The reason is stored in it."""

    why = reason_field(max_length=200, help_text="")


class UnitsForm(CorrectionForm):
    units = forms.IntegerField(label="Characters", min_value=1, widget=UnfoldAdminIntegerFieldWidget())


class _Scaled(forms.DecimalField):
    """Form field for an amount that users enter in a larger unit than the stored one (seconds for milliseconds).

    ``factor``: number of stored units in one entered unit.
    ``places``: maximum number of decimal places in the entered amount.
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


class SecondsForm(CorrectionForm):
    """Form for an amount of audio, entered in seconds. The cleaned ``units`` are milliseconds, as in the ledger."""

    units = _Scaled(1000, 3, label="Audio, seconds")


class CreditForm(CorrectionForm):
    amount_sen = _Scaled(
        100, 2, label="Amount, RM", help_text="The proposed amount is the difference from the charges as computed now."
    )
