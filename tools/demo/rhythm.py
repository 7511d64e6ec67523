"""How the use of a chat assistant in Malaysia varies over the day, the week and the year.

Use is highest at lunch time and in the evening, and lower at night, on weekends and on holidays.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import date
from functools import cached_property
from itertools import accumulate

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S

# The intensity of use in each hour, from midnight on.
_WEEKDAY = (
    0.22,
    0.13,
    0.09,
    0.07,
    0.08,
    0.18,
    0.40,
    0.75,
    1.05,
    1.25,
    1.30,
    1.50,
    2.00,
    1.90,
    1.35,
    1.25,
    1.30,
    1.40,
    1.25,
    1.40,
    1.90,
    2.15,
    1.60,
    0.75,
)
_RESTDAY = (
    0.45,
    0.28,
    0.16,
    0.11,
    0.09,
    0.12,
    0.22,
    0.40,
    0.70,
    1.00,
    1.20,
    1.30,
    1.45,
    1.40,
    1.25,
    1.20,
    1.20,
    1.25,
    1.20,
    1.35,
    1.70,
    1.85,
    1.50,
    0.90,
)
_OF_WEEK = (1.05, 1.08, 1.06, 1.04, 0.95, 0.74, 0.68)  # factor of each day of the week, Monday first
_OF_HOLIDAY = 0.55
FRIDAY = 4
SATURDAY = 5
FRIDAY_PRAYER_HOUR = 13
PRAYER = 0.6

FIXED_HOLIDAYS = {
    (1, 1): "New Year",
    (2, 1): "Federal Territory Day",
    (5, 1): "Labour Day",
    (8, 31): "Merdeka",
    (9, 16): "Malaysia Day",
    (12, 25): "Christmas",
}
# Holidays by lunar calendars, as announced or expected.
MOVING_HOLIDAYS = {
    date(2026, 2, 17): "Chinese New Year",
    date(2026, 3, 20): "Hari Raya Aidilfitri",
    date(2026, 11, 8): "Deepavali",
    date(2027, 2, 6): "Chinese New Year",
    date(2027, 3, 10): "Hari Raya Aidilfitri",
    date(2027, 10, 28): "Deepavali",
}


def holiday(day: date) -> str:
    """Return the name of the holiday on a day; "" if the day is no holiday."""
    return FIXED_HOLIDAYS.get((day.month, day.day), "") or MOVING_HOLIDAYS.get(day, "")


class Rhythm:
    """The pattern of use over one day.

    Times are seconds since midnight in the service's time zone. An intensity of 1 is the mean of an ordinary day.
    """

    def __init__(self, day: date) -> None:
        self.is_restday = day.weekday() >= SATURDAY or bool(holiday(day))
        self.weight = _OF_HOLIDAY if holiday(day) else _OF_WEEK[day.weekday()]
        hours = list(_RESTDAY if self.is_restday else _WEEKDAY)
        if day.weekday() == FRIDAY and not self.is_restday:
            hours[FRIDAY_PRAYER_HOUR] *= PRAYER
        self._hours = hours

    @cached_property
    def _until(self) -> list[float]:
        """The share of the day's requests that have come by each full hour from 0 to 24 (25 values)."""
        return [done / sum(self._hours) for done in accumulate(self._hours, initial=0.0)]

    def intensity(self, second: float) -> float:
        """Return the intensity of use at a time, interpolated linearly between the middles of the hours."""
        place = (second / HOUR_S - 0.5) % 24
        hour = int(place)
        part = place % 1
        here = self._hours[hour]
        following = self._hours[(hour + 1) % 24]
        return self.weight * (here + part * (following - here))

    def share_before(self, second: float) -> float:
        """Return the share of the day's requests that come before a time, from 0 to 1."""
        hour, part = divmod(min(max(second, 0.0), DAY_S - 1e-6) / HOUR_S, 1)
        before = self._until[int(hour)]
        after = self._until[int(hour) + 1]
        return before + part * (after - before)

    def moment(self, share: float) -> float:
        """Return the time by which this share of the day's requests has come (the inverse of ``share_before``)."""
        hour = min(bisect_right(self._until, share) - 1, 23)
        before = self._until[hour]
        after = self._until[hour + 1]
        return (hour + (share - before) / (after - before)) * HOUR_S


BUSIEST = max(_WEEKDAY) * max(_OF_WEEK)  # the highest intensity of any day
