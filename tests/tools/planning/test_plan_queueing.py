"""The queueing formulas agree with known results and with the simulation."""

from __future__ import annotations

import math

import pytest

from tools.planning.queueing import Station, erlang_c


@pytest.mark.parametrize(
    ("servers", "offered", "probability"),
    [
        (1, 0.5, 0.5),  # M/M/1: equals the utilisation
        (2, 1.0, 1 / 3),
        (2, 1.5, 0.642857),  # 9/14
        (3, 2.0, 4 / 9),
        (5, 4.0, 0.554113),
        (10, 8.0, 0.409180),
        (100, 90.0, None),
    ],
)
def test_erlang_c(servers: int, offered: float, probability: float | None) -> None:
    # The textbook's sum, in logarithms, as a check independent of the recursion.
    terms = [math.exp(k * math.log(offered) - math.lgamma(k + 1)) for k in range(servers)]
    last = math.exp(servers * math.log(offered) - math.lgamma(servers + 1)) * servers / (servers - offered)
    assert erlang_c(servers, offered) == pytest.approx(last / (sum(terms) + last), rel=1e-9)
    if probability is not None:
        assert erlang_c(servers, offered) == pytest.approx(probability, abs=2e-5)


def test_erlang_c_at_extreme_loads() -> None:
    assert erlang_c(3, 0.0) == 0.0
    assert erlang_c(3, 3.0) == 1.0
    assert erlang_c(10_000, 9_000) < 1e-9  # does not overflow


def test_one_exponential_server() -> None:
    station = Station(1, per_second=0.8, service_s=1.0)
    assert station.mean_wait_s == pytest.approx(0.8 / 0.2)
    assert station.wait_s(95) == pytest.approx(math.log(0.8 / 0.05) / 0.2)
    assert station.wait_s(10) == 0.0


def test_one_server_of_any_kind_is_pollaczek_khinchine() -> None:
    for scv in (0.0, 0.5, 4.0):
        station = Station(1, per_second=0.7, service_s=1.0, service_scv=scv)
        assert station.mean_wait_s == pytest.approx(0.7 * (1 + scv) / (2 * 0.3))


def test_two_servers_match_the_textbook() -> None:
    # M/M/2 at 75 %: W = C / (c mu - lambda) = (9/14) / (2 - 1.5)
    assert Station(2, 1.5, 1.0).mean_wait_s == pytest.approx(9 / 7)


def test_an_overloaded_queue_waits_for_ever() -> None:
    station = Station(2, per_second=3.0, service_s=1.0)
    assert not station.is_stable
    assert station.mean_wait_s == station.wait_s(95) == math.inf
