"""Who was served on which days, week by week, and since when: what adoption and retention are counted from.

A person has a number in place of an id, made from the pseudonym that ``usage.personal`` would give. So these rows name
nobody, and stay one person's when the ledger's old rows get their pseudonyms. Served means: at least one request
succeeded. The same id at two client applications is two people.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from django.db import connection
from django.db.models import F, Min, Q, QuerySet
from django.utils.crypto import salted_hmac

from usage import upsert
from usage.rollups import FirstUse, UserWeek

PSEUDONYM = "gone:"  # how every pseudonym begins
PSEUDONYM_DIGITS = 24  # hexadecimal ones
NUMBER_DIGITS = 15  # 60 bits, which every database has
WHOLE_WEEK = 0b1111111


def pseudonym(client_id: int, user: str) -> str:
    """The same for the same end user, always; it takes the service's secret key to know whose it is."""
    digest = salted_hmac("usage.personal", f"{client_id}\0{user}", algorithm="sha256").hexdigest()
    return f"{PSEUDONYM}{digest[:PSEUDONYM_DIGITS]}"


def person(client_id: int, user: str) -> int:
    """The number of an end user, the same before and after the id has become a pseudonym."""
    if not user.startswith(PSEUDONYM):
        user = pseudonym(client_id, user)
    digits = user.removeprefix(PSEUDONYM)[:NUMBER_DIGITS]
    try:
        return int(digits, 16)
    except ValueError:  # a caller chose an id that only begins like a pseudonym
        return int(pseudonym(client_id, f"{PSEUDONYM}{user}").removeprefix(PSEUDONYM)[:NUMBER_DIGITS], 16)


def week_of(day: date) -> date:
    """Its Monday."""
    return day - timedelta(days=day.weekday())


def bit(day: date) -> int:
    return 1 << day.weekday()


def note(served: Iterable[tuple[date, int, str]]) -> None:
    """Days, client applications and end users. Call it in the ledger's transaction."""
    days: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0])
    for day, client_id, user in served:
        days[(week_of(day), client_id, person(client_id, user))][0] |= bit(day)
    new = upsert.merge(
        UserWeek, days, "days = {old}.days | {new}.days", "{old}.days | {new}.days <> {old}.days"
    )  # mostly nothing: people come back on the same day
    first: dict[tuple[Any, ...], date] = {}
    for week, client_id, number in new:
        key, began = (client_id, number), _date(week)
        first[key] = min(began, first.get(key, began))
    _note_first({key: [week] for key, week in first.items()})


def _note_first(weeks: dict[tuple[Any, ...], list[Any]]) -> None:
    upsert.merge(FirstUse, weeks, "week = {new}.week", "{new}.week < {old}.week")


def forget(day: date) -> None:
    """Take one day out of everybody's week."""
    rows = UserWeek.objects.filter(week=week_of(day))
    rows.update(days=F("days").bitand(WHOLE_WEEK ^ bit(day)))
    rows.filter(days=0).delete()


def find_first() -> None:
    """Everybody's first week anew, from the weeks that are there."""
    FirstUse.objects.all().delete()
    fields = "client_id", "person", "week"
    firsts = UserWeek.objects.order_by().values("client_id", "person").annotate(first=Min("week"))
    sql, params = firsts.values_list("client_id", "person", "first").query.sql_with_params()
    table, columns = upsert.quoted(FirstUse._meta.db_table), ", ".join(map(upsert.quoted, fields))
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({columns}) {sql}", params)


def erase(client_id: int, before: str, after: str) -> int:
    """Give an end user's weeks another id's number. Gives how many weeks they were."""
    mine = {"client_id": client_id, "person": person(client_id, before)}
    FirstUse.objects.filter(**mine).update(person=person(client_id, after))
    return UserWeek.objects.filter(**mine).update(person=person(client_id, after))


def served(first: date, last: date) -> QuerySet[UserWeek]:
    """The weeks of those who were served from ``first`` to ``last``, both included: a row for each person and week."""
    begins, ends = week_of(first), week_of(last)
    head = WHOLE_WEEK & ~(bit(first) - 1)
    tail = (bit(last) << 1) - 1
    rows = UserWeek.objects.order_by().filter(week__gte=begins, week__lte=ends)
    if begins == ends:
        return rows.alias(within=F("days").bitand(head & tail)).exclude(within=0)
    rows = rows.alias(of_head=F("days").bitand(head), of_tail=F("days").bitand(tail))
    return rows.exclude(Q(week=begins, of_head=0) | Q(week=ends, of_tail=0))


def people(first: date, last: date) -> int:
    """How many people were served in that time."""
    return served(first, last).values("client_id", "person").distinct().count()


def cohorts(first: date, last: date) -> dict[date, dict[date, int]]:
    """For each week of first use, both included, how many of its people were served in it and in each later week."""
    weeks, firsts = (upsert.quoted(model._meta.db_table) for model in (UserWeek, FirstUse))
    found: dict[date, dict[date, int]] = defaultdict(dict)
    sql = (
        f"SELECT f.week, w.week, COUNT(*) FROM {firsts} f"  # noqa: S608 - quoted names
        f" JOIN {weeks} w ON w.client_id = f.client_id AND w.person = f.person"
        " WHERE f.week BETWEEN %s AND %s AND w.week BETWEEN %s AND %s GROUP BY f.week, w.week ORDER BY f.week, w.week"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [week_of(first), week_of(last)] * 2)
        for began, week, number in cursor.fetchall():
            found[_date(began)][_date(week)] = number
    return dict(found)


def _date(value: date | str) -> date:
    """SQLite gives text."""
    return date.fromisoformat(value) if isinstance(value, str) else value
