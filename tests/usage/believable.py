"""Write a small history for the dashboard's tests: some weeks of users who come, stay and leave."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone

from capacity.models import ActiveUsers, HourlyPeak, ProbeDay
from core.models import ClientApplication
from rollout.models import Flag
from usage.entry import Kind
from usage.ledger_posting import write
from usage.models import ChatUsers, Correction, InfrastructureCost, LedgerEntry, Rating

KL = ZoneInfo("Asia/Kuala_Lumpur")
LANGUAGES = ["ms"] * 12 + ["en"] * 5 + ["zh"] * 2 + ["ta"]
VOICES = {"ms": ["ms-aminah", "ms-hakim"], "en": ["en-grace"], "zh": ["zh-mei"], "ta": ["ta-priya"]}
OUTCOMES = [(200, "")] * 180 + [
    (503, "over_capacity"),
    (500, "internal_error"),
    (429, "quota_exceeded"),
    (403, "voice_not_enabled"),
    (400, "invalid_audio"),
    (499, "client_closed_request"),
]


def history(last: date, days: int, *, people: int = 60, seed: int = 7) -> None:
    """Write the ledger with its roll-ups, and the data that the capacity app would have measured.

    ``last``: the last day of the history.
    ``days``: the length of the history in days.
    ``people``: the number of users.
    """
    chance = random.Random(seed)
    chat, web = (
        ClientApplication.objects.get_or_create(name=name, defaults={"description": "believable"})[0]
        for name in ("chat-android", "chat-web")
    )
    rows = list(_requests(chance, last, days, people, [chat, chat, web]))
    for start in range(0, len(rows), 500):
        with transaction.atomic():
            write(rows[start : start + 500])
    _opinions(chance, rows)
    _capacity(chance, last, days, people)
    ChatUsers.objects.get_or_create(
        client=chat,
        day=last - timedelta(days=days),
        defaults={"users": people * 12, "note": "as the app's team counts"},
    )
    ChatUsers.objects.get_or_create(client=web, day=last - timedelta(days=days), defaults={"users": people * 4})
    InfrastructureCost.objects.update(starts_at=timezone.now() - timedelta(days=days + 30))
    Flag.objects.filter(name="voice", everyone=None).update(percent=7)


def _requests(
    chance: random.Random, last: date, days: int, people: int, clients: list[ClientApplication]
) -> Iterator[LedgerEntry]:
    latest = timezone.now() - timedelta(minutes=1)
    for number in range(people):
        began = int(days * (number / people) ** 0.8)
        stays = chance.choice([0.9, 0.97, 0.995])  # daily probability of staying a user
        likes = chance.uniform(0.15, 0.6)
        client = chance.choice(clients)
        language = chance.choice(LANGUAGES)
        for offset in range(began, days):
            if chance.random() > stays:
                break
            day = last - timedelta(days=days - 1 - offset)
            weekend = 0.6 if day.weekday() >= 5 else 1.0
            if offset != began and chance.random() > likes * weekend:
                continue
            for _ in range(chance.randint(1, 5)):
                hour = min(23, max(0, round(chance.gauss(15, 5))))
                at = datetime.combine(day, time(hour, chance.randrange(60)), KL)
                if at < latest:
                    yield _request(chance, client, f"user-{number:04}", language, at)


def _request(chance: random.Random, client: ClientApplication, user: str, language: str, at: datetime) -> LedgerEntry:
    kind = chance.choice([Kind.TRANSCRIPTION] * 5 + [Kind.SPEECH] * 4 + [Kind.REALTIME])
    status, code = chance.choice(OUTCOMES)
    works = status in (200, 499)
    is_speech = kind is Kind.SPEECH
    return LedgerEntry(
        request_id=f"req-{chance.randrange(10**9)}",
        kind=kind.value,
        client=client,
        user=user,
        status=status,
        error_code=code,
        language=language,
        model="piper" if is_speech else "small",
        voice=chance.choice(VOICES[language]) if is_speech else "",
        audio_ms=0 if is_speech or not works else chance.randint(1500, 60_000 if kind is Kind.REALTIME else 15_000),
        characters=chance.randint(20, 400) if is_speech and works else 0,
        is_live=kind is Kind.REALTIME,
        queue_ms=chance.randrange(40),
        total_ms=round(chance.lognormvariate(6.2 if is_speech else 6.6, 0.45)),
        created_at=at,
    )


def _opinions(chance: random.Random, rows: list[LedgerEntry]) -> None:
    heard = [row for row in rows if row.status == 200 and row.kind == "transcription"]
    spoken = [row for row in rows if row.status == 200 and row.kind == "speech"]
    Correction.objects.bulk_create(
        Correction(entry=row, word_error_rate=max(0.0, chance.gauss(0.11, 0.08)), reference_words=chance.randint(4, 25))
        for row in chance.sample(heard, len(heard) // 8)
    )
    Rating.objects.bulk_create(
        Rating(entry=row, score=chance.choice([3, 4, 4, 4, 5, 5, 5])) for row in chance.sample(spoken, len(spoken) // 6)
    )


def _capacity(chance: random.Random, last: date, days: int, people: int) -> None:
    for offset in range(days):
        day = last - timedelta(days=days - 1 - offset)
        grown = 2 + offset / days * people / 8
        for hour in (9, 13, 20):
            asr, tts = (round(grown * chance.uniform(0.6, 1.2)) for _ in range(2))
            at = datetime.combine(day, time(hour), KL)
            HourlyPeak.objects.get_or_create(
                hour=at, defaults={"users": asr + tts // 2, "asr_users": asr, "tts_users": tts}
            )
        ProbeDay.objects.get_or_create(day=day, defaults={"probes": 5760, "failures": 30 if offset % 30 == 11 else 0})
        served = LedgerEntry.objects.filter(status=200, created_at__lte=datetime.combine(day, time.max, KL))
        served = served.filter(created_at__gt=datetime.combine(day - timedelta(days=30), time.max, KL))
        number = served.order_by().values("client_id", "user").distinct().count()
        ActiveUsers.objects.get_or_create(day=day, defaults={"users": number})
