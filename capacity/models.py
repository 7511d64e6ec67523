"""Capacity tables: leases of processes, leadership, samples, peaks, active users, uptime and load tests.

The tables of alert rules and alerts are in ``capacity.rules``, and that of growth phases in ``capacity.phases``. The
tables are written by:

- every process: its own ``ProcessLease``, unless Redis is configured;
- every watcher (``capacity.watch``): ``Leadership``, unless Redis is configured;
- the leading watcher: all measurements, alerts and notifications;
- operators, in the admin: rules, phases, acknowledgements, silences and test notifications;
- ``manage.py loadtest``: ``LoadTestRun``.
"""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from capacity.phases import Phase
from capacity.rules import Alert, Delivery, Metric, Rule

__all__ = [
    "ActiveUsers",
    "Alert",
    "Delivery",
    "HourlyPeak",
    "Leadership",
    "LoadTestRun",
    "Metric",
    "Outage",
    "Phase",
    "ProbeDay",
    "ProcessLease",
    "Rule",
    "Sample",
]


class ProcessLease(models.Model):
    """The end users that one process serves, valid until ``expires_at``. ``served`` is a ``Presence`` as JSON."""

    process = models.CharField(max_length=200, primary_key=True)
    served = models.JSONField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.process


class Leadership(models.Model):
    """The process (``holder``) that leads in a role until ``expires_at``."""

    role = models.CharField(max_length=50, primary_key=True)
    holder = models.CharField(max_length=200)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.role}: {self.holder}"


class Sample(models.Model):
    """The values measured at one evaluation of the alert rules. None means no data.

    The numbers of users are those of the busiest instant since the previous sample. Requests, errors and response times
    are those of the last 5 minutes.
    """

    at = models.DateTimeField(unique=True)
    users = models.PositiveIntegerField(null=True, help_text="Distinct end users, of ASR and TTS together.")
    asr_users = models.PositiveIntegerField(null=True)
    tts_users = models.PositiveIntegerField(null=True)
    requests = models.PositiveIntegerField(default=0)
    asr_p95_s = models.FloatField("ASR p95, seconds", null=True)
    tts_p95_s = models.FloatField("TTS p95, seconds", null=True)
    error_percent = models.FloatField(null=True)
    gpu_percent = models.FloatField("GPU, %", null=True, help_text="Utilisation of the busiest GPU.")
    gpu_memory_percent = models.FloatField("GPU memory, %", null=True, help_text="Memory in use of the fullest GPU.")
    month_cost_usd = models.FloatField(null=True, help_text="Forecast of this month's total cost.")

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}"


class HourlyPeak(models.Model):
    """The peak of concurrent end users in one hour. Unlike samples, these rows are never deleted."""

    hour = models.DateTimeField(unique=True, help_text="The beginning of the hour.")
    users = models.PositiveIntegerField(default=0)
    asr_users = models.PositiveIntegerField(default=0)
    tts_users = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-hour"]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:%M}: {self.users}"


class ActiveUsers(models.Model):
    """Number of distinct end users served in the 30 days that ended with ``day``."""

    day = models.DateField(unique=True)
    users = models.PositiveIntegerField()

    class Meta:
        ordering = ["-day"]
        verbose_name_plural = "active users"

    def __str__(self) -> str:
        return f"{self.day}: {self.users}"


class ProbeDay(models.Model):
    """Counts of the readiness probes that the service sent to itself on one day."""

    day = models.DateField(unique=True)
    probes = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-day"]

    def __str__(self) -> str:
        return f"{self.day}: {self.probes - self.failures} of {self.probes}"


class Outage(models.Model):
    """A period in which every readiness probe failed."""

    began_at = models.DateTimeField(help_text="Time of the first failed probe.")
    seen_at = models.DateTimeField(help_text="Time of the last failed probe.")
    ended_at = models.DateTimeField(null=True, help_text="Time of the first successful probe after that.")
    reason = models.CharField(max_length=300)

    class Meta:
        ordering = ["-began_at"]

    def __str__(self) -> str:
        return f"{self.began_at:%Y-%m-%d %H:%M:%S}: {self.reason}"


class LoadTestRun(models.Model):
    """One run of ``manage.py loadtest``.

    ``report`` has all results that the report shows (``capacity.loadtest_report``), among them:

    - ``kinds``: for each kind of work (``asr``, ``tts``, ``live_asr``, ``live_tts``) the counts ``requests``, ``ok``,
      ``failures``, ``refusals`` and ``hung``, and ``rps``, ``p50_s``, ``p95_s``, ``p99_s`` and ``longest_s``.
    - ``timeline``: for each time step ``at_s`` (from the start), ``users``, ``rps`` and, by kind of work, ``p95_s``.
    - ``criteria``: for each criterion ``name``, ``limit``, ``measured`` and ``verdict``.
    - ``recordings``: the recordings that were sent: ``source``, ``number`` and ``mean_s``. Old runs lack this field.
    - ``memory``: for each process of the server ``mib`` (pairs of seconds and MiB) and ``cores`` (CPU cores in use).
    """

    scenario = models.CharField(max_length=50)
    started_at = models.DateTimeField(db_index=True)
    duration_s = models.FloatField("duration, seconds", help_text="Time with all users present.")
    time_scale = models.FloatField(help_text="Factor for the scenario's duration; 1 is its full duration.")
    concurrent_users = models.PositiveIntegerField(help_text="Highest number of users present at the same time.")
    is_closed_loop = models.BooleanField(
        "closed loop", default=False, help_text="Users made no pause between requests."
    )
    host = models.CharField(max_length=300)
    passed = models.BooleanField(help_text="Whether every criterion was met.")
    is_complete = models.BooleanField("complete", default=True, help_text="Whether the run was not interrupted.")
    report = models.JSONField()

    class Meta:
        ordering = ["-started_at"]

    def __str__(self) -> str:
        scale = "" if self.time_scale == 1 else f" × {self.time_scale:g}"
        return f"{self.scenario}{scale}, {timezone.localtime(self.started_at):%Y-%m-%d %H:%M}"
