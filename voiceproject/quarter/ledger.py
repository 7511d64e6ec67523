"""The quarter's requests in the ledger, written as the service writes them: rows, roll-ups and quotas together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Subquery

from usage.books import write
from usage.models import Correction, LedgerEntry, Rating
from voiceproject.models import ClientApplication
from voiceproject.quarter.story import CLIENTS, MADE_BY, Quarter
from voiceproject.quarter.traffic import Request, Traffic

BATCH = 5000


@dataclass
class Counts:
    rows: int = 0
    corrections: int = 0
    ratings: int = 0


def make_clients(quarter: Quarter) -> list[ClientApplication]:
    """In the order of ``CLIENTS``. One that is there by that name is used."""
    clients = [
        ClientApplication.objects.get_or_create(name=name, defaults={"description": f"{words}; {MADE_BY}"})[0]
        for name, words, _share in CLIENTS
    ]
    made = ClientApplication.objects.filter(pk__in=[one.pk for one in clients], description__endswith=MADE_BY)
    made.update(created_at=quarter.midnight(0))
    return clients


def foreign_rows() -> bool:
    """Whether the ledger holds anything that this did not make."""
    return LedgerEntry.objects.exclude(client__description__endswith=MADE_BY).exists()


def own_rows() -> bool:
    return LedgerEntry.objects.filter(client__description__endswith=MADE_BY).exists()


def write_days(traffic: Traffic, quarter: Quarter, clients: list[ClientApplication]) -> Counts:
    """Call it in a transaction."""
    counts = Counts()
    for index in range(quarter.days):
        requests = traffic.day(index)
        rows = [_row(request, clients) for request in requests]
        for start in range(0, len(rows), BATCH):
            write(rows[start : start + BATCH])
        counts.rows += len(rows)
        _write_feedback(requests, rows, counts)
    _date_feedback(quarter.midnight(0))
    return counts


def _row(request: Request, clients: list[ClientApplication]) -> LedgerEntry:
    return LedgerEntry(
        request_id=request.request_id, kind=request.kind.value, client=clients[request.person.client],
        user=request.person.user, model=request.model, voice=request.voice, language=request.language,
        audio_ms=request.audio_ms, characters=request.characters, queue_ms=request.queue_ms, total_ms=request.total_ms,
        status=request.status, error_code=request.error_code, is_live=request.is_live, created_at=request.at,
    )  # fmt: skip


def _write_feedback(requests: list[Request], rows: list[LedgerEntry], counts: Counts) -> None:
    corrections, ratings = [], []
    for request, row in zip(requests, rows, strict=True):
        if request.wer is not None:
            rate, words = request.wer
            corrections.append(Correction(entry=row, word_error_rate=rate, reference_words=words))
        if request.score is not None:
            ratings.append(Rating(entry=row, score=request.score))
    Correction.objects.bulk_create(corrections)
    Rating.objects.bulk_create(ratings)
    counts.corrections += len(corrections)
    counts.ratings += len(ratings)


def _date_feedback(since: datetime) -> None:
    """As old as the request: what was said of it came soon after."""
    made = LedgerEntry.objects.filter(pk=OuterRef("entry_id")).order_by().values("created_at")[:1]
    ours = {"entry__client__description__endswith": MADE_BY, "entry__created_at__gte": since}
    corrections = Correction.objects.filter(**ours).values("pk")
    Correction.objects.filter(pk__in=corrections).update(created_at=Subquery(made))
    ratings = Rating.objects.filter(**ours).values("pk")
    Rating.objects.filter(pk__in=ratings).update(created_at=Subquery(made))
