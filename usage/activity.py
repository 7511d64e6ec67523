"""The days on which each person was served, and the numbers of active and returning people computed from these days.

A person was served on a day if at least one of the person's requests succeeded. The same user id in two client
applications stands for two people.

The rows of ``UserWeek`` identify a person by a number instead of the user id. The number is derived from the user's
pseudonym, so it stays the same when the pseudonym replaces the id in old ledger rows (``usage.personal_data``).

People are counted overall, and by feature and language (``usage.rollups.ByFeatureAndLanguage``). The counts by feature
cannot be added up, because somebody who used two features would count twice.

Counting distinct people over many days is slow, so the counts are updated incrementally: the first request of a person
on a day changes the counts, depending on the other days on which the person was served.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.db import connection
from django.db.models import F, Q, Sum
from django.utils.crypto import salted_hmac

from usage import upsert
from usage.entry import Kind
from usage.rollups import DIMENSIONS, CohortWeek, DailyActive, UserWeek

PSEUDONYM = "gone:"  # prefix of every pseudonym
PSEUDONYM_DIGITS = 24  # hexadecimal digits in a pseudonym
NUMBER_DIGITS = 15  # hexadecimal digits in a person's number: 60 bits, which fit into a bigint of every database
WHOLE_WEEK = 0b1111111
WINDOWS = (7, 30)  # in days: each request makes a person active for such a window, which starts on the request's day

LOCKS = 256  # number of advisory locks that all people share
LOCK_CLASS = 0x5EE

Served = tuple[date, int, str, str, str]  # a day, a client application, an end user, a feature, a language
PersonKey = tuple[int, int, str, str]  # a client application, a person, a feature, a language
DayKey = tuple[date, int, str, str]


def pseudonym(client_id: int, user: str) -> str:
    """Return the end user's pseudonym.

    The same user always gets the same pseudonym. It can be traced back only with the service's secret key.
    """
    # The salt must never change, because the same users would then get other pseudonyms.
    digest = salted_hmac("usage.personal", f"{client_id}\0{user}", algorithm="sha256").hexdigest()
    return f"{PSEUDONYM}{digest[:PSEUDONYM_DIGITS]}"


def person(client_id: int, user: str) -> int:
    """Return the number that identifies an end user. An id and its pseudonym give the same number."""
    if not user.startswith(PSEUDONYM):
        user = pseudonym(client_id, user)
    digits = user.removeprefix(PSEUDONYM)[:NUMBER_DIGITS]
    try:
        return int(digits, 16)
    except ValueError:  # not a pseudonym, but an id that a caller chose and that begins like one
        return int(pseudonym(client_id, f"{PSEUDONYM}{user}").removeprefix(PSEUDONYM)[:NUMBER_DIGITS], 16)


def served(day: date, client_id: int, user: str, kind: str, language: str) -> Iterator[Served]:
    """Yield the keys of all counts that a successful request can raise: overall, by feature, by language, by both.

    In a key, "" as the feature means all features, and "" as the language means all languages.
    """
    for feature in ("", Kind(kind).feature):
        for spoken in {"", language}:
            yield day, client_id, user, feature, spoken


def week_of(day: date) -> date:
    """Return the Monday of the day's week."""
    return day - timedelta(days=day.weekday())


def bit(day: date) -> int:
    """Return the day's bit in ``UserWeek.days``: 1 for Monday, 64 for Sunday."""
    return 1 << day.weekday()


class Activity:
    """Computes how the counts change when people are served on more days. Does not access the database.

    ``active``: amounts to add to ``DailyActive`` rows, as [users, change_7, change_30] by key.
    ``cohorts``: amounts to add to ``CohortWeek`` rows, as [users] by key.
    """

    def __init__(self) -> None:
        self.active: dict[DayKey, list[int]] = defaultdict(lambda: [0, 0, 0])
        self.cohorts: dict[tuple[date, date, int, str, str], list[int]] = defaultdict(lambda: [0])

    def add(self, client_id: int, known: list[date], day: date, *, feature: str = "", language: str = "") -> None:
        """Count one more day on which a person was served, and insert the day into ``known``.

        ``known``: sorted list of the person's other days.
        """
        place = bisect_left(known, day)
        whose = (client_id, feature, language)
        self.active[day, *whose][0] += 1
        for column, window in enumerate(WINDOWS, 1):
            # Each day makes the person active for ``window`` days. Add only the days that no other day's window covers.
            enters = max(day, known[place - 1] + timedelta(days=window)) if place else day
            leaves = day + timedelta(days=window)
            if place < len(known):
                leaves = min(leaves, known[place])
            if enters < leaves:
                self.active[enters, *whose][column] += 1
                self.active[leaves, *whose][column] -= 1
        self._add_week(whose, known, week_of(day))
        insort(known, day)

    def _add_week(self, whose: tuple[int, str, str], known: list[date], week: date) -> None:
        first, latest = (week_of(known[0]), week_of(known[-1])) if known else (week, None)
        if week == latest:  # the usual case: the person was already served in this week
            return
        if week < first:  # this week becomes the person's first week, so all other weeks move to its cohort
            for other in {week_of(day) for day in known}:
                self.cohorts[first, other, *whose][0] -= 1
                self.cohorts[week, other, *whose][0] += 1
            first = week
        elif latest is not None and week < latest and any(week_of(day) == week for day in known):
            return
        self.cohorts[first, week, *whose][0] += 1


