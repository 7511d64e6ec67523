"""Write the requests of the demo quarter into the ledger, and update usage totals and quotas as the service does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from django.apps import apps
from django.db import connection
from django.db.models import OuterRef, Subquery

from core.models import ClientApplication
from tools.demo.narrative import CLIENTS, MADE_BY, Quarter
from tools.demo.people import population
from tools.demo.traffic import Request, Traffic
from usage.ledger_posting import roll_up
from usage.models import Correction, LedgerEntry, Rating

BATCH = 5000
ROLLED_UP_AT_ONCE = 50_000  # rows; more would be faster, because each end user's monthly counter is written less often
AT_ONCE = 500  # ids in one query


@dataclass
class Counts:
    """How many rows were written: requests, corrections and ratings."""

    rows: int = 0
    corrections: int = 0
    ratings: int = 0


def make_clients(quarter: Quarter) -> list[ClientApplication]:
    """Return the client applications in the order of ``CLIENTS``, after creating those that do not exist."""
    clients = [
        ClientApplication.objects.get_or_create(name=name, defaults={"description": f"{words}; {MADE_BY}"})[0]
        for name, words, _share in CLIENTS
    ]
    made = ClientApplication.objects.filter(pk__in=[one.pk for one in clients], description__endswith=MADE_BY)
    made.update(created_at=quarter.midnight(0))
    return clients


def count_chat_users(quarter: Quarter, clients: list[ClientApplication], users: int) -> None:
    """Record the number of chat users of each client application every 30 days. It grows by about 6 % over the quarter.

    ``users``: how many end users have voice at the end of the quarter.
    """
    model = apps.all_models["usage"].get("chatusers")
    if model is None:
        return
    for index in range(0, quarter.days, 30):
        grown = 0.94 + 0.06 * index / quarter.days
        for client, (_name, _words, share) in zip(clients, CLIENTS, strict=True):
            model._default_manager.get_or_create(
                client=client,
                day=quarter.date(index),
                defaults={"users": max(1, round(grown * share * population(users))), "note": "The chat's own count"},
            )


def foreign_rows() -> bool:
    """Return True if the ledger contains requests that seed_demo did not write."""
    return LedgerEntry.objects.exclude(client__description__endswith=MADE_BY).exists()


def own_rows() -> bool:
    """Return True if the ledger contains requests that seed_demo wrote."""
    return LedgerEntry.objects.filter(client__description__endswith=MADE_BY).exists()


def write_days(traffic: Traffic, quarter: Quarter, clients: list[ClientApplication]) -> Counts:
    """Write all requests, corrections and ratings, and return their numbers. Call this within a transaction."""
    counts = Counts()
    rows = []
    for index in range(quarter.days):
        requests = traffic.day(index)
        of_day = [_row(request, clients) for request in requests]
        _insert(of_day)
        _write_feedback(requests, counts)
        counts.rows += len(of_day)
        rows += of_day
        if len(rows) >= ROLLED_UP_AT_ONCE or index == quarter.days - 1:
            roll_up(rows)
            rows = []
    _date_feedback(quarter.midnight(0))
    return counts


def _insert(rows: list[LedgerEntry]) -> None:
    if connection.vendor != "postgresql":
        LedgerEntry.objects.bulk_create(rows, BATCH)
        return
    # COPY is ten times as fast as INSERT, which matters for a million rows.
    columns = [field for field in LedgerEntry._meta.concrete_fields if not field.primary_key]
    names = ", ".join(connection.ops.quote_name(str(field.column)) for field in columns)
    value_of = attrgetter(*(field.attname for field in columns))
    with connection.cursor() as cursor:
        sql = f"COPY {connection.ops.quote_name(LedgerEntry._meta.db_table)} ({names}) FROM STDIN"
        with cursor.copy(sql) as copy:
            for row in rows:
                copy.write_row(value_of(row))


def _row(request: Request, clients: list[ClientApplication]) -> LedgerEntry:
    return LedgerEntry(
        request_id=request.request_id,
        kind=request.kind.value,
        client=clients[request.person.client],
        user=request.person.user,
        model=request.model,
        voice=request.voice,
        language=request.language,
        audio_ms=request.audio_ms,
        characters=request.characters,
        queue_ms=request.queue_ms,
        total_ms=request.total_ms,
        status=request.status,
        error_code=request.error_code,
        is_live=request.is_live,
        created_at=request.at,
    )


def _write_feedback(requests: list[Request], counts: Counts) -> None:
    said = {one.request_id: one for one in requests if one.wer is not None or one.score is not None}
    corrections = []
    ratings = []
    for number in range(0, len(said), AT_ONCE):
        some = list(said)[number : number + AT_ONCE]
        for pk, request_id in LedgerEntry.objects.filter(request_id__in=some).values_list("pk", "request_id"):
            request = said[request_id]
            entry = LedgerEntry(pk=pk, created_at=request.at)  # what saving its feedback needs
            if request.wer is not None:
                rate, words = request.wer
                corrections.append(Correction(entry=entry, word_error_rate=rate, reference_words=words))
            if request.score is not None:
                ratings.append(Rating(entry=entry, score=request.score))
    Correction.objects.bulk_create(corrections)
    Rating.objects.bulk_create(ratings)
    counts.corrections += len(corrections)
    counts.ratings += len(ratings)


def _date_feedback(since: datetime) -> None:
    """Set the time of corrections and ratings to that of their requests, for demo requests since ``since``."""
    made = LedgerEntry.objects.filter(pk=OuterRef("entry_id")).order_by().values("created_at")[:1]
    ours = {"entry__client__description__endswith": MADE_BY, "entry__created_at__gte": since}
    corrections = Correction.objects.filter(**ours).values("pk")
    Correction.objects.filter(pk__in=corrections).update(created_at=Subquery(made))
    ratings = Rating.objects.filter(**ours).values("pk")
    Rating.objects.filter(pk__in=ratings).update(created_at=Subquery(made))
