"""Roll-ups: tables of sums of ledger rows, by day, by end user and month, and by person and week.

The transactions that write ledger rows also update the roll-ups. ``usage.rebuild`` can rebuild them from the ledger.
"""

from __future__ import annotations

from django.db import models

from core.models import ClientApplication
from usage.entry import Kind, Measure

KINDS = [(kind.value, kind.name.capitalize()) for kind in Kind]
DIMENSIONS = ("feature", "language")
MEASURES = [(measure.value, measure.name.capitalize()) for measure in Measure]


class DailyUse(models.Model):
    """One end user's usage of one kind of work on one day. ``audio_ms`` and ``characters`` are charged amounts."""

    day = models.DateField()
    client = models.ForeignKey(ClientApplication, on_delete=models.PROTECT, related_name="+")
    user = models.CharField(max_length=200)
    kind = models.CharField(max_length=16, choices=KINDS)
    requests = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    audio_ms = models.BigIntegerField(default=0)
    characters = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["day", "client", "user", "kind"]
        constraints = [models.UniqueConstraint(fields=["day", "client", "user", "kind"], name="daily_use_key")]
        indexes = [models.Index(fields=["client", "user", "day"], name="daily_use_of_user")]
        verbose_name_plural = "daily use"

    def __str__(self) -> str:
        return f"{self.day} {self.user} {self.kind}"


class DailyMix(models.Model):
    """A day's requests by client application, kind, model, voice, language and outcome.

    ``error_code``: error code of the outcome; "" for success.
    ``audio_ms``, ``characters``: charged amounts.
    ``queue_ms``, ``total_ms``: sums over the requests.
    """

    day = models.DateField()
    client = models.ForeignKey(ClientApplication, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=16, choices=KINDS)
    model = models.CharField(max_length=200)
    voice = models.CharField(max_length=200)
    language = models.CharField(max_length=35)
    error_code = models.CharField(max_length=64)
    requests = models.BigIntegerField(default=0)
    audio_ms = models.BigIntegerField(default=0)
    characters = models.BigIntegerField(default=0)
    queue_ms = models.BigIntegerField(default=0)
    total_ms = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["day", "client", "kind"]
        constraints = [
            models.UniqueConstraint(
                fields=["day", "client", "kind", "model", "voice", "language", "error_code"], name="daily_mix_key"
            )
        ]
        verbose_name_plural = "daily mix"

    def __str__(self) -> str:
        return f"{self.day} {self.kind}"


class DailyLatency(models.Model):
    """One bucket of the histogram of response times of a day's successful requests, excluding live streams.

    ``requests``: number of requests that took at most ``ceiling_ms``, but longer than the next lower bucket's ceiling.
    """

    day = models.DateField()
    client = models.ForeignKey(ClientApplication, on_delete=models.PROTECT, related_name="+", db_index=False)
    kind = models.CharField(max_length=16, choices=KINDS)
    language = models.CharField(max_length=35)
    ceiling_ms = models.PositiveIntegerField()
    requests = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["day", "kind", "ceiling_ms"]
        constraints = [
            models.UniqueConstraint(
                fields=["day", "client", "kind", "language", "ceiling_ms"], name="daily_latency_key"
            )
        ]
        verbose_name_plural = "daily latency"

    def __str__(self) -> str:
        return f"{self.day} {self.kind} {self.ceiling_ms}"


class ByFeatureAndLanguage(models.Model):
    """Base class of tables that count people by feature and language.

    Counts of people cannot be added up, because somebody who used two features would count twice. So there are extra
    rows for all features together (``feature`` is empty) and for all languages together (``language`` is empty).
    """

    feature = models.CharField(max_length=16, default="", blank=True)
    language = models.CharField(max_length=35, default="", blank=True)

    class Meta:
        abstract = True


class UserWeek(ByFeatureAndLanguage):
    """The days of a week on which a person was served.

    ``person``: number that identifies the person (see ``usage.activity.person``).
    """

    client = models.ForeignKey(ClientApplication, on_delete=models.PROTECT, related_name="+", db_index=False)
    person = models.BigIntegerField()
    week = models.DateField(help_text="Its Monday")
    days = models.PositiveSmallIntegerField(help_text="Bits: 1 is Monday, 64 is Sunday")

    class Meta:
        ordering = ["client", "person", "week"]
        constraints = [
            models.UniqueConstraint(fields=["client", "person", "week", *DIMENSIONS], name="user_week_key"),
        ]
        permissions = [("view_dashboard", "Can view the product dashboard")]

    def __str__(self) -> str:
        return f"{self.week} {self.person}"


class DailyActive(ByFeatureAndLanguage):
    """The number of people served on a day, and the day's changes in the numbers of people active in 7 and 30 days.

    The sum of ``change_7`` over all days up to a day is the number of people served in the 7 days that end on that day.
    ``change_30`` is the same for 30 days.
    """

    day = models.DateField()
    client = models.ForeignKey(ClientApplication, on_delete=models.PROTECT, related_name="+")
    users = models.BigIntegerField(default=0)
    change_7 = models.BigIntegerField(default=0)
    change_30 = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["day", "client"]
        constraints = [models.UniqueConstraint(fields=["day", "client", *DIMENSIONS], name="daily_active_key")]
        verbose_name_plural = "daily active"

    def __str__(self) -> str:
        return f"{self.day} {self.users}"


class CohortWeek(ByFeatureAndLanguage):
    """The number of people who were first served in the week ``first`` and were also served in the week ``week``."""

    first = models.DateField(help_text="Its Monday")
    week = models.DateField(help_text="Its Monday")
    client = models.ForeignKey(ClientApplication, on_delete=models.PROTECT, related_name="+")
    users = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["first", "week", "client"]
        constraints = [models.UniqueConstraint(fields=["first", "week", "client", *DIMENSIONS], name="cohort_week_key")]

    def __str__(self) -> str:
        return f"{self.first} {self.week} {self.users}"


class Consumption(models.Model):
    """The numbers of used units, and of units reserved for work under way, in an end user's quota for a month.

    Units are milliseconds of audio or characters of text, depending on ``measure``.
    """

    client = models.ForeignKey(ClientApplication, on_delete=models.PROTECT, related_name="+")
    user = models.CharField(max_length=200)
    month = models.DateField(help_text="Its first day")
    measure = models.CharField(max_length=16, choices=MEASURES)
    used = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["-month", "client", "user", "measure"]
        constraints = [models.UniqueConstraint(fields=["client", "user", "month", "measure"], name="consumption_key")]
        indexes = [models.Index(fields=["month"], name="consumption_month")]
        verbose_name_plural = "consumption"

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} {self.user} {self.measure}"

    @classmethod
    def serves_many(cls, client_id: int) -> bool:
        """Return True if the client application has named an end user in any request that used or reserved quota.

        Its API key is then assumed to serve many end users, so a request for a browser token must name the end user.
        """
        return cls.objects.filter(client_id=client_id).exclude(user__startswith="key:").exists()


class ReservedQuota(models.Model):
    """Quota reserved for work under way.

    It is freed when the work's ledger row is written. If no row is written, it may be freed after ``expires_at``.
    """

    key = models.CharField(max_length=32, primary_key=True)
    consumption = models.ForeignKey(Consumption, on_delete=models.CASCADE, related_name="reservations")
    units = models.BigIntegerField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "reserved quota"

    def __str__(self) -> str:
        return self.key