def record(what: Iterable[Served]) -> None:
    """Record the days on which people were served: update the ``UserWeek`` rows and the counts of people.

    Call this inside the transaction that writes the ledger rows.

    ``what``: keys from ``served``.
    """
    days = _by_person(what)
    known_days = _known(days, {week_of(day) for some in days.values() for day in some})
    new = {someone: fresh for someone, some in days.items() if (fresh := some.difference(known_days.get(someone, ())))}
    if not new:  # the usual case: the people were already served on this day
        return
    _lock(new)
    known_days = _known(new)
    activity = Activity()
    for someone, fresh in sorted(new.items()):
        client_id, _number, feature, language = someone
        known = known_days.get(someone, [])
        for day in sorted(fresh - set(known)):
            activity.add(client_id, known, day, feature=feature, language=language)
    _mark(new)
    _write(activity)


def mark(what: Iterable[Served]) -> None:
    """Record the days on which people were served in ``UserWeek`` only. A rebuild then calls ``recount``.

    ``what``: keys from ``served``.
    """
    _mark(_by_person(what))


def _by_person(what: Iterable[Served]) -> dict[PersonKey, set[date]]:
    days: dict[PersonKey, set[date]] = defaultdict(set)
    numbers: dict[tuple[int, str], int] = {}
    for day, client_id, user, feature, language in what:
        if (client_id, user) not in numbers:
            numbers[client_id, user] = person(client_id, user)
        days[client_id, numbers[client_id, user], feature, language].add(day)
    return days


def _known(people: Iterable[PersonKey], weeks: Iterable[date] | None = None) -> dict[PersonKey, list[date]]:
    """Return, for each person, the days on which the person was served, in ascending order.

    ``weeks``: Mondays of the weeks to include; None: all weeks.
    """
    by_client: dict[int, set[int]] = defaultdict(set)
    for client_id, number, _feature, _language in people:
        by_client[client_id].add(number)
    which = Q()
    for client_id, numbers in by_client.items():
        which |= Q(client_id=client_id, person__in=numbers)
    if weeks is not None:
        which &= Q(week__in=list(weeks))
    known: dict[PersonKey, list[date]] = defaultdict(list)
    if by_client:
        rows = UserWeek.objects.filter(which).order_by("client_id", "person", "week")
        for *someone, week, mask in rows.values_list("client_id", "person", *DIMENSIONS, "week", "days"):
            known[tuple(someone)] += _days(week, mask)
    return known


def _days(week: date, mask: int) -> Iterator[date]:
    return (week + timedelta(days=place) for place in range(7) if mask >> place & 1)


