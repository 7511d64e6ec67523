"""The commands in docs/kubernetes.md and docs/operations.md work, as far as they can be run without a cluster."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

from tests.k8s.manifests import K8S, ROOT, SERVING, built, overlay, workloads
from tests.k8s.test_schema import check

PAGE = "".join((ROOT / "docs" / page).read_text() for page in ("kubernetes.md", "operations.md"))
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)

# Replaces kubectl in the PATH. It runs the real one with a server address where nothing listens. Only the error that
# the server cannot be reached is accepted; any complaint about the arguments is an error. Secrets are collected.
KUBECTL = """#!/bin/sh
case "$1 $2" in
  "create secret") exec "$KUBECTL" "$@" --dry-run=client -o json >>"$MADE" ;;
  "config "*) exit 0 ;;
esac
said=$("$KUBECTL" --server=http://127.0.0.1:1 --request-timeout=2s "$@" 2>&1) && exit 0
case "$said" in *"onnection refused"*|*"did you specify the right host"*) exit 0 ;; esac
echo "kubectl $*: $said" >&2
exit 1
"""
NOTHING = "#!/bin/sh\nexit 0\n"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {"kubectl": KUBECTL, "docker": NOTHING, "curl": NOTHING, "helm": NOTHING}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def run(block: str, programs: Path) -> list[dict]:
    """Run a block of commands; return the Secrets that it creates."""
    made = programs.parent / "made.json"
    made.write_text("")
    for name in ("voice.crt", "voice.key"):
        block = block.replace(name, str(programs.parent / name))
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "KUBECTL": str(Path(sys.executable).parent / "kubectl"),
        "MADE": str(made),
        "HOME": str(programs.parent),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=ROOT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    decoder = json.JSONDecoder()
    text = made.read_text().strip()
    found = []
    while text:
        one, end = decoder.raw_decode(text)
        found.append(one)
        text = text[end:].strip()
    return found


@pytest.fixture
def certificate(tmp_path: Path) -> None:
    subject = ["-subj", "/CN=voice.example.com", "-days", "1"]
    files = ["-keyout", tmp_path / "voice.key", "-out", tmp_path / "voice.crt"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files]
    subprocess.run(command, check=True, capture_output=True)


def test_commands_in_the_docs_are_valid(programs: Path, certificate: None) -> None:
    assert len(BLOCKS) > 8
    made: dict[str, set[str]] = {}
    for block in BLOCKS:
        for secret in run(block, programs):
            made[secret["metadata"]["name"]] = set(secret["data"])
    # The commands create every secret that a manifest refers to, with the keys that it uses.
    referred: dict[str, set[str]] = {}
    for one in overlay(1):
        for name, key in _references(one):
            referred.setdefault(name, set()).add(key)
    assert referred.pop("voice-tls") == {"tls.crt"}
    assert {"tls.crt", "tls.key"} <= made["voice-tls"]
    for name, keys in referred.items():
        assert keys <= made[name], name


def _references(part: object) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if isinstance(part, dict):
        if isinstance(part.get("secretName"), str):
            found.append((part["secretName"], "tls.crt"))
        for name, value in part.items():
            if name in ("secretKeyRef", "accessKeyId", "secretAccessKey"):
                assert value["key"] in PAGE or value["name"].endswith("-app")
                if not value.get("optional"):
                    found.append((value["name"], value["key"]))
            found += _references(value)
    if isinstance(part, list):
        for value in part:
            found += _references(value)
    return found


def test_a_wrong_command_is_noticed(programs: Path) -> None:
    with pytest.raises(AssertionError, match="unknown flag"):
        run("kubectl rollout status deployment/asr-api --for=ever", programs)
    with pytest.raises(AssertionError, match=r"phase-9|not found|no such"):
        run("kubectl apply -k k8s/overlays/phase-9", programs)


def test_applied_manifests_are_well_formed() -> None:
    texts = re.findall(r"<<'END'\n(.*?)\nEND\n", PAGE, re.DOTALL)
    assert texts
    for text in texts:
        check(yaml.safe_load(text))


def test_named_objects_exist() -> None:
    there = {(one["kind"].lower(), one["metadata"]["name"]) for one in overlay(1)}
    named = set(re.findall(r"\b(deployment|job|cluster|rayservice|cronjob)[/ ]([a-z][a-z0-9-]+)", " ".join(BLOCKS)))
    assert len(named) > 6
    assert {one for one in named if not one[1].endswith("-2")} <= there
    containers = {container["name"] for pod in workloads() for container in pod.containers}
    assert set(re.findall(r" -c (\w+) --", PAGE)) <= {*containers, "postgres"}  # the operator's container
    labels = {f"{key}={value}" for pod in workloads() for key, value in pod.labels.items()}
    assert set(re.findall(r"-l (\S+=[a-z]+)", PAGE)) <= labels


def test_its_management_commands_exist() -> None:
    assert set(re.findall(r"manage\.py (\w+)", PAGE)) <= set(get_commands())


def test_its_files_and_pages_exist() -> None:
    for path in re.findall(r"(?<![\w./])(k8s/[\w./-]+)", PAGE):
        assert (ROOT / path.rstrip(".")).exists(), path
    for page in re.findall(r"\]\(([\w.-]+\.md)\)", PAGE):
        assert (ROOT / "docs" / page).exists(), page


def test_the_patch_makes_daphne_serve(tmp_path: Path) -> None:
    (patch,) = re.findall(r"```yaml\n(patches:.*?)```", PAGE, re.DOTALL)
    shutil.copytree(K8S, tmp_path / "k8s")
    with (tmp_path / "k8s" / "site" / "kustomization.yaml").open("a") as plan:
        plan.write(patch)
    built_from = built(tmp_path / "k8s" / "overlays" / "phase-1")
    deployments = {one["metadata"]["name"]: one["spec"] for one in built_from if one["kind"] == "Deployment"}
    for name in SERVING:
        (container,) = deployments[name]["template"]["spec"]["containers"]
        assert container["args"] == ["serve", "--no-migrate", "--server", "daphne"]


def test_the_table_of_phases_matches_the_overlays() -> None:
    for phase in (1, 2, 3, 4):
        (row,) = re.findall(rf"^\| phase {phase} \| (.+) \|$", PAGE, re.MULTILINE)
        pods, gpus, users = (re.findall(r"\d+", cell) for cell in row.split(" | "))
        scaler = next(one for one in overlay(phase) if one["kind"] == "HorizontalPodAutoscaler")["spec"]
        assert pods == [str(scaler["minReplicas"]), str(scaler["maxReplicas"])]
        service = next(one for one in overlay(phase) if one["kind"] == "RayService")["spec"]["rayClusterConfig"]
        group = service["workerGroupSpecs"][0]
        assert [int(gpus[0]), int(gpus[-1])] == [group["minReplicas"], group["maxReplicas"]]
        maps = [one["data"] for one in overlay(phase) if one["kind"] == "ConfigMap"]
        assert users == [one["VOICE_MAX_CONCURRENT_USERS"] for one in maps if "VOICE_MAX_CONCURRENT_USERS" in one]
