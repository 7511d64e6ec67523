"""Which memory readings count as a leak. The readings are made up."""

from __future__ import annotations

import random

import pytest

from tools.loadtests.leak import Reading, trend

MIB = 2**20
LEVEL = 300 * MIB


def series(memory, seconds: int = 300) -> list[Reading]:
    return [(float(at), float(memory(at))) for at in range(seconds)]


def noise(size: float, seed: int = 5):
    generator = random.Random(seed)
    return lambda: generator.gauss(0, size)


def test_it_works() -> None:
    leaky = trend(series(lambda at: LEVEL + 0.2 * MIB * at))
    assert leaky is not None
    assert leaky.is_leak
    assert leaky.slope == pytest.approx(0.2 * MIB)
    assert "+39.8 MiB in 199 s" in leaky.in_words()


def test_flat() -> None:
    flat = trend(series(lambda _at: LEVEL))
    assert flat is not None
    assert not flat.is_leak
    assert (flat.slope, flat.low, flat.high) == (0, 0, 0)


@pytest.mark.parametrize("size", [1, 10, 20])
def test_noise_is_no_leak(size: float) -> None:
    for seed in range(30):
        wild = noise(size * MIB, seed)
        found = trend(series(lambda _at, wild=wild: LEVEL + wild()))
        assert found is not None
        assert not found.is_leak


@pytest.mark.parametrize("size", [1, 10])
def test_a_leak_is_found_in_noise(size: float) -> None:
    wild = noise(size * MIB)
    found = trend(series(lambda at: LEVEL + 0.3 * MIB * at + wild()))
    assert found is not None
    assert found.is_leak


@pytest.mark.parametrize("period", [7, 20, 45])
def test_a_sawtooth_is_no_leak(period: int) -> None:
    found = trend(series(lambda at: LEVEL + 80 * MIB * (at % period) / period))
    assert found is not None
    assert not found.is_leak


@pytest.mark.parametrize("period", [7, 20])
def test_a_rising_sawtooth_is_a_leak(period: int) -> None:
    found = trend(series(lambda at: LEVEL + 80 * MIB * (at % period) / period + 0.2 * MIB * at))
    assert found is not None
    assert found.is_leak


def test_growth_at_the_start_is_warm_up() -> None:
    found = trend(series(lambda at: LEVEL + 150 * MIB * min(1, at / 90)))
    assert found is not None
    assert not found.is_leak


@pytest.mark.parametrize("when", [105, 150, 200, 250, 290])
def test_one_step_is_no_leak(when: int) -> None:
    found = trend(series(lambda at: LEVEL + 40 * MIB * (at >= when)))
    assert found is not None
    assert not found.is_leak


def test_steps_without_end_are_a_leak() -> None:
    found = trend(series(lambda at: LEVEL + 10 * MIB * (at // 20)))
    assert found is not None
    assert found.is_leak


def test_a_leak_in_a_short_run() -> None:
    wild = noise(MIB)
    found = trend([(at / 2, LEVEL + 0.6 * MIB * at / 2 + wild()) for at in range(60)])
    assert found is not None
    assert found.is_leak


def test_one_outlier_changes_nothing() -> None:
    readings = series(lambda _at: LEVEL)
    readings[-1] = (299.0, 3.0 * LEVEL)
    found = trend(readings)
    assert found is not None
    assert not found.is_leak


def test_negligible_growth_is_no_leak() -> None:
    found = trend(series(lambda at: LEVEL + 0.01 * MIB * at))
    assert found is not None
    assert found.low > 0
    assert not found.is_leak


@pytest.mark.parametrize("seconds", [0, 1, 2, 10, 14])
def test_too_short_a_run_gives_no_verdict(seconds: int) -> None:
    assert trend(series(lambda at: LEVEL + MIB * at, seconds)) is None


def test_too_few_readings_give_no_verdict() -> None:
    assert trend([(60.0 * index, LEVEL) for index in range(10)]) is None
