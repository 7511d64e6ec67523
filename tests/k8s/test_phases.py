"""The overlays agree with the table of phases."""

from __future__ import annotations

import copy
import math
from importlib import import_module

import pytest
from django.conf import settings

from capacity.models import Phase
from inference.scaling import LOOK_BACK_S
from tests.k8s.manifests import API, K8S, PHASES, SERVING, built, of_kind, overlay, serve_config, workloads

pytestmark = pytest.mark.django_db

REQUIRED_HPA = {
    "minReplicas": 2,
    "maxReplicas": 5,
    "metrics": [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
    ],
    "behavior": {
        "scaleUp": {
            "stabilizationWindowSeconds": 60,
            "policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}],
        },
        "scaleDown": {"stabilizationWindowSeconds": 300},
    },
}


def grown(what: str, phase: Phase) -> tuple[int, int]:
    """Return the lower and upper number of pods or GPUs of a phase.

    The lower number of a phase that autoscales is the upper number of the previous phase. Its upper number is computed
    for its peak of users, with as many users per pod or GPU as in the previous phase.

    ``what``: "pods" or "gpus".
    """
    low = getattr(phase, f"{what}_from")
    high = getattr(phase, f"{what}_to")
    if low is not None:
        return low, high
    before = Phase.objects.get(number=phase.number - 1)
    most = getattr(before, f"{what}_to")
    return most, math.ceil(phase.concurrent_to * most / before.concurrent_to)


def test_there_is_an_overlay_for_every_phase() -> None:
    folders = {path.name for path in (K8S / "overlays").iterdir()}
    assert folders == {f"phase-{phase.number}" for phase in Phase.objects.all()}


@pytest.mark.parametrize("name", API)
def test_the_required_autoscaler(name: str) -> None:
    for objects in (overlay(1), built(K8S / "base")):
        (scaler,) = (one for one in objects if one["metadata"]["name"] == f"{name}-hpa")
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        assert scaler["apiVersion"] == "autoscaling/v2"
        assert scaler["spec"] == {"scaleTargetRef": target, **REQUIRED_HPA}


@pytest.mark.parametrize("number", PHASES)
def test_pods(number: int) -> None:
    least, most = grown("pods", Phase.objects.get(number=number))
    scalers = of_kind("HorizontalPodAutoscaler", number)
    assert set(scalers) == {f"{name}-hpa" for name in API}
    for scaler in scalers.values():
        # The table's pods always run. In a rush there may be more, up to the required maximum.
        assert scaler["spec"]["minReplicas"] == least
        assert scaler["spec"]["maxReplicas"] == max(most, REQUIRED_HPA["maxReplicas"])
    for deployment in of_kind("Deployment", number).values():
        if deployment["metadata"]["name"] in API:
            assert "replicas" not in deployment["spec"]  # applying it again would undo the autoscaler's number


@pytest.mark.parametrize("number", PHASES)
def test_gpus(number: int) -> None:
    least, most = grown("gpus", Phase.objects.get(number=number))
    (service,) = of_kind("RayService", number).values()
    (group,) = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (least, least, most)
    (worker,) = group["template"]["spec"]["containers"]
    for amounts in worker["resources"].values():
        assert amounts["nvidia.com/gpu"] == "1"


