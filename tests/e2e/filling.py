"""Write users, usage and alerts to the database of a service, as after an ordinary day.

    VOICE_STATE_DIR=... python -m tests.e2e.filling people|day|steady|rush

``fill`` says what each of these words writes.
"""

from __future__ import annotations

import math
import shutil
import sys
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tests import services
from tests.services import Served

PASSWORD = "rahsia-ujian"
OPERATOR = "siti"
PRODUCT_MANAGER = "farid"
STEP = timedelta(minutes=5)


def fill(service: Served, what: str) -> None:
    """Write data to the database of a running service.

    ``what`` is one of these:

    - ``people``: an operator and a product manager;
    - ``day``: also past usage and alerts, a running ramp, and so many current users that a warning fires;
    - ``steady``: the same as ``day``, without the ramp;
    - ``rush``: so many current users that a critical alert fires.
    """
    services.run_python(service.log.parent / "state", "-m", "tests.e2e.filling", what)


def give(folder: Path, what: str) -> None:
    """Copy a filled state directory into ``folder``, for a service that will start later.

    The data is made only once and shared by all workers. ``what`` has the same meaning as for ``fill``.
    """

    def make(state: Path) -> None:
        shutil.copytree(services.state_of_the_demo(), state, dirs_exist_ok=True)
        services.run_python(state, "-m", "tests.e2e.filling", what)

    shutil.copytree(services.made_once(f"filled-{what}", make), folder / "state")


def run(service: Served, program: str) -> None:
    """Run Python code in the settings and with the database of a service."""
    services.run_python(service.log.parent / "state", "manage.py", "shell", "--no-imports", "-c", program)


def make_people() -> None:
    from django.contrib.auth.models import Group, User

    from rollout import roles

    for name, role in ((OPERATOR, roles.OPERATORS), (PRODUCT_MANAGER, roles.PRODUCT)):
        user = User.objects.create_user(name, password=PASSWORD, is_staff=True)
        user.groups.add(Group.objects.get(name=role))


def make_load(users: int) -> None:
    """Make it look as if another process were serving ``users`` concurrent users for the next hour.

    The warning about the number of users then fires at once.
    """
    from django.utils import timezone

    from capacity.models import ProcessLease, Rule
    from capacity.presence import Presence

    people = [f"1:user-{number}" for number in range(users)]
    half = users * 3 // 5
    presence = Presence(frozenset(people[:half]), frozenset(people[half - 6 :]), frozenset(people), 58.0)
    ProcessLease.objects.create(
        process="pod-2:1:0a1b2c3d", served=presence.as_json(), expires_at=timezone.now() + timedelta(hours=1)
    )
    Rule.objects.filter(severity=Rule.Severity.WARNING, metric="users").update(pending_for=timedelta(0))


def make_rush(users: int) -> None:
    """Do the same as ``make_load``, but let the critical alert about the number of users also fire at once."""
    from capacity.models import ProcessLease, Rule

    Rule.objects.filter(severity=Rule.Severity.CRITICAL, metric="users").update(pending_for=timedelta(0))
    ProcessLease.objects.filter(process="pod-2:1:0a1b2c3d").delete()
    make_load(users)


