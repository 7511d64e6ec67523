"""The manifests that kustomize builds from the overlays, and functions that look into them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "k8s"
PHASES = (1, 2, 3, 4)
API = ("asr-api", "tts-api", "realtime")
SERVING = (*API, "pages")  # the deployments that listen for requests

Manifest = dict[str, Any]


@cache
def overlay(phase: int) -> tuple[Manifest, ...]:
    return built(K8S / "overlays" / f"phase-{phase}")


@cache
def built(folder: Path) -> tuple[Manifest, ...]:
    """Return the manifests of a folder, built with the kustomize of the kubectl in the virtual environment."""
    kubectl = Path(sys.executable).parent / "kubectl"
    done = subprocess.run([kubectl, "kustomize", folder], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower(), done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def of_kind(kind: str, phase: int = 1) -> dict[str, Manifest]:
    """Return the objects of a kind, by name."""
    return {one["metadata"]["name"]: one for one in overlay(phase) if one["kind"] == kind}


@dataclass(frozen=True)
class Workload:
    """An object that creates pods, such as a Deployment.

    ``name``: the name of the object.
    ``kind``: the kind of the object.
    ``template``: the template of its pods.
    ``claims``: the names of the volumes that each pod gets.
    """

    name: str
    kind: str
    template: Manifest
    claims: frozenset[str] = frozenset()

    @property
    def labels(self) -> dict[str, str]:
        labels: dict[str, str] = self.template["metadata"]["labels"]
        return labels

    @property
    def spec(self) -> Manifest:
        spec: Manifest = self.template["spec"]
        return spec

    @property
    def containers(self) -> list[Manifest]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    def __str__(self) -> str:
        return f"{self.kind}-{self.name}"


def workloads(phase: int = 1) -> Iterator[Workload]:
    for one in overlay(phase):
        kind = one["kind"]
        name = one["metadata"]["name"]
        spec = one.get("spec", {})
        match kind:
            case "Deployment" | "Job" | "StatefulSet":  # the name of a job ends with the version
                claims = frozenset(one["metadata"]["name"] for one in spec.get("volumeClaimTemplates", []))
                yield Workload(re.sub(r"-\d+\.\d+\.\d+$", "", name), kind, spec["template"], claims)
            case "CronJob":
                yield Workload(name, kind, spec["jobTemplate"]["spec"]["template"])
            case "RayService":
                cluster = spec["rayClusterConfig"]
                yield Workload(f"{name}-head", kind, cluster["headGroupSpec"]["template"])
                for group in cluster["workerGroupSpecs"]:
                    yield Workload(f"{name}-{group['groupName']}", kind, group["template"])


def environment(container: Manifest, phase: int = 1) -> dict[str, str | None]:
    """Return the environment variables of a container. A value that comes from a Secret is None."""
    told: dict[str, str | None] = {}
    for source in container.get("envFrom", []):
        told |= of_kind("ConfigMap", phase)[source["configMapRef"]["name"]]["data"]
    for one in container.get("env", []):
        told[one["name"]] = one.get("value")
    return told


def serve_config(phase: int) -> Manifest:
    (service,) = of_kind("RayService", phase).values()
    config: Manifest = yaml.safe_load(service["spec"]["serveConfigV2"])
    return config


def strings(part: Any) -> Iterator[str]:
    """Yield every string in a nested structure, including keys."""
    match part:
        case dict():
            for key, value in part.items():
                yield from strings(key)
                yield from strings(value)
        case list():
            for value in part:
                yield from strings(value)
        case str():
            yield part
