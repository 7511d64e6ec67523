"""References in the manifests match: images, labels, ports, addresses, settings and times."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver, resolve

from capacity.uptime import url as probe_url
from tests.k8s.manifests import (
    K8S,
    PHASES,
    ROOT,
    SERVING,
    Manifest,
    Workload,
    built,
    environment,
    of_kind,
    strings,
    workloads,
)
from voiceproject import VERSION
from voiceproject.asgi import _sockets
from voiceproject.server import CANCEL_S

REDIS = ("redis", "ray-redis")  # one for the service, one for Ray's head
PODS = list(workloads())
OURS = [pod for pod in PODS if pod.name not in REDIS]


def containers(phase: int) -> Iterator[tuple[Workload, Manifest]]:
    for pod in workloads(phase):
        for container in pod.containers:
            yield pod, container


# --- Images ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", PHASES)
def test_images(phase: int) -> None:
    """There are two images of this project, with the same version and one Dockerfile each."""
    versions = set()
    for pod, container in containers(phase):
        if pod.name in REDIS:
            assert re.fullmatch(r"redis:\d+\.\d+\.\d+-alpine@sha256:[0-9a-f]{64}", container["image"])
            continue
        path, version = container["image"].rsplit(":", 1)
        expected = "gpu" if pod.kind == "RayService" else "api"
        assert path.rsplit("/", 1)[1] == f"voice-{expected}"
        assert (ROOT / "docker" / f"{expected}.Dockerfile").exists()
        versions.add(version)
    assert versions == {VERSION}
    assert f"migrate-{VERSION}" in of_kind("Job", phase)


def test_only_the_inference_tier_has_gpus() -> None:
    for pod, container in containers(4):
        has_gpu = "nvidia.com/gpu" in container["resources"]["limits"]
        assert has_gpu == (pod.name == "voice-inference-t4")
        if has_gpu:
            assert pod.spec["nodeSelector"] == {"nvidia.com/gpu.product": "Tesla-T4"}
            assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod.spec["tolerations"]


# --- Labels and ports ------------------------------------------------------------------------------------------------


def matching(selector: dict[str, str]) -> set[str]:
    return {pod.name for pod in PODS if selector.items() <= pod.labels.items()}


def test_selectors() -> None:
    for name, deployment in of_kind("Deployment").items():
        assert matching(deployment["spec"]["selector"]["matchLabels"]) == {name}
        for spread in deployment["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
            assert matching(spread["labelSelector"]["matchLabels"]) == {name}
    for name, service in of_kind("Service").items():
        assert matching(service["spec"]["selector"]) == {name}
    budgets = dict(of_kind("PodDisruptionBudget"))
    assert budgets.pop("voice-inference")["spec"]["maxUnavailable"] == 1
    for name, budget in budgets.items():
        assert matching(budget["spec"]["selector"]["matchLabels"]) == {name}
        assert budget["spec"]["maxUnavailable"] == 1
    assert set(budgets) == set(SERVING)


def test_pods_are_spread() -> None:
    for name in SERVING:
        spec = of_kind("Deployment")[name]["spec"]["template"]["spec"]
        keys = [spread["topologyKey"] for spread in spec["topologySpreadConstraints"]]
        assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]


def port_of(pod: Workload, name: str) -> int:
    (port,) = (one["containerPort"] for one in pod.spec["containers"][0]["ports"] if one["name"] == name)
    return int(port)


def test_ports() -> None:
    by_name = {pod.name: pod for pod in PODS}
    for name, service in of_kind("Service").items():
        for port in service["spec"]["ports"]:
            assert port_of(by_name[name], port["targetPort"]) == (6379 if name in REDIS else settings.PORT)
    for path, backend in routes():
        service = of_kind("Service")[backend["name"]]
        assert backend["port"]["name"] in [port["name"] for port in service["spec"]["ports"]], path
    for monitor in of_kind("ServiceMonitor").values():
        wanted = monitor["spec"]["selector"]["matchLabels"]
        services = [one for one in of_kind("Service").values() if wanted.items() <= one["metadata"]["labels"].items()]
        assert {one["metadata"]["name"] for one in services} == set(SERVING)
        for endpoint in monitor["spec"]["endpoints"]:
            assert endpoint["port"] in [port["name"] for one in services for port in one["spec"]["ports"]]
            assert resolve(endpoint["path"])
    monitor = of_kind("PodMonitor")["voice-inference"]
    for name in matching(monitor["spec"]["selector"]["matchLabels"]):
        assert port_of(by_name[name], monitor["spec"]["podMetricsEndpoints"][0]["port"])


def test_the_inference_tier_is_where_the_api_looks_for_it() -> None:
    (service,) = of_kind("RayService")
    address = environment(of_kind("Deployment")["asr-api"]["spec"]["template"]["spec"]["containers"][0])
    # KubeRay makes this service. It selects the workers whose proxies answer.
    assert address["VOICE_INFERENCE_URL"] == f"http://{service}-serve-svc:8000"
    worker = next(pod for pod in PODS if pod.name == "voice-inference-t4")
    assert port_of(worker, "serve") == 8000


# --- Addresses -------------------------------------------------------------------------------------------------------


def routes() -> Iterator[tuple[Manifest, Manifest]]:
    (ingress,) = of_kind("Ingress").values()
    for rule in ingress["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            yield path, path["backend"]["service"]


def served_by(address: str) -> str | None:
    """Return the backend that an ingress controller chooses for a path: an exact match, else the longest prefix."""
    found: list[tuple[int, str]] = []
    for path, backend in routes():
        prefix = path["path"].rstrip("/")
        if path["pathType"] == "Exact" and address == path["path"]:
            return str(backend["name"])
        if path["pathType"] == "Prefix" and (address == prefix or address.startswith(f"{prefix}/")):
            found.append((len(prefix), backend["name"]))
    return max(found)[1] if found else None


def addresses(patterns: list[URLPattern | URLResolver], before: str = "/") -> Iterator[str]:
    for one in patterns:
        route = getattr(one.pattern, "_route", None)
        if route is None:
            continue  # a pattern by regular expression
        here = before + re.sub(r"<[^>]+>", "x", route)
        if isinstance(one, URLPattern):
            yield here
        else:
            yield from addresses(one.url_patterns, here)


HIDDEN = {"/metrics", "/healthz"}


def test_every_public_path_is_routed() -> None:
    found = set(addresses(get_resolver().url_patterns))
    assert found > {"/", "/v1/audio/speech", "/v1/models/x", "/admin/", *HIDDEN}
    assert {address for address in found if served_by(address) is None} == HIDDEN
    assert all(served_by(address) == "realtime" for address in _sockets())


@pytest.mark.parametrize(
    ("address", "service"),
    [
        ("/v1/audio/transcriptions", "asr-api"),
        ("/v1/audio/transcriptions/x/correction", "asr-api"),
        ("/v1/audio/translations", "asr-api"),
        ("/v1/audio/speech", "tts-api"),
        ("/v1/audio/speech/x/rating", "tts-api"),
        ("/v1/realtime", "realtime"),
        ("/v1/realtime/client_secrets", "realtime"),
        ("/ws/asr", "realtime"),
        ("/ws/tts", "realtime"),
        ("/v1/models", "asr-api"),
        ("/v1/usage", "pages"),
        ("/v1/voice/availability", "asr-api"),
        ("/admin/usage/plan/", "pages"),
        ("/dashboard/", "pages"),
        ("/static/look.css", "pages"),
        ("/readyz", "asr-api"),
        ("/metrics", None),
        ("/metrics/", None),
        ("/nowhere", None),
    ],
)
def test_each_path_has_its_deployment(address: str, service: str | None) -> None:
    assert served_by(address) == service


def test_the_ingress_accepts_the_services_body_sizes_and_times() -> None:
    (ingress,) = of_kind("Ingress").values()
    notes = ingress["metadata"]["annotations"]
    largest = settings.VOICE_MAX_UPLOAD_BYTES + settings.MULTIPART_OVERHEAD_BYTES
    for name in ("nginx.org/client-max-body-size", "nginx.ingress.kubernetes.io/proxy-body-size"):
        assert int(notes[name].removesuffix("m")) * 1024 * 1024 >= largest
    # What users say is never written to a disk: nginx may buffer neither request nor response bodies in files.
    assert notes["nginx.org/client-body-buffer-size"] == notes["nginx.org/client-max-body-size"]
    assert notes["nginx.org/proxy-max-temp-file-size"] == "0"
    assert notes["nginx.ingress.kubernetes.io/proxy-request-buffering"] == "off"
    for prefix in ("nginx.org", "nginx.ingress.kubernetes.io"):
        for direction in ("read", "send"):
            seconds = notes[f"{prefix}/proxy-{direction}-timeout"].removesuffix("s")
            assert float(seconds) > max(settings.VOICE_WS_MAX_S, settings.VOICE_DEADLINE_S)
    assert notes["nginx.org/websocket-services"] == "realtime"


@pytest.mark.parametrize("pod", [pod for pod in PODS if pod.name in SERVING], ids=str)
def test_probes(pod: Workload) -> None:
    (container,) = pod.spec["containers"]
    asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: get["path"] for name, get in asked.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": f"/readyz?for={'pages' if pod.name == 'pages' else 'traffic'}",
    }
    for get in asked.values():
        assert resolve(get["path"].partition("?")[0])
        assert port_of(pod, get["port"]) == settings.PORT


def test_the_host_name_is_the_same_everywhere() -> None:
    (ingress,) = of_kind("Ingress").values()
    (host,) = {rule["host"] for rule in ingress["spec"]["rules"]}
    assert ingress["spec"]["tls"][0]["hosts"] == [host]
    told = environment(next(pod for pod in PODS if pod.name == "asr-api").containers[-1])
    assert told["VOICE_ALLOWED_HOSTS"] == host
    assert told["VOICE_CSRF_TRUSTED_ORIGINS"] == f"https://{host}"
    assert told["VOICE_PROBE_URL"] == f"https://{host}/readyz" != probe_url()


def test_values_that_operators_edit_are_in_one_folder(tmp_path: Path) -> None:
    """Every value in ``k8s/site`` reaches the manifests that use it, and no placeholder is left over."""
    shutil.copytree(K8S, tmp_path / "k8s")
    plan = tmp_path / "k8s" / "site" / "kustomization.yaml"
    (literals,) = (
        one["literals"] for one in yaml.safe_load(plan.read_text())["configMapGenerator"] if "literals" in one
    )
    text = plan.read_text()
    for literal in literals:
        name, _, value = literal.partition("=")
        text = text.replace(f"- {literal}\n", f"- {name}={value[:5]}other-{name}\n")
    plan.write_text(text)
    made = list(strings(list(built(tmp_path / "k8s" / "overlays" / "phase-1"))))
    for literal in literals:
        name, _, value = literal.partition("=")
        assert [one for one in made if one.startswith(f"{value[:5]}other-{name}")], name
        assert not [one for one in made if one.partition("#")[0] == value], name


# --- Settings and times ----------------------------------------------------------------------------------------------

# Variables that are not in settings.py: other programs or other parts of the project read them.
NOT_OURS = {"REDISCLI_AUTH"}


@pytest.mark.parametrize("phase", PHASES)
def test_every_variable_is_a_setting(phase: int) -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z_0-9]+)` \|", page, re.MULTILINE))
    for pod, container in containers(phase):
        told = {name for name in environment(container, phase) if not name.startswith("RAY_")}  # Ray reads these
        assert told <= documented | NOT_OURS, pod


def test_all_processes_have_the_same_settings() -> None:
    told = [environment(pod.containers[-1]) for pod in OURS if pod.kind != "RayService"]
    for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL"):
        assert all(name in one for one in told)
    api = [one for pod, one in zip(OURS, told, strict=False) if pod.name in SERVING]
    assert all(one == api[0] for one in api)
    models = environment(next(pod for pod in PODS if pod.name == "voice-inference-t4").containers[-1])
    for name, value in models.items():
        if name.startswith(("VOICE_ASR", "VOICE_COQUI")):
            assert api[0][name] == value


def test_threads_match_the_cpu_limit() -> None:
    for pod in PODS:
        if pod.name in SERVING:
            container = pod.containers[-1]
            assert environment(container)["VOICE_CPU_THREADS"] == container["resources"]["limits"]["cpu"]


def test_the_grace_period_is_long_enough() -> None:
    for pod in PODS:
        if pod.name not in SERVING:
            continue
        container = pod.containers[-1]
        grace_s = float(environment(container)["VOICE_GRACE_S"] or "nan")
        assert grace_s > settings.VOICE_WS_DRAIN_S
        wait_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert wait_s > container["readinessProbe"]["periodSeconds"]
        assert pod.spec["terminationGracePeriodSeconds"] > wait_s + grace_s + CANCEL_S


def test_migrations_come_first() -> None:
    for pod in PODS:
        if pod.name in (*SERVING, "capacity-watcher"):
            (waiting,) = pod.spec["initContainers"]
            assert "migrate --check" in waiting["command"][-1]
        if pod.name in SERVING:
            assert pod.containers[-1]["args"] == ["serve", "--no-migrate"]


def test_the_ray_version_is_the_installed_one() -> None:
    pinned = ROOT / "requirements-cluster.txt"
    (service,) = of_kind("RayService").values()
    assert f"ray=={service['spec']['rayClusterConfig']['rayVersion']}" in pinned.read_text().replace("[serve]", "")


def test_every_file_is_used() -> None:
    """A manifest that no kustomization names would never be applied, and nothing would report this."""
    for folder in {path.parent for path in K8S.rglob("*.yaml")}:
        text = (folder / "kustomization.yaml").read_text()
        plan = yaml.safe_load(text)
        named = {
            *(
                path.name for path in folder.glob("*.yaml") if f"rule in {path.name}" in text
            ),  # another program reads these
            *plan.get("resources", []),
            *plan.get("configurations", []),
            *(one["path"] for one in plan.get("patches", []) if "path" in one),
        }
        named |= {"kustomization.yaml", "adapter-rule.yaml"}  # the second is for the Prometheus adapter's settings
        assert {path.name for path in folder.glob("*.yaml")} <= named, folder