def make_day(now: datetime) -> None:
    """Write samples of yesterday and today, peaks and active users of thirteen weeks, and the probes of a month."""
    from django.utils import timezone

    from capacity.models import ActiveUsers, HourlyPeak, ProbeDay, Sample

    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    moments = [midnight + number * STEP for number in range((now - midnight) // STEP)]
    samples = []
    for moment in moments:
        users = round(_load(moment) * (1.0 if moment.date() == midnight.date() else 1.08))
        samples.append(
            Sample(
                at=moment,
                users=users,
                asr_users=users * 3 // 5,
                tts_users=users // 2,
                requests=users * 9,
                asr_p95_s=0.6 + users / 70,
                tts_p95_s=0.8 + users / 60,
                error_percent=0.3,
                gpu_percent=users * 0.9,
                month_cost_usd=764.0,
            )
        )
    Sample.objects.bulk_create(samples, ignore_conflicts=True)
    hour = now.replace(minute=0, second=0, microsecond=0)
    HourlyPeak.objects.bulk_create(
        [
            HourlyPeak(hour=at, users=users, asr_users=users * 3 // 5, tts_users=users // 2)
            for number in range(1, 91 * 24)
            if (at := hour - timedelta(hours=number)) and (users := round(_load(at) * (1 - number / 24 / 150))) >= 0
        ],
        ignore_conflicts=True,
    )
    today = timezone.localdate(now)
    ActiveUsers.objects.bulk_create(
        [ActiveUsers(day=today - timedelta(weeks=week), users=round(2_310 * 0.94**week)) for week in range(13)],
        ignore_conflicts=True,
    )
    for number in range(1, 31):
        ProbeDay.objects.get_or_create(
            day=today - timedelta(days=number), defaults={"probes": 5_760, "failures": 12 if number == 3 else 0}
        )


def _load(moment: datetime) -> float:
    """Return the number of concurrent users on an ordinary day, with peaks at noon and in the evening."""
    from django.utils import timezone

    local = timezone.localtime(moment)
    hour = local.hour + local.minute / 60
    noise = math.sin(hour * 41.0) + math.sin(hour * 97.3 + local.day) + math.sin(hour * 17.7 + 2 * local.day)
    humps = 34 * math.exp(-(((hour - 11.5) / 3.2) ** 2)) + 52 * math.exp(-(((hour - 20.5) / 2.4) ** 2))
    return 3 + humps * (1 + 0.035 * noise)


def make_traffic(now: datetime) -> None:
    """Write requests from ten minutes before ``now`` to ten minutes after it, and a month of usage, with costs."""
    from django.db import transaction

    from core.models import ApiKey, ClientApplication
    from usage.entry import Kind
    from usage.ledger_posting import write
    from usage.models import InfrastructureCost, LedgerEntry

    chat, _created = ClientApplication.objects.get_or_create(
        name="chat", defaults={"description": "The chat assistant's front end"}
    )
    ApiKey.issue(chat, label="production")
    ApiKey.issue(chat, label="staging")[0].revoke()
    rows = []
    for number in range(600):
        at = now - timedelta(minutes=10) + timedelta(seconds=2 * number)
        is_speech = number % 2 == 0
        status = 503 if number % 150 == 7 else 200
        rows.append(
            LedgerEntry(
                request_id=f"req_{number:06d}",
                client=chat,
                user=f"user-{number * 37 % 400}",
                created_at=at,
                kind=(Kind.SPEECH if is_speech else Kind.TRANSCRIPTION).value,
                status=status,
                error_code="" if status == 200 else "over_capacity",
                language="ms",
                model="tts-1" if is_speech else "whisper-1",
                voice="alloy" if is_speech else "",
                characters=140 if is_speech else 0,
                audio_ms=0 if is_speech else 4_200,
                total_ms=700 + number * 7919 % 900,
                queue_ms=number * 31 % 200,
            )
        )
    for number in range(2_400):  # the other requests of the month
        is_speech = number % 2 == 0
        rows.append(
            LedgerEntry(
                request_id=f"past_{number:06d}",
                client=chat,
                user=f"user-{number}",
                status=200,
                language="ms",
                kind=(Kind.SPEECH if is_speech else Kind.TRANSCRIPTION).value,
                total_ms=900,
                created_at=now - timedelta(hours=1, minutes=number * 15),
                model="tts-1" if is_speech else "whisper-1",
                characters=9_000 if is_speech else 0,
                audio_ms=0 if is_speech else 150_000_000,
            )
        )
    InfrastructureCost.objects.update(starts_at=now - timedelta(days=90), quantity=2)
    with transaction.atomic():
        write(rows)


def make_rollout(*, is_ramping: bool) -> None:
    from django.utils import timezone

    from core.audit import acting
    from core.models import ClientApplication
    from rollout import ramp as ramps
    from rollout.models import ClientShare, Cohort, Flag, ListedUser, Ramp

    with acting(OPERATOR, "Growth as planned"):
        for name, percent in (("voice", 5), ("realtime", 2)):
            flag = Flag.objects.get(name=name)
            flag.percent = percent
            flag.save()
        voice = Flag.objects.get(name="voice")
        if is_ramping:
            ramp = ramps.create(voice, [(Decimal(7), timedelta(days=2)), (Decimal(10), timedelta(days=3))])
            ramps.start(ramp.pk, timezone.now(), "Growth as planned")
            Ramp.objects.filter(pk=ramp.pk).update(watched_s=16.5 * 3600)
        demo, _is_new = ClientApplication.objects.get_or_create(name="demo")
        ClientShare.objects.create(flag=voice, client=demo, percent=100)  # for people who try the demo
        pilot = Cohort.objects.create(name="pilot", note="Colleagues who try it first")
        pilot.add([f"user-{number}" for number in range(120)])
        voice.cohorts.add(pilot)
        ListedUser.objects.create(flag=voice, user="aminah", list="allow", note="Asked for it")
        ListedUser.objects.create(flag=voice, user="bot-7", list="deny", note="A script, not a person")


def make_alerts(now: datetime) -> None:
    """Write past alerts. Current alerts are raised by the watcher itself, because of the load."""
    from capacity.models import Alert, Rule

    for hours, severity, metric, value, by in (
        (5, "warning", "p95_s", 3.4, OPERATOR),
        (29, "critical", "users", 86, OPERATOR),
        (29, "warning", "users", 86, ""),
        (76, "warning", "error_percent", 2.6, ""),
    ):
        rule = Rule.objects.get(severity=severity, metric=metric)
        since = now - timedelta(hours=hours)
        Alert.of(
            rule,
            state=Alert.State.RESOLVED,
            since=since,
            fired_at=since + timedelta(seconds=30),
            resolved_at=since + timedelta(minutes=22),
            evaluated_at=since + timedelta(minutes=22),
            value=rule.clear_level * 0.9,
            worst=value,
            acknowledged_by=by,
            acknowledged_at=since + timedelta(minutes=4) if by else None,
            outcome="Back below.",
        ).save()


def main(what: str) -> None:
    import django

    django.setup()
    from django.utils import timezone

    if what == "rush":
        make_rush(91)
        return
    now = timezone.now()
    make_people()
    if what == "people":
        return
    make_day(now)
    make_traffic(now)
    make_rollout(is_ramping=what == "day")
    make_alerts(now)
    make_load(67)


if __name__ == "__main__":
    main(sys.argv[1])
