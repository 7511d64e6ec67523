"""Make the three flags parts of one flag for voice. Nobody loses a part that they had.

The percentage of voice is the largest percentage of the parts. A part with that percentage is now on for all who have
voice, and a part with a smaller percentage keeps it. End users whom a part's own queue had selected keep the part
(``kept_percent``), up to the percentage of voice. The allow-lists, cohorts and accounts of the parts apply to voice
too, because nobody has a part without voice. Ramps of the largest parts become ramps of voice.
"""

from decimal import Decimal

from django.db import migrations
from django.utils import timezone

VOICE, PARTS = "voice", ("asr", "tts", "realtime")
ALL, NONE = Decimal(100), Decimal(0)
WHY = "The three flags became parts of one. Who had a part keeps it."


def make_voice(apps, _schema_editor):
    Flag = apps.get_model("rollout", "Flag")
    parts = list(Flag.objects.filter(name__in=PARTS))
    widest = max((part.kept_percent or NONE for part in parts), default=NONE)
    everyone = True if any(part.everyone for part in parts) else None
    voice, is_new = Flag.objects.get_or_create(
        name=VOICE, defaults={"note": "Voice", "percent": widest, "everyone": everyone}
    )
    if not is_new:
        return
    for part in parts:
        part.percent = None if _had(part) == max(map(_had, parts)) else part.kept_percent or NONE
        part.save(update_fields=["percent"])
    _share(apps, voice, parts)
    _name(apps, voice, parts)
    _ramp(apps, voice, parts)
    if widest or everyone:
        after = {"percent": f"{widest.normalize():f}", "everyone": everyone, "parts": ", ".join(PARTS)}
        apps.get_model("rollout", "Change").objects.create(
            who="migrate", subject=VOICE, before={}, after=after, why=WHY
        )


def _had(part):
    return ALL if part.everyone else part.kept_percent or NONE


def _share(apps, voice, parts):
    """Set the percentages of each client application that has percentages of its own.

    Voice gets the largest percentage of the parts. Parts with that percentage get 100 %, and the others are unchanged.
    """
    ClientShare = apps.get_model("rollout", "ClientShare")
    own = {(row.flag_id, row.client_id): row for row in ClientShare.objects.all()}
    for client_id in {client_id for _flag_id, client_id in own}:
        rows = {part.pk: own.get((part.pk, client_id)) for part in parts}
        percents = {part.pk: row.kept_percent if (row := rows[part.pk]) else part.kept_percent or NONE for part in parts}
        had = {part.pk: ALL if part.everyone else percents[part.pk] for part in parts}
        ClientShare.objects.create(flag=voice, client_id=client_id, percent=max(percents.values()))
        for flag_id, percent in percents.items():
            is_widest = had[flag_id] == max(had.values())
            ClientShare.objects.update_or_create(
                flag_id=flag_id,
                client_id=client_id,
                defaults={"percent": ALL if is_widest else percent, "kept_percent": percent},
            )


def _name(apps, voice, parts):
    """Copy the allow-lists, cohorts and accounts of the parts to voice."""
    ListedUser = apps.get_model("rollout", "ListedUser")
    voice.staff = any(part.staff for part in parts)
    voice.superusers = any(part.superusers for part in parts)
    voice.save()
    for part in parts:
        voice.users.add(*part.users.all())
        voice.groups.add(*part.groups.all())
        voice.cohorts.add(*part.cohorts.all())
    for row in ListedUser.objects.filter(flag__in=parts, list="allow").order_by("id"):
        ListedUser.objects.get_or_create(
            flag=voice, client_id=row.client_id, user=row.user, defaults={"list": "allow", "note": row.note}
        )


def _ramp(apps, voice, parts):
    """Turn ramps of the parts with the largest percentage into ramps of voice.

    Only one ramp of voice can be under way: the one at the highest step goes on, and the others are aborted.
    """
    Ramp = apps.get_model("rollout", "Ramp")
    moved = [part.pk for part in parts if part.percent is None]
    Ramp.objects.filter(flag__in=moved, state="draft").update(flag=voice)
    under_way = Ramp.objects.filter(flag__in=moved, state__in=("running", "paused"))
    farthest, *others = under_way.order_by("-step__percent", "id") or [None]
    if farthest is not None:
        steady = [part.kept_percent or NONE for part in parts if part.pk not in {ramp.flag_id for ramp in under_way}]
        farthest.base_percent = max([farthest.base_percent or NONE, *(had for had in steady if had)])
        farthest.flag = voice
        farthest.save()
    for ramp in others:
        ramp.state, ramp.ended_at = "aborted", timezone.now()
        ramp.reason = f"Voice is one flag now: ramp {farthest.pk} goes on for all of it."
        ramp.save()


class Migration(migrations.Migration):
    dependencies = [
        ("rollout", "0004_voice_columns"),
    ]

    # Waffle's tables, and its rows in django_migrations, stay: version 0.2 looks for them when it starts
    # (``migrate --check``). A later release removes them.
    operations = [
        migrations.RunPython(make_voice, migrations.RunPython.noop),
    ]
