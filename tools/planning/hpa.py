"""The HorizontalPodAutoscaler (HPA) of the API deployments: its specification, and a model of its controller.

``API`` is the required specification and the only place that defines its numbers. A test compares the manifest with it.
The model follows the Kubernetes controller for ``autoscaling/v2``
(https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/): its tolerance, its treatment of
pods that are not ready, its stabilisation windows and its policies. Times are in seconds from any fixed point.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

SYNC_PERIOD_S = 15.0  # --horizontal-pod-autoscaler-sync-period
TOLERANCE = 0.1  # --horizontal-pod-autoscaler-tolerance
USERS_METRIC = "voice_concurrent_users"
USERS_WINDOW_S = 60.0  # the Prometheus adapter's rule averages the users' metric over this window
METRIC_WINDOW_S = 15.0  # metrics-server averages the CPU use of a pod over this window (--metric-resolution)


class Unit(StrEnum):
    PODS = "Pods"
    PERCENT = "Percent"


@dataclass(frozen=True)
class Policy:
    """A limit on how much the number of pods may change during a period.

    ``unit``: whether ``value`` is a number of pods, or a percentage of the pods at the beginning of the period.
    ``value``: the largest allowed change.
    ``period_s``: the length of the period in seconds.
    """

    unit: Unit
    value: int
    period_s: float


@dataclass(frozen=True)
class Behaviour:
    """The scaling behaviour in one direction.

    ``stabilisation_s``: length of the stabilisation window in seconds.
    ``policies``: limits on the change. The policy that allows the largest change applies (``selectPolicy: Max``).
    """

    stabilisation_s: float
    policies: tuple[Policy, ...]


# Kubernetes' default policy for scaling down.
ALL_AT_ONCE = (Policy(Unit.PERCENT, 100, 15),)


@dataclass(frozen=True)
class Specification:
    """The specification of an HPA.

    ``least``: the minimum number of pods.
    ``most``: the maximum number of pods.
    ``target_percent``: target CPU use, in percent of the pods' CPU request.
    ``up``: the behaviour when scaling up.
    ``down``: the behaviour when scaling down.
    ``users_per_pod``: target of the second metric, people with work in flight per pod; None if there is no second
    metric. Kubernetes takes the larger of the numbers of pods that the two metrics ask for.
    """

    least: int
    most: int
    target_percent: int
    up: Behaviour
    down: Behaviour
    users_per_pod: int | None = None

    def manifest(self) -> dict[str, Any]:
        """Return the ``spec`` of the manifest, without its ``scaleTargetRef``."""
        target = {"type": "Utilization", "averageUtilization": self.target_percent}
        metrics: list[dict[str, Any]] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
        if self.users_per_pod is not None:
            users = {"type": "AverageValue", "averageValue": str(self.users_per_pod)}
            metrics.append({"type": "Pods", "pods": {"metric": {"name": USERS_METRIC}, "target": users}})
        return {
            "minReplicas": self.least,
            "maxReplicas": self.most,
            "metrics": metrics,
            "behavior": {"scaleUp": _manifest(self.up), "scaleDown": _manifest(self.down)},
        }


def _manifest(behaviour: Behaviour) -> dict[str, Any]:
    rules: dict[str, Any] = {"stabilizationWindowSeconds": round(behaviour.stabilisation_s)}
    if behaviour.policies != ALL_AT_ONCE:
        rules["policies"] = [
            {"type": policy.unit.value, "value": policy.value, "periodSeconds": round(policy.period_s)}
            for policy in behaviour.policies
        ]
    return rules


API = Specification(
    least=2,
    most=5,
    target_percent=70,
    up=Behaviour(60, (Policy(Unit.PODS, 2, 60),)),
    down=Behaviour(300, ALL_AT_ONCE),
)


@dataclass(frozen=True)
class PodReading:
    """The metrics of one pod, as the controller reads them each time it runs.

    ``ready``: whether the pod has taken requests for at least one metric window.
    ``percent``: CPU use in percent of the request; None if there is no reading.
    ``users``: people with work in flight in the pod; None if there is no reading.
    """

    ready: bool
    percent: float | None
    users: float | None = None


def wanted(current: int, pods: Sequence[PodReading], target_percent: float) -> int:
    """Return how many pods a metric asks for, before stabilisation, policies and limits.

    ``current``: the number of pods.
    ``pods``: a reading of each pod.
    ``target_percent``: the target of the metric.

    The mean is taken over the ready pods that have a reading. Then the other pods are included with assumed readings:

    - If the mean is above the target, pods that are not ready or have no reading count as idle.
    - If the mean is below the target, ready pods without a reading count as using all they request.

    The number of pods stays the same if no ready pod has a reading, if the resulting mean is within the tolerance
    of the target, or if the assumed readings would reverse the direction of the change.
    """
    measured = [pod.percent for pod in pods if pod.ready and pod.percent is not None]
    unready = sum(not pod.ready for pod in pods)
    missing = sum(pod.ready and pod.percent is None for pod in pods)
    if not measured:
        return current
    ratio = sum(measured) / len(measured) / target_percent
    counts_unready = unready > 0 and ratio > 1
    if not counts_unready and not missing:
        return current if within_tolerance(ratio) else ceiling(ratio * len(measured))
    guessed = list(measured)
    if missing:
        guessed += [max(100.0, target_percent) if ratio < 1 else 0.0] * missing
    if counts_unready:
        guessed += [0.0] * unready
    careful = sum(guessed) / len(guessed) / target_percent
    if within_tolerance(careful) or (ratio < 1 < careful) or (careful < 1 < ratio):
        return current
    desired = ceiling(careful * len(guessed))
    turned_round = (careful < 1 and desired > current) or (careful > 1 and desired < current)
    return current if turned_round else desired


def within_tolerance(ratio: float) -> bool:
    """Return True if the ratio of a metric to its target is so close to 1 that no change is needed."""
    return abs(1 - ratio) <= TOLERANCE + 1e-12


def ceiling(value: float) -> int:
    """Round up to a whole number. Ignore floating-point errors that put a value just above a whole number."""
    return math.ceil(value - 1e-9)


@dataclass
class Autoscaler:
    """A HorizontalPodAutoscaler (HPA) with its history.

    ``specification``: the specification of the HPA.
    ``_recommended``: times and recommended numbers of pods, for the stabilisation windows.
    ``_changes``: times of changes, and by how many pods the number changed, for the policies.
    """

    specification: Specification
    _recommended: deque[tuple[float, int]] = field(default_factory=deque)
    _changes: deque[tuple[float, int]] = field(default_factory=deque)

    def sync(self, now: float, current: int, pods: Sequence[PodReading]) -> int:
        """Return the new number of pods. Call this every ``SYNC_PERIOD_S``.

        ``now``: the time in seconds.
        ``current``: the number of pods, including those that are starting.
        ``pods``: a reading of each pod.
        """
        rule = self.specification
        if not self._recommended:
            self._recommended.append((now, current))  # the history begins with the current number
        if current > rule.most:
            return self._change(now, current, rule.most)
        if current < rule.least:
            return self._change(now, current, rule.least)
        desired = wanted(current, pods, rule.target_percent)
        if rule.users_per_pod is not None:
            by_users = [replace(pod, percent=pod.users) for pod in pods]
            desired = max(desired, wanted(current, by_users, rule.users_per_pod))
        return self._change(now, current, self._limited(now, current, self._stable(now, current, desired)))

    def _stable(self, now: float, current: int, desired: int) -> int:
        """Return the desired number of pods after applying the stabilisation windows to it.

        When scaling up, the result is at most the lowest recommendation in the upward window. When scaling down, it is
        at least the highest recommendation in the downward window.
        """
        up_from = now - self.specification.up.stabilisation_s
        down_from = now - self.specification.down.stabilisation_s
        lowest = min([desired, *(count for at, count in self._recommended if at > up_from)])
        highest = max([desired, *(count for at, count in self._recommended if at > down_from)])
        self._recommended.append((now, desired))
        while self._recommended and self._recommended[0][0] <= min(up_from, down_from):
            self._recommended.popleft()
        return min(max(current, lowest), highest)

    def _limited(self, now: float, current: int, desired: int) -> int:
        rule = self.specification
        if desired > current:
            most = max(self._allowed(now, current, policy, +1) for policy in rule.up.policies)
            return min(desired, rule.most, max(most, current))
        if desired < current:
            least = min(self._allowed(now, current, policy, -1) for policy in rule.down.policies)
            return max(desired, rule.least, min(least, current))
        return current

    def _allowed(self, now: float, current: int, policy: Policy, direction: int) -> int:
        """Return the highest number of pods that a policy allows when scaling up, or the lowest when scaling down.

        The limit is counted from the number of pods at the beginning of the policy's period.

        ``direction``: +1 for scaling up, -1 for scaling down.
        """
        at_start = current - sum(change for at, change in self._changes if at > now - policy.period_s)
        if policy.unit is Unit.PODS:
            return at_start + direction * policy.value
        share = at_start * (1 + direction * policy.value / 100)
        return ceiling(share) if direction > 0 else math.floor(share + 1e-9)

    def _change(self, now: float, current: int, count: int) -> int:
        if count != current:
            self._changes.append((now, count - current))
        both = (*self.specification.up.policies, *self.specification.down.policies)
        longest = max(policy.period_s for policy in both)
        while self._changes and self._changes[0][0] <= now - longest:
            self._changes.popleft()
        return count
