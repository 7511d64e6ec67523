"""The rules of the autoscaler, on examples worked out by hand from the Kubernetes documentation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tools.planning import hpa
from tools.planning.hpa import API, Autoscaler, Behaviour, PodReading, Policy, Unit, wanted

WIDE = replace(API, least=1, most=100)
PROMPT = replace(
    WIDE, up=Behaviour(0, (Policy(Unit.PODS, 100, 60),)), down=Behaviour(0, (Policy(Unit.PERCENT, 100, 15),))
)


def ready(*percents: float | None) -> list[PodReading]:
    return [PodReading(True, percent) for percent in percents]


def starting(count: int, percent: float | None = 0.0) -> list[PodReading]:
    return [PodReading(False, percent)] * count


def test_it_works() -> None:
    assert wanted(2, ready(140, 140), 70) == 4


def test_the_required_numbers() -> None:
    assert (API.least, API.most, API.target_percent) == (2, 5, 70)
    assert API.up == Behaviour(60, (Policy(Unit.PODS, 2, 60),))
    assert API.down.stabilisation_s == 300


def test_the_specification_equals_the_manifest() -> None:
    assert API.manifest() == {
        "minReplicas": 2,
        "maxReplicas": 5,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
            }
        ],
        "behavior": {
            "scaleUp": {
                "stabilizationWindowSeconds": 60,
                "policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}],
            },
            "scaleDown": {"stabilizationWindowSeconds": 300},
        },
    }


@pytest.mark.parametrize(
    ("current", "pods", "target", "count"),
    [
        (1, ready(200), 100, 2),  # twice the target: twice the pods
        (2, ready(50, 50), 100, 1),  # half the target: half the pods
        (4, ready(109, 109, 109, 109), 100, 4),  # within a tenth: no change
        (4, ready(91, 91, 91, 91), 100, 4),
        (10, ready(*[110] * 10), 100, 10),  # exactly a tenth: no change
        (4, ready(111, 111, 111, 111), 100, 5),  # 4.44, rounded up
        (3, ready(90, 60, 30), 70, 3),  # mean 60, so 2.57, rounded up
        (3, ready(0, 0, 0), 70, 0),  # idle: zero; the minimum is applied later
        (2, [], 70, 2),  # no readings: no change
    ],
)
def test_the_number_of_pods_follows_the_ratio(current: int, pods: list[PodReading], target: float, count: int) -> None:
    assert wanted(current, pods, target) == count


def test_starting_pods_count_as_idle_when_scaling_up() -> None:
    # Three pods at 90 alone would give ceil(3 x 90 / 50) = 6. With three starting ones the mean is 45, so no change.
    assert wanted(6, [*ready(90, 90, 90), *starting(3)], 50) == 6
    # At 150 the mean of all is 100, twice the target, so the number doubles.
    assert wanted(4, [*ready(150, 150), *starting(1)], 50) == 6


def test_starting_pods_do_not_count_when_scaling_down() -> None:
    assert wanted(4, [*ready(20, 20), *starting(2)], 50) == 1


def test_pods_without_a_reading() -> None:
    assert wanted(3, ready(100, 100, None), 50) == 4  # above the target: missing readings count as idle; mean 67
    assert wanted(4, ready(20, 20, 20, None), 50) == 4  # below: they count as fully used; mean 40, so 3.2, rounded up
    assert wanted(2, ready(40, None), 50) == 2  # the direction would reverse (mean 70), so no change


def sync(scaler: Autoscaler, count: int, percent: float, times: int, start: float = 0.0) -> list[int]:
    """Return the number of pods after each sync. All pods are ready and use ``percent`` of their CPU request."""
    seen = []
    for number in range(times):
        count = scaler.sync(start + number * hpa.SYNC_PERIOD_S, count, ready(*[percent] * count))
        seen.append(count)
    return seen


def test_scaling_up_waits_for_its_window_and_keeps_to_two_pods_a_minute() -> None:
    scaler = Autoscaler(replace(WIDE))
    assert sync(scaler, 4, 70, 4) == [4, 4, 4, 4]
    # From second 60 on, the load is 140 %. The lowest recommendation of the last 60 s counts. Those at 15, 30 and 45 s
    # were 4, so the number rises when the last of them is a minute old, and then by two at a time.
    load = 4 * 140.0
    count = 4
    seen = []
    for number in range(4, 16):
        now = number * 15.0
        count = scaler.sync(now, count, ready(*[load / count] * count))
        seen.append((now, count))
    changes = [(now, after) for (now, after), (_, before) in zip(seen[1:], seen, strict=False) if after != before]
    assert changes == [(105.0, 6), (165.0, 8)]


def test_scaling_up_at_once_without_a_window_but_within_the_policy() -> None:
    policy = Behaviour(0, (Policy(Unit.PODS, 2, 60),))
    seen = sync(Autoscaler(replace(WIDE, up=policy)), 2, 700, 9)
    assert seen == [4, 4, 4, 4, 6, 6, 6, 6, 8]


def test_of_two_policies_the_larger_change_applies() -> None:
    policies = (Policy(Unit.PODS, 4, 60), Policy(Unit.PERCENT, 100, 60))
    assert sync(Autoscaler(replace(WIDE, up=Behaviour(0, policies))), 2, 7000, 1) == [6]
    assert sync(Autoscaler(replace(WIDE, up=Behaviour(0, policies))), 10, 7000, 1) == [20]


def test_scaling_down_waits_five_minutes_for_the_highest_recommendation() -> None:
    scaler = Autoscaler(API)
    assert sync(scaler, 5, 70, 2) == [5, 5]  # at 0 and 15 s
    seen = sync(scaler, 5, 7, 22, start=30.0)
    assert seen[:19] == [5] * 19  # up to 300 s
    assert seen[19] == 2  # at 315 s the recommendation of 15 s is out of the window; 0.5 pods are needed


def test_a_percentage_goes_down_step_by_step() -> None:
    down = Behaviour(0, (Policy(Unit.PERCENT, 10, 60),))
    # The example in the documentation, 10 % per minute from 80 pods: first 72, then 64.8, rounded down to 64.
    assert sync(Autoscaler(replace(WIDE, down=down)), 80, 1, 9)[::4] == [72, 64, 57]


def test_the_number_of_pods_stays_within_its_limits() -> None:
    assert sync(Autoscaler(replace(PROMPT, most=5)), 3, 7000, 2) == [5, 5]
    assert sync(Autoscaler(replace(PROMPT, least=2)), 5, 0, 2) == [2, 2]
    assert sync(Autoscaler(API), 1, 70, 1) == [2]
    assert sync(Autoscaler(API), 9, 70, 1) == [5]


def test_it_starts_with_the_present_number_of_pods() -> None:
    """The initial number of pods counts as a recommendation, so the first change also waits for the whole window."""
    assert sync(Autoscaler(API), 2, 300, 5) == [2, 2, 2, 2, 4]


def test_of_two_metrics_the_larger_number_applies() -> None:
    both = replace(API, up=Behaviour(0, API.up.policies), users_per_pod=25)
    waiting = [PodReading(True, 5.0, users=50.0)] * 2  # users wait for a GPU, so the CPU is idle
    assert Autoscaler(both).sync(0, 2, waiting) == 4
    assert Autoscaler(replace(both, users_per_pod=None)).sync(0, 2, waiting) == 2
    busy = [PodReading(True, 140.0, users=1.0)] * 2
    assert Autoscaler(both).sync(0, 2, busy) == 4
