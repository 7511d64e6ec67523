"""Who was served in which week, filled in from the daily roll-ups; how many users a chat has."""

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

from usage.weeks import bit, person, week_of


def fill(apps, _schema_editor):
    DailyUse, UserWeek, FirstUse = (apps.get_model("usage", name) for name in ("DailyUse", "UserWeek", "FirstUse"))
    days, first = {}, {}
    served = DailyUse.objects.filter(requests__gt=models.F("failed")).order_by()
    for day, client_id, user in served.values_list("day", "client_id", "user").iterator():
        someone = (client_id, person(client_id, user))
        week = week_of(day)
        days[(week, *someone)] = days.get((week, *someone), 0) | bit(day)
        first[someone] = min(week, first.get(someone, week))
    UserWeek.objects.bulk_create(
        [UserWeek(week=week, client_id=client, person=number, days=mask) for (week, client, number), mask in days.items()],
        batch_size=1000,
    )
    FirstUse.objects.bulk_create(
        [FirstUse(client_id=client, person=number, week=week) for (client, number), week in first.items()], batch_size=1000
    )


class Migration(migrations.Migration):

    dependencies = [
        ('usage', '0005_live_rows'),
        ('voiceproject', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='ChatUsers',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField(default=django.utils.timezone.localdate, verbose_name='as of')),
                ('users', models.PositiveIntegerField(validators=[django.core.validators.MinValueValidator(1)], verbose_name='chat users')),
                ('note', models.CharField(blank=True, help_text='Where the number comes from.', max_length=200)),
                ('client', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='voiceproject.clientapplication')),
            ],
            options={
                'verbose_name_plural': 'chat users',
                'ordering': ['-day', 'client'],
                'constraints': [models.UniqueConstraint(fields=('client', 'day'), name='chat_users_once_a_day')],
            },
        ),
        migrations.CreateModel(
            name='FirstUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('person', models.BigIntegerField()),
                ('week', models.DateField(help_text='Its Monday')),
                ('client', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='voiceproject.clientapplication')),
            ],
            options={
                'verbose_name_plural': 'first uses',
                'ordering': ['week', 'client', 'person'],
                'indexes': [models.Index(fields=['week'], name='first_use_week')],
                'constraints': [models.UniqueConstraint(fields=('client', 'person'), name='first_use_key')],
            },
        ),
        migrations.CreateModel(
            name='UserWeek',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('week', models.DateField(help_text='Its Monday')),
                ('person', models.BigIntegerField()),
                ('days', models.PositiveSmallIntegerField(help_text='Bits: 1 is Monday, 64 is Sunday')),
                ('client', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='voiceproject.clientapplication')),
            ],
            options={
                'ordering': ['week', 'client', 'person'],
                'permissions': [('view_dashboard', 'Can view the product dashboard')],
                'constraints': [models.UniqueConstraint(fields=('week', 'client', 'person'), name='user_week_key')],
            },
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
