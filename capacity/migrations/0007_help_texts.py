"""Change help texts. The database does not change."""

import datetime
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("capacity", "0006_test_notifications"),
    ]

    operations = [
        migrations.AlterField(
            model_name="alert",
            name="clear_since",
            field=models.DateTimeField(
                help_text="Since when the value has been below the threshold while the alert fires.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="alert",
            name="metric",
            field=models.CharField(
                choices=[
                    ("users", "Concurrent users"),
                    ("p95_s", "p95 response, seconds"),
                    ("error_percent", "Error rate, %"),
                    ("gpu_percent", "GPU utilisation, %"),
                    ("month_cost_usd", "Monthly cost, USD"),
                ],
                db_default="",
                help_text="That of the rule when the alert fired.",
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="alert",
            name="notified_at",
            field=models.DateTimeField(help_text="When the last notification was queued.", null=True),
        ),
        migrations.AlterField(
            model_name="alert",
            name="severity",
            field=models.CharField(
                choices=[("critical", "Critical"), ("warning", "Warning")],
                db_default="",
                help_text="That of the rule when the alert fired.",
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="alert",
            name="threshold",
            field=models.FloatField(
                db_default=0, help_text="That of the rule when the alert fired, in the phase then."
            ),
        ),
        migrations.AlterField(
            model_name="alert",
            name="value",
            field=models.FloatField(help_text="The value at the last evaluation.", null=True),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="alert",
            field=models.ForeignKey(
                help_text="Empty for a test notification.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="deliveries",
                to="capacity.alert",
            ),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="receiver",
            field=models.CharField(help_text="For a webhook only its host, because the URL is secret.", max_length=300),
        ),
        migrations.AlterField(
            model_name="hourlypeak",
            name="hour",
            field=models.DateTimeField(help_text="The beginning of the hour.", unique=True),
        ),
        migrations.AlterField(
            model_name="loadtestrun",
            name="concurrent_users",
            field=models.PositiveIntegerField(help_text="Highest number of users present at the same time."),
        ),
        migrations.AlterField(
            model_name="loadtestrun",
            name="duration_s",
            field=models.FloatField(help_text="Time with all users present.", verbose_name="duration, seconds"),
        ),
        migrations.AlterField(
            model_name="loadtestrun",
            name="is_closed_loop",
            field=models.BooleanField(
                default=False, help_text="Users made no pause between requests.", verbose_name="closed loop"
            ),
        ),
        migrations.AlterField(
            model_name="loadtestrun",
            name="is_complete",
            field=models.BooleanField(
                default=True, help_text="Whether the run was not interrupted.", verbose_name="complete"
            ),
        ),
        migrations.AlterField(
            model_name="loadtestrun",
            name="passed",
            field=models.BooleanField(help_text="Whether every criterion was met."),
        ),
        migrations.AlterField(
            model_name="loadtestrun",
            name="time_scale",
            field=models.FloatField(help_text="Factor for the scenario's duration; 1 is its full duration."),
        ),
        migrations.AlterField(
            model_name="outage",
            name="began_at",
            field=models.DateTimeField(help_text="Time of the first failed probe."),
        ),
        migrations.AlterField(
            model_name="outage",
            name="ended_at",
            field=models.DateTimeField(help_text="Time of the first successful probe after that.", null=True),
        ),
        migrations.AlterField(
            model_name="outage",
            name="seen_at",
            field=models.DateTimeField(help_text="Time of the last failed probe."),
        ),
        migrations.AlterField(
            model_name="rule",
            name="clear_for",
            field=models.DurationField(
                default=datetime.timedelta(seconds=120),
                help_text="Time that the value must be below the threshold, by the margin, before the alert is resolved.",
                validators=[django.core.validators.MinValueValidator(datetime.timedelta(0))],
            ),
        ),
        migrations.AlterField(
            model_name="rule",
            name="least_requests",
            field=models.PositiveIntegerField(
                default=20, help_text="For response times and error rates: with fewer requests the rule has no data."
            ),
        ),
        migrations.AlterField(
            model_name="rule",
            name="margin_percent",
            field=models.FloatField(
                default=10,
                help_text="An alert is resolved only this many percent below the threshold, so that it does not flap.",
                validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(100)],
            ),
        ),
        migrations.AlterField(
            model_name="rule",
            name="pending_for",
            field=models.DurationField(
                default=datetime.timedelta(seconds=30),
                help_text="Time that the value must be above the threshold before the alert fires.",
                validators=[django.core.validators.MinValueValidator(datetime.timedelta(0))],
            ),
        ),
        migrations.AlterField(
            model_name="rule",
            name="phase_percent",
            field=models.FloatField(
                blank=True,
                help_text="For users and cost: percentage of the upper limit of the phase in VOICE_PHASE. It replaces the threshold if it is higher. If empty, the threshold applies in every phase.",
                null=True,
                validators=[django.core.validators.MinValueValidator(0)],
                verbose_name="of the phase, %",
            ),
        ),
        migrations.AlterField(
            model_name="rule",
            name="silenced_until",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="No notifications are sent until then. Alerts still fire and roll ramps back.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="rule",
            name="threshold",
            field=models.FloatField(
                help_text="Values above this cause an alert.", validators=[django.core.validators.MinValueValidator(0)]
            ),
        ),
        migrations.AlterField(
            model_name="sample",
            name="gpu_memory_percent",
            field=models.FloatField(
                help_text="Memory in use of the fullest GPU.", null=True, verbose_name="GPU memory, %"
            ),
        ),
        migrations.AlterField(
            model_name="sample",
            name="gpu_percent",
            field=models.FloatField(help_text="Utilisation of the busiest GPU.", null=True, verbose_name="GPU, %"),
        ),
        migrations.AlterField(
            model_name="sample",
            name="month_cost_usd",
            field=models.FloatField(help_text="Forecast of this month's total cost.", null=True),
        ),
    ]
