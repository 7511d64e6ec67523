"""Every object is valid for the Kubernetes API server."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.k8s.manifests import K8S, PHASES, Manifest, built, overlay, workloads

KUBERNETES = "1.32"  # the oldest version that docs/kubernetes.md allows
OTHERS = yaml.safe_load((Path(__file__).parent / "crds.yaml").read_text())


def check(one: Manifest) -> None:
    # These imports take a second, so only the worker that needs them makes them.
    import jsonschema
    import kubernetes_validate  # type: ignore[import-untyped]

    if one["kind"] not in OTHERS:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
        return
    stated = OTHERS[one["kind"]]
    assert one["apiVersion"] == stated["version"]
    jsonschema.validate(one["spec"], {**stated["schema"], "$defs": OTHERS["$defs"]})


@pytest.mark.parametrize("phase", PHASES)
def test_it_works(phase: int) -> None:
    for one in overlay(phase):
        check(one)


def test_pods_in_a_ray_service_are_pods() -> None:
    pods = [workload for workload in workloads() if workload.kind == "RayService"]
    assert len(pods) == 2
    for pod in pods:
        metadata = {"name": "x", **pod.template["metadata"]}
        check({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod.spec})


def test_a_mistake_is_found() -> None:
    from jsonschema import ValidationError

    (service,) = (one for one in overlay(1) if one["kind"] == "RayService")
    with pytest.raises(ValidationError):
        check({**service, "spec": {**service["spec"], "workerGroups": []}})


def test_every_object_has_one_name_and_the_namespace() -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in overlay(1)]
    assert len(names) == len(set(names))
    for one in overlay(1):
        assert one["kind"] in ("Namespace", "PriorityClass") or one["metadata"]["namespace"] == "voice", one[
            "metadata"
        ]["name"]


def with_components(*names: str) -> tuple[Manifest, ...]:
    folder = (
        K8S.parent / "build" / "-".join(names).replace("/", "-")
    )  # kustomize accepts only paths relative to the folder
    folder.mkdir(parents=True, exist_ok=True)
    plan = {"resources": ["../../k8s/base"], "components": [f"../../k8s/{name}" for name in names]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(plan))
    return built(folder)


def test_an_external_database() -> None:
    objects = with_components("components/postgres-external")
    assert not [one for one in objects if one["apiVersion"].startswith("postgresql.cnpg.io")]
    (policy,) = (one for one in objects if one["metadata"]["name"] == "to-database")
    check(policy)


def test_restoring_a_database_from_backups() -> None:
    objects = with_components("components/postgres-operator", "site/postgres-restore")
    (database,) = (one for one in objects if one["kind"] == "Cluster")
    check(database)
    assert "initdb" not in database["spec"]["bootstrap"]
    ((source,), (archive,)) = (database["spec"][name] for name in ("externalClusters", "plugins"))
    assert source["name"] == database["spec"]["bootstrap"]["recovery"]["source"]
    folders = [source["plugin"]["parameters"], archive["parameters"]]
    assert folders[0]["serverName"] != folders[1]["serverName"], "it would write over what it restores from"
    assert len({folder["barmanObjectName"] for folder in folders}) == 1
