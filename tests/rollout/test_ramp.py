"""Guarded ramps in simulated time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core.audit import acting
from rollout import ramp as ramps
from rollout.models import Change, Flag, Ramp

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta(minutes=1)


class Watch:
    """Checks the running ramps every simulated minute. The real ``watch_capacity`` checks them more often."""

    def __init__(self) -> None:
        self.now = START

    def wait(self, time: timedelta, *alerts: str) -> None:
        end = self.now + time
        while self.now < end:
            self.now += TICK
            ramps.tick(self.now, list(alerts))


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def ramp(flags: dict[str, Flag]) -> Ramp:
    steps = [(Decimal(percent), HOUR) for percent in (1, 5, 10)]
    draft = ramps.create(flags["voice"], steps)
    with acting("siti", "go"):
        return ramps.start(draft.pk, START, "go")


def percent(name: str = "voice") -> Decimal | None:
    return Flag.objects.get(name=name).percent


def state(ramp: Ramp) -> str:
    return Ramp.objects.get(pk=ramp.pk).state


def test_it_works(ramp: Ramp, watch: Watch) -> None:
    assert percent() == 1
    watch.wait(HOUR - TICK)
    assert percent() == 1
    watch.wait(TICK)
    assert percent() == 5
    watch.wait(HOUR)
    assert percent() == 10
    assert state(ramp) == "running"
    watch.wait(HOUR)
    assert (percent(), state(ramp)) == (10, "finished")
    assert percent("tts") is None  # without a percentage, the feature follows voice
    row = Change.objects.filter(subject="voice", after__percent="5").get()
    assert (row.who, row.before) == (f"ramp {ramp.pk}", {"percent": "1"})
    assert "without a critical alert" in row.why


@pytest.mark.parametrize(("after", "good"), [(0, 0), (1, 1), (2, 5)])
def test_a_critical_alert_rolls_back_to_the_last_good_step(ramp: Ramp, watch: Watch, after: int, good: int) -> None:
    watch.wait(after * HOUR + 10 * TICK)
    watch.wait(TICK, "concurrent users 93 > 80")
    ramp.refresh_from_db()
    assert (percent(), ramp.state) == (good, "rolled_back")
    assert "concurrent users 93 > 80" in ramp.reason
    row = Change.objects.filter(subject="voice")[0]
    assert row.after == {"percent": str(good)}
    assert "concurrent users 93 > 80" in row.why
    watch.wait(3 * HOUR)
    assert percent() == good


def test_the_watcher_may_roll_back(ramp: Ramp) -> None:
    assert ramps.roll_back("GPU on fire") == [ramp]
    assert percent() == 0
    assert ramps.roll_back("GPU on fire", START) == []


def test_a_finished_ramp_is_not_rolled_back(ramp: Ramp, watch: Watch) -> None:
    watch.wait(3 * HOUR)
    watch.wait(TICK, "error rate 9 % > 5 %")
    assert (percent(), state(ramp)) == (10, "finished")


def test_hold_time_counts_only_while_watched(ramp: Ramp, watch: Watch) -> None:
    watch.now += 10 * HOUR
    watch.wait(10 * TICK)
    assert percent() == 1
    watch.wait(HOUR)
    assert percent() == 5


def test_pause_and_resume(ramp: Ramp, watch: Watch) -> None:
    watch.wait(HOUR / 2)
    ramps.pause(ramp.pk, "holiday")
    watch.wait(2 * HOUR)
    assert (percent(), state(ramp)) == (1, "paused")
    ramps.resume(ramp.pk, watch.now)
    watch.wait(HOUR - TICK)
    assert percent() == 1
    watch.wait(TICK)
    assert percent() == 5


def test_abort_keeps_the_percentage(ramp: Ramp, watch: Watch) -> None:
    watch.wait(HOUR)
    ramps.abort(ramp.pk, watch.now, "enough")
    watch.wait(2 * HOUR)
    assert (percent(), state(ramp)) == (5, "aborted")


@pytest.mark.parametrize("change", [{"percent": 3}, {"killed": True}, {"everyone": False}])
def test_changing_the_flag_by_hand_pauses_the_ramp(ramp: Ramp, watch: Watch, change: dict[str, object]) -> None:
    Flag.objects.filter(name="voice").update(**change)
    watch.wait(2 * HOUR)
    assert state(ramp) == "paused"
    flag = Flag.objects.get(name="voice")
    assert {name: getattr(flag, name) for name in change} == change
    with pytest.raises(ramps.RampError, match="by hand"):
        ramps.resume(ramp.pk, watch.now)


def test_rolling_back_never_raises_a_lowered_percentage(ramp: Ramp, watch: Watch) -> None:
    watch.wait(2 * HOUR + TICK)
    Flag.objects.filter(name="voice").update(percent=2)
    ramps.roll_back("critical", watch.now)
    assert (percent(), state(ramp)) == (2, "rolled_back")


def test_a_ramp_starts_above_the_present_percentage(flags: dict[str, Flag], watch: Watch) -> None:
    Flag.objects.filter(name="tts").update(percent=7)
    ramp = ramps.create(flags["tts"])
    ramps.start(ramp.pk, START)
    assert percent("tts") == 10
    watch.wait(TICK, "critical")
    assert percent("tts") == 7


def test_ramps_that_cannot_start(flags: dict[str, Flag], ramp: Ramp) -> None:
    with pytest.raises(ramps.RampError, match="is running"):
        ramps.start(ramp.pk, START)
    with pytest.raises(ramps.RampError, match="under way"):
        ramps.start(ramps.create(flags["voice"]).pk, START)
    Flag.objects.filter(name="tts").update(percent=20)
    with pytest.raises(ramps.RampError, match="above the 20 %"):
        ramps.start(ramps.create(flags["tts"]).pk, START)
    Flag.objects.filter(name="realtime").update(everyone=True)
    with pytest.raises(ramps.RampError, match="on for all who have voice"):
        ramps.start(ramps.create(flags["realtime"]).pk, START)
