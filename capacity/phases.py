"""The table of growth phases. ``capacity.phase_outlook`` finds the current one and predicts the next."""

from __future__ import annotations

from django.db import models

from core.audit import Audited


class Phase(Audited):
    """A growth phase: a range of use, and the machines and cost that it needs.

    An upper limit of None means no limit. If the numbers of GPUs or pods are None, they are scaled automatically.
    """

    recorded = (
        "number",
        "name",
        "months",
        "users_from",
        "users_to",
        "concurrent_from",
        "concurrent_to",
        "gpus_from",
        "gpus_to",
        "pods_from",
        "pods_to",
        "cost_from_usd",
        "cost_to_usd",
    )

    number = models.PositiveSmallIntegerField(unique=True)
    name = models.CharField(max_length=50)
    months = models.CharField(max_length=50)
    users_from = models.PositiveIntegerField("voice users from")
    users_to = models.PositiveIntegerField("voice users to", null=True, blank=True)
    concurrent_from = models.PositiveIntegerField("peak concurrent from")
    concurrent_to = models.PositiveIntegerField("peak concurrent to", null=True, blank=True)
    gpus_from = models.PositiveSmallIntegerField("T4 GPUs from", null=True, blank=True)
    gpus_to = models.PositiveSmallIntegerField("T4 GPUs to", null=True, blank=True)
    pods_from = models.PositiveSmallIntegerField("API pods from", null=True, blank=True)
    pods_to = models.PositiveSmallIntegerField("API pods to", null=True, blank=True)
    cost_from_usd = models.PositiveIntegerField("cost from, USD a month")
    cost_to_usd = models.PositiveIntegerField("cost to, USD a month", null=True, blank=True)

    class Meta:
        ordering = ["number"]

    def __str__(self) -> str:
        return f"{self.number} {self.name}"

    def holds(self, users: int, concurrent: int) -> bool:
        """Return True if neither number exceeds the phase's upper limit.

        ``users``: voice users.
        ``concurrent``: peak of concurrent users.
        """
        return (self.users_to is None or users <= self.users_to) and (
            self.concurrent_to is None or concurrent <= self.concurrent_to
        )

    def span(self, what: str) -> str:
        """Return one of the phase's ranges as text, such as ``80–400``.

        ``what``: ``users``, ``concurrent``, ``gpus`` or ``pods``.
        """
        return _span(getattr(self, f"{what}_from"), getattr(self, f"{what}_to"))

    def machines(self) -> str:
        """Describe the machines, for example ``3–4 T4 GPUs, 4–5 API pods``."""
        return ", ".join(
            (_amount(self.gpus_from, self.gpus_to, "T4 GPU"), _amount(self.pods_from, self.pods_to, "API pod"))
        )

    def needs(self) -> str:
        """Describe the machines and the cost, for example ``3–4 T4 GPUs, 4–5 API pods, 1,200–2,000 USD a month``."""
        return f"{self.machines()}, {_span(self.cost_from_usd, self.cost_to_usd)} USD a month"


def _span(low: int, high: int | None) -> str:
    if high is None:
        return f"{low:,}+"
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def _amount(low: int | None, high: int | None, what: str) -> str:
    if low is None:
        return f"{what}s scaled automatically"
    return f"{_span(low, high)} {what}{'s' * ((high or low) != 1)}"
