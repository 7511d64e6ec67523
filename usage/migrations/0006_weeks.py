"""Add tables of the days on which people were served, of active and returning people, and of numbers of chat users."""

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import usage.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('usage', '0005_live_rows'),
        ('voiceproject', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='correction',
            name='day',
            field=usage.fields.DayOfRequest(db_index=True, default='2000-01-01', editable=False),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='rating',
            name='day',
            field=usage.fields.DayOfRequest(db_index=True, default='2000-01-01', editable=False),
            preserve_default=False,
        ),
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
            name='CohortWeek',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('first', models.DateField(help_text='Its Monday')),
                ('week', models.DateField(help_text='Its Monday')),
                ('users', models.BigIntegerField(default=0)),
                ('client', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='voiceproject.clientapplication')),
            ],
            options={
                'ordering': ['first', 'week', 'client'],
                'constraints': [models.UniqueConstraint(fields=('first', 'week', 'client'), name='cohort_week_key')],
            },
        ),
        migrations.CreateModel(
            name='DailyActive',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('users', models.BigIntegerField(default=0)),
                ('change_7', models.BigIntegerField(default=0)),
                ('change_30', models.BigIntegerField(default=0)),
                ('client', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='voiceproject.clientapplication')),
            ],
            options={
                'verbose_name_plural': 'daily active',
                'ordering': ['day', 'client'],
                'constraints': [models.UniqueConstraint(fields=('day', 'client'), name='daily_active_key')],
            },
        ),
        migrations.CreateModel(
            name='UserWeek',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('person', models.BigIntegerField()),
                ('week', models.DateField(help_text='Its Monday')),
                ('days', models.PositiveSmallIntegerField(help_text='Bits: 1 is Monday, 64 is Sunday')),
                ('client', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='voiceproject.clientapplication')),
            ],
            options={
                'ordering': ['client', 'person', 'week'],
                'permissions': [('view_dashboard', 'Can view the product dashboard')],
                'constraints': [models.UniqueConstraint(fields=('client', 'person', 'week'), name='user_week_key')],
            },
        ),
    ]
