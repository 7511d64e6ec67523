"""The demand of chat users in Malaysia: how much voice they use, and at which hours of the day."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

DAYS_PER_MONTH = 365 / 12
SECONDS_PER_HOUR = 3600.0

# Use of a chat assistant in Malaysia by hour of local time: quiet from 2 to 6, a dip around sunset (prayer, traffic),
# busiest from 20 to 23. This is an assumption, not a measurement. Only the proportions matter, not the sum.
HOURS = (
    2.2,
    1.2,
    0.7,
    0.5,
    0.5,
    0.9,
    2.0,
    3.2,
    4.2,
    4.8,
    5.0,
    5.1,
    5.6,
    5.4,
    4.9,
    4.8,
    4.9,
    5.1,
    4.9,
    5.2,
    6.8,
    7.4,
    6.7,
    4.4,
)


@dataclass(frozen=True)
class Curve:
    """The activity over a day, relative to its mean. It is interpolated linearly between the middles of the hours.

    ``peak_factor``: the activity of the busiest hour divided by the mean; None for the peak factor of ``HOURS``.
    """

    peak_factor: float | None = None

    @cached_property
    def hours(self) -> npt.NDArray[np.float64]:
        """The activity of each hour of the day relative to the mean, shape (24,)."""
        hours = np.array(HOURS, np.float64)
        hours /= hours.mean()
        if self.peak_factor is None:
            return hours
        # Raise the hours to the power that gives the wanted peak. Unlike scaling, this keeps quiet hours quiet and
        # makes none negative.
        low = 0.0
        high = 20.0
        for _ in range(60):
            power = (low + high) / 2
            raised = hours**power
            low, high = (power, high) if raised.max() / raised.mean() < self.peak_factor else (low, power)
        raised = hours ** ((low + high) / 2)
        return np.asarray(raised / raised.mean(), np.float64)

    def at(self, hour: float | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the activity relative to the mean at a time of day.

        ``hour``: hours since midnight, of any shape. The result has the same shape.
        """
        middles = np.arange(-1, 25) + 0.5
        values = np.concatenate([self.hours[-1:], self.hours, self.hours[:1]])
        return np.asarray(np.interp(np.asarray(hour) % 24, middles, values))

    @property
    def peak(self) -> float:
        """The activity of the busiest hour relative to the mean."""
        return float(self.hours.max())

    @property
    def peak_hour(self) -> int:
        return int(self.hours.argmax())

    def arrivals(self, per_day: float, start_h: float, end_h: float, seed: int) -> npt.NDArray[np.float64]:
        """Draw arrival times from a Poisson process whose rate follows the curve, by thinning.

        ``per_day``: the expected number of arrivals on a whole day.
        ``start_h``, ``end_h``: the hours of the day between which arrivals are drawn.

        Return ascending times in seconds after ``start_h``, shape (arrivals,).
        """
        generator = np.random.default_rng(seed)
        length = (end_h - start_h) * SECONDS_PER_HOUR
        highest = per_day / 86_400 * self.peak
        count = generator.poisson(highest * length)
        times = np.sort(generator.uniform(0, length, count))
        wanted = self.at(start_h + times / SECONDS_PER_HOUR) / self.peak
        return np.asarray(times[generator.uniform(0, 1, count) < wanted], np.float64)


class RequestRate(NamedTuple):
    """The demand at one moment, in events per second.

    ``asr``: requests for speech to text.
    ``tts``: requests for text to speech.
    ``streams``: live streams that begin.
    """

    asr: float
    tts: float
    streams: float


@dataclass(frozen=True)
class Demand:
    """How much voice a number of chat users use.

    ``users``: the number of chat users.
    ``voice_share``: the share of them who use voice, from 0 to 1.
    ``audio_minutes``: minutes of speech to recognise, per voice user and day.
    ``live_share``: the share of these minutes that comes in live streams, from 0 to 1.
    ``characters``: characters to speak, per voice user and day.
    ``clip_s``: mean length of a recording in seconds.
    ``text_characters``: mean length of a text to speak, in characters.
    ``stream_s``: mean length of a live stream in seconds.
    ``size_cv``: coefficient of variation of the request sizes (standard deviation divided by mean).
    ``curve``: the activity over the day.
    """

    users: float
    voice_share: float
    audio_minutes: float = 1.0
    live_share: float = 0.3
    characters: float = 500.0
    clip_s: float = 5.0
    text_characters: float = 100.0
    stream_s: float = 30.0
    size_cv: float = 0.5
    curve: Curve = field(default_factory=Curve)

    @property
    def voice_users(self) -> float:
        """The number of chat users who use voice."""
        return self.users * self.voice_share

    @property
    def asr_per_day(self) -> float:
        """The number of recordings to recognise per day, without live streams."""
        return self.voice_users * self.audio_minutes * 60 * (1 - self.live_share) / self.clip_s

    @property
    def tts_per_day(self) -> float:
        return self.voice_users * self.characters / self.text_characters

    @property
    def streams_per_day(self) -> float:
        """The number of live streams that begin per day."""
        return self.voice_users * self.audio_minutes * 60 * self.live_share / self.stream_s

    @property
    def audio_hours_per_month(self) -> float:
        return self.voice_users * self.audio_minutes / 60 * DAYS_PER_MONTH

    @property
    def characters_per_month(self) -> float:
        return self.voice_users * self.characters * DAYS_PER_MONTH

    def rate(self, factor: float) -> RequestRate:
        """Return the request rate at a moment that is ``factor`` times as busy as the mean of the day."""
        return RequestRate(
            *(count / 86_400 * factor for count in (self.asr_per_day, self.tts_per_day, self.streams_per_day))
        )

    @property
    def peak(self) -> RequestRate:
        """The request rate in the busiest hour."""
        return self.rate(self.curve.peak)