def _lock(people: Iterable[PersonKey]) -> None:
    """Lock people's rows against other writers until the transaction ends.

    Without locks, two transactions that write different weeks of one person would not see each other's rows. SQLite
    needs no locks, because it has only one writer. All people share ``LOCKS`` locks, because PostgreSQL allows only a
    few thousand locks at a time, and one transaction may write the rows of more people.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(%s, p) FROM (SELECT unnest(%s::int[]) AS p ORDER BY 1) AS people",
                [LOCK_CLASS, sorted({number % LOCKS for _client, number, _feature, _language in people})],
            )


def _mark(days: dict[PersonKey, set[date]]) -> None:
    weeks: dict[tuple[int, int, date, str, str], list[int]] = defaultdict(lambda: [0])
    for (client_id, number, feature, language), some in days.items():
        for day in some:
            weeks[client_id, number, week_of(day), feature, language][0] |= bit(day)
    upsert.merge_bits(UserWeek, weeks)


def _write(activity: Activity) -> None:
    upsert.add(DailyActive, {key: amounts for key, amounts in activity.active.items() if any(amounts)})
    upsert.add(CohortWeek, {key: amounts for key, amounts in activity.cohorts.items() if any(amounts)})


def forget(day: date) -> None:
    """Remove one day from all ``UserWeek`` rows. Do not change the counts."""
    rows = UserWeek.objects.filter(week=week_of(day))
    rows.update(days=F("days").bitand(WHOLE_WEEK ^ bit(day)))
    rows.filter(days=0).delete()


def recount() -> None:
    """Recompute all counts from the ``UserWeek`` rows."""
    DailyActive.objects.all().delete()
    CohortWeek.objects.all().delete()
    activity = Activity()
    someone: Sequence[object] = ()
    known: list[date] = []
    rows = UserWeek.objects.order_by("client_id", "person", *DIMENSIONS, "week")
    for *whose, week, mask in rows.values_list("client_id", "person", *DIMENSIONS, "week", "days").iterator():
        if someone != whose:
            someone = whose
            known = []
        for day in _days(week, mask):
            activity.add(whose[0], known, day, feature=whose[2], language=whose[3])
    _write(activity)


def erase(client_id: int, before: str, after: str) -> int:
    """Assign the ``UserWeek`` rows of the user id ``before`` to the user id ``after``. Return the number of rows."""
    mine = UserWeek.objects.filter(client_id=client_id, person=person(client_id, before))
    return mine.update(person=person(client_id, after))


@dataclass
class Active:
    """The number of people served on a day (``day``), and in the 7 (``week``) or 30 (``month``) days that end on it."""

    day: int = 0
    week: int = 0
    month: int = 0


@dataclass(frozen=True)
class PeopleFilter:
    """A filter that selects the people to count.

    ``client_id``: only people of this client application; None for all.
    ``feature``: only people who used this feature; "" for all.
    ``language``: only people who used this language; "" for all.
    """

    client_id: int | None = None
    feature: str = ""
    language: str = ""

    @property
    def rows(self) -> Q:
        """The condition for rows of ``DailyActive`` or ``CohortWeek`` that count these people."""
        found = Q(feature=self.feature, language=self.language)
        return found if self.client_id is None else found & Q(client_id=self.client_id)


EVERYBODY = PeopleFilter()


def active_by_day(first: date, last: date, which: PeopleFilter = EVERYBODY) -> dict[date, Active]:
    """Return the numbers of active people by day, for the days from ``first`` to ``last`` inclusive."""
    rows = DailyActive.objects.filter(which.rows, day__lte=last).order_by("day").values_list("day")
    found = {first + timedelta(days=number): Active() for number in range((last - first).days + 1)}
    sums = {day: amounts for day, *amounts in rows.annotate(Sum("users"), Sum("change_7"), Sum("change_30"))}
    week, month = (sum(amounts[column] for day, amounts in sums.items() if day < first) for column in (1, 2))
    for day, one in found.items():
        one.day, changed_week, changed_month = sums.get(day, (0, 0, 0))
        week += changed_week
        month += changed_month
        one.week = week
        one.month = month
    return found


def active_by_client(last: date, which: PeopleFilter = EVERYBODY) -> dict[int, Active]:
    """Return the numbers of active people on the day ``last``, keyed by client application id."""
    rows = DailyActive.objects.filter(which.rows, day__lte=last).order_by().values_list("client_id")
    return {
        client_id: Active(*amounts)
        for client_id, *amounts in rows.annotate(
            on_day=Sum("users", filter=Q(day=last), default=0), week=Sum("change_7"), month=Sum("change_30")
        )
        if any(amounts)
    }


def cohorts(first: date, last: date, which: PeopleFilter = EVERYBODY) -> dict[date, dict[date, int]]:
    """Return how many people of each cohort were served in each week, from the week of ``first`` to that of ``last``.

    A cohort consists of the people who were first served in the same week. The outer key is the Monday of that week,
    and the inner key is the Monday of a week in which some of these people were served.
    """
    found: dict[date, dict[date, int]] = defaultdict(dict)
    rows = CohortWeek.objects.filter(which.rows, first__gte=week_of(first), week__lte=week_of(last))
    for began, week, users in rows.order_by("first", "week").values_list("first", "week").annotate(Sum("users")):
        if users:
            found[began][week] = users
    return dict(found)