@pytest.mark.parametrize("number", PHASES)
def test_replicas_fit_the_machines(number: int) -> None:
    least, most = grown("gpus", Phase.objects.get(number=number))
    (application,) = serve_config(number)["applications"]
    assert application["import_path"] == "inference.ray_app:app"
    deployments = {one["name"]: one for one in application["deployments"]}
    assert set(deployments) == {"units", "asr", "tts"}
    needed = {"num_cpus": 0.0, "num_gpus": 0.0}
    for name in ("asr", "tts"):
        scaling = deployments[name]["autoscaling_config"]
        assert (scaling["min_replicas"], scaling["max_replicas"]) == (least, most)
        for resource in needed:
            needed[resource] += deployments[name]["ray_actor_options"][resource]
    (service,) = of_kind("RayService", number).values()
    cluster = service["spec"]["rayClusterConfig"]
    worker = cluster["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]
    assert needed["num_gpus"] == 1
    assert needed["num_cpus"] < float(worker["resources"]["limits"]["cpu"])  # the other CPUs are for the ingress
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    # The machines scale with the replicas.
    assert cluster["enableInTreeAutoscaling"] is True


@pytest.mark.parametrize("number", PHASES)
def test_alerts_come_before_refusals(number: int) -> None:
    """The limit on users is the upper end of the next phase, so alerts fire well before the first refusal.

    In the last phase it is the end of that phase.
    """
    reached = Phase.objects.filter(number__in=(number, number + 1)).values_list("concurrent_to", flat=True)
    for one in of_kind("ConfigMap", number).values():
        if "VOICE_MAX_CONCURRENT_USERS" in one["data"]:
            assert int(one["data"]["VOICE_MAX_CONCURRENT_USERS"]) == max(end for end in reached if end)


def test_changing_phase_restarts_nothing() -> None:
    """Pod templates are the same in every phase. So no stream is interrupted, and no Job has to be deleted first.

    Settings that differ between phases are read from files (``voice-phase``).
    """
    made = [
        {one.name: one.template for one in workloads(number) if one.kind in ("Deployment", "Job")} for number in PHASES
    ]
    assert all(templates == made[0] for templates in made)


def test_phases_differ_only_in_numbers() -> None:
    """Phases differ only in numbers. In the inference tier, KubeRay can change these numbers without a restart."""
    for number in PHASES[1:]:
        (before,), (after,) = (of_kind("RayService", one).values() for one in (number - 1, number))
        before_cluster, after_cluster = (copy.deepcopy(one["spec"]["rayClusterConfig"]) for one in (before, after))
        for cluster in (before_cluster, after_cluster):
            for group in cluster["workerGroupSpecs"]:
                for name in ("replicas", "minReplicas", "maxReplicas"):
                    group.pop(name)
        assert before_cluster == after_cluster
        kinds = [(one["kind"], one["metadata"]["name"].rsplit("-", 1)[0]) for one in overlay(number)]
        assert kinds == [(one["kind"], one["metadata"]["name"].rsplit("-", 1)[0]) for one in overlay(number - 1)]


@pytest.mark.parametrize("number", PHASES)
def test_the_database_has_connections_for_all(number: int) -> None:
    pods = sum(scaler["spec"]["maxReplicas"] for scaler in of_kind("HorizontalPodAutoscaler", number).values())
    (pool,) = {
        int(one["data"]["VOICE_DATABASE_POOL"])
        for one in of_kind("ConfigMap", number).values()
        if "VOICE_DATABASE_POOL" in one["data"]
    }
    surging = len(SERVING)  # one more pod of each deployment while a version is rolled out
    others = 5  # pages, the watcher, jobs
    (database,) = of_kind("Cluster", number).values()
    connections = int(database["spec"]["postgresql"]["parameters"]["max_connections"])
    assert (pods + surging + others) * pool < connections


@pytest.mark.parametrize("number", PHASES)
def test_the_serve_configuration_repeats_the_scaling_settings(number: int) -> None:
    """A Serve configuration replaces all scaling settings of ``inference/ray_app.py``, so it must repeat them."""
    for deployment in serve_config(number)["applications"][0]["deployments"]:
        if deployment["name"] == "units":
            continue
        scaling = dict(deployment["autoscaling_config"])
        assert scaling.pop("min_replicas") <= scaling.pop("max_replicas")
        module, function = scaling.pop("policy")["policy_function"].split(":")
        assert callable(getattr(import_module(module), function))
        assert scaling == {
            "target_ongoing_requests": settings.VOICE_RAY_ONGOING,
            "upscale_delay_s": settings.VOICE_RAY_UPSCALE_DELAY_S,
            "downscale_delay_s": settings.VOICE_RAY_DOWNSCALE_DELAY_S,
            "look_back_period_s": LOOK_BACK_S,
        }


def test_the_ray_head_keeps_its_state_in_redis() -> None:
    (service,) = of_kind("RayService").values()
    cluster = service["spec"]["rayClusterConfig"]
    host, _, port = cluster["gcsFaultToleranceOptions"]["redisAddress"].partition(":")
    (redis,) = of_kind("StatefulSet").values()
    assert of_kind("Service")[host]["spec"]["ports"][0]["port"] == int(port)
    (container,) = redis["spec"]["template"]["spec"]["containers"]
    asked = cluster["gcsFaultToleranceOptions"]["redisPassword"]["valueFrom"]
    served = container["env"][0]["valueFrom"]
    assert asked == served
    assert "--appendonly yes" in " ".join(container["args"])
    assert redis["spec"]["volumeClaimTemplates"]
    pods = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    classes = {pod["template"]["spec"]["priorityClassName"] for pod in pods}
    assert classes == set(of_kind("PriorityClass"))
    (budget,) = (one for one in of_kind("PodDisruptionBudget").values() if "inference" in one["metadata"]["name"])
    for pod in pods:
        assert budget["spec"]["selector"]["matchLabels"].items() <= pod["template"]["metadata"]["labels"].items()
