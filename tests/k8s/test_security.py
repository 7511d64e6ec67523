"""Pods have few rights, the repository contains no Secret, and network policies allow only necessary connections."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.k8s.manifests import (
    API,
    K8S,
    PHASES,
    SERVING,
    Manifest,
    Workload,
    environment,
    of_kind,
    overlay,
    strings,
    workloads,
)

PODS = list(workloads())
SECRET_NAME = re.compile(r"(password|passwd|secret|token|api.?key|credential)s?$", re.IGNORECASE)
SECRET_VALUE = re.compile(r"://[^/\s:@$]*:[^/\s@$]+@|-----BEGIN|\bvk_|\bAKIA[A-Z0-9]{12}")


@pytest.mark.parametrize("pod", PODS, ids=str)
def test_pods_have_minimal_privileges(pod: Workload) -> None:
    context = pod.spec["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod.containers:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted <= {volume["name"] for volume in pod.spec["volumes"]} | pod.claims
    written = [volume for volume in pod.spec["volumes"] if volume.get("configMap") != {"name": "voice-phase"}]
    assert all("emptyDir" in volume and volume["emptyDir"]["sizeLimit"] for volume in written)
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod.spec)


@pytest.mark.parametrize("pod", PODS, ids=str)
def test_pods_get_no_service_account_token(pod: Workload) -> None:
    if pod.name != "voice-inference-head":  # its autoscaler uses a service account made by KubeRay to ask for pods
        assert pod.spec["automountServiceAccountToken"] is False


@pytest.mark.parametrize("pod", PODS, ids=str)
def test_every_container_has_resource_requests(pod: Workload) -> None:
    for container in pod.containers:
        for amounts in (container["resources"]["requests"], container["resources"]["limits"]):
            assert {"cpu", "memory"} <= set(amounts)


def test_the_namespace_enforces_minimal_privileges() -> None:
    (namespace,) = of_kind("Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("phase", PHASES)
def test_manifests_contain_no_secret(phase: int) -> None:
    assert not of_kind("Secret", phase)
    for pod in workloads(phase):
        for container in pod.containers:
            for name, value in environment(container, phase).items():
                if SECRET_NAME.search(name) or name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "VOICE_EMAIL_URL"):
                    assert value is None, f"{pod}: {name} is in clear"
    for one in overlay(phase):
        found = [text for text in strings(one) if SECRET_VALUE.search(text)]
        assert not found, f"{one['kind']} {one['metadata']['name']}: {found}"


def test_kustomize_generates_no_secret() -> None:
    for path in K8S.rglob("kustomization.yaml"):
        assert "secretGenerator" not in yaml.safe_load(path.read_text()), path


# --- Which pods may connect to which: the rules of the network policies, evaluated ------------------------------------

Peer = dict[str, str]  # labels of a pod; also ``namespace``, the namespace's name, or ``address`` for a peer outside


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    for one in selector.get("matchExpressions", []):
        assert one["operator"] == "In"
        if labels.get(one["key"]) not in one["values"]:
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()


def meant(peer: Manifest, other: Peer) -> bool:
    if "ipBlock" in peer:
        block = ipaddress.ip_network(peer["ipBlock"]["cidr"])
        return "address" in other and ipaddress.ip_address(other["address"]) in block
    if "address" in other:
        return False
    namespace = {"kubernetes.io/metadata.name": other["namespace"]}
    in_namespace = (
        selects(peer["namespaceSelector"], namespace)
        if "namespaceSelector" in peer
        else (other["namespace"] == "voice")
    )
    return in_namespace and selects(peer.get("podSelector", {}), other)


def policies(pod: Peer, direction: str) -> Iterator[Manifest]:
    for policy in of_kind("NetworkPolicy").values():
        if direction in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], pod):
            yield policy["spec"]


def lets(pod: Peer, other: Peer, port: int, direction: str, protocol: str) -> bool:
    key, peers = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    return any(
        any(meant(peer, other) for peer in rule[peers])
        and any(one["port"] == port and one["protocol"] == protocol for one in rule.get("ports", []))
        | ("ports" not in rule)
        for policy in policies(pod, direction)
        for rule in policy.get(key, [])
    )


def may(source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    ours: Any = "voice"
    sends = source.get("namespace") != ours or lets(source, target, port, "Egress", protocol)
    return sends and (target.get("namespace") != ours or lets(target, source, port, "Ingress", protocol))


def somewhere(namespace: str) -> Peer:
    return {"namespace": namespace}


def pod(name: str) -> Peer:
    (found,) = (one for one in PODS if one.name == name)
    return {**found.labels, "namespace": "voice"}


REDIS = pod("redis")
DATABASE = {"cnpg.io/cluster": "voice-database", "app.kubernetes.io/component": "database", "namespace": "voice"}
HEAD = pod("voice-inference-head")
WORKER = pod("voice-inference-t4")
DJANGO = [pod(name) for name in (*SERVING, "capacity-watcher", "migrate", "daily", "statements", "weekly-summary")]
OUTSIDE = {"address": "203.0.113.7"}


def test_network_access_is_denied_by_default() -> None:
    for one in [*DJANGO, REDIS, DATABASE, HEAD, WORKER]:
        for direction in ("Ingress", "Egress"):
            assert {} in [policy["podSelector"] for policy in policies(one, direction)]
        assert may(one, somewhere("kube-system"), 53, "UDP")
        assert not may(one, OUTSIDE, 80)
        assert not may(somewhere("default"), one, 8000)


def test_needed_connections_are_allowed() -> None:
    for one in DJANGO:
        assert may(one, REDIS, 6379)
        assert may(one, DATABASE, 5432)
    for name in SERVING:
        assert may(somewhere("ingress-nginx"), pod(name), 8000)
        assert may(somewhere("monitoring"), pod(name), 8000)
        assert may(pod(name), WORKER, 8000)
        assert may(pod(name), OUTSIDE, 443)  # to fetch signing keys
    for port in (25, 443, 465, 587):
        assert may(pod("capacity-watcher"), OUTSIDE, port)
    for one, other in ((HEAD, WORKER), (WORKER, HEAD), (WORKER, WORKER)):
        assert may(one, other, 6379)
        assert may(one, other, 10_002)
    assert may(somewhere("kuberay-system"), HEAD, 8265)
    assert may(somewhere("monitoring"), WORKER, 8080)
    assert may(HEAD, OUTSIDE, 443)  # the Kubernetes API
    assert may(DATABASE, DATABASE, 5432)
    assert may(somewhere("cnpg-system"), DATABASE, 8000)
    assert may(DATABASE, OUTSIDE, 443)  # backups


def test_unneeded_connections_are_denied() -> None:
    for name in SERVING:
        assert not may(pod(name), pod(API[0]), 8000)
        assert not may(pod(name), HEAD, 8265)  # Ray's dashboard runs any code that it is sent
        assert not may(somewhere("ingress-nginx"), pod(name), 9000)
    for one in (HEAD, WORKER):
        assert not may(one, DATABASE, 5432)
        assert not may(one, REDIS, 6379)
    assert not may(REDIS, DATABASE, 5432)
    assert not may(REDIS, OUTSIDE, 443)
    assert not may(pod("statements"), OUTSIDE, 443)
    assert not may(somewhere("ingress-nginx"), DATABASE, 5432)
    assert not may(somewhere("ingress-nginx"), REDIS, 6379)
