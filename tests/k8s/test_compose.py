"""The references within compose.yaml match, and its commands work when they are run without a container runtime."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests import dependencies
from tests.k8s.images import API_IMAGE
from tests.k8s.manifests import K8S, ROOT
from tests.k8s.programs import found, listening
from voiceproject import VERSION

PLAN = yaml.safe_load((ROOT / "compose.yaml").read_text())
PARTS: dict[str, Any] = PLAN["services"]
EXAMPLE = (ROOT / "docker" / "compose" / "env.example").read_text()
PAGE = (ROOT / "docs" / "one-machine.md").read_text()
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::?[-?][^}]*)?\}")
PATIENCE_S = 60.0
OPTIONAL = {
    "VOICE_INFERENCE_URL",
    "VOICE_ALERT_EMAILS",
    "VOICE_ALERT_WEBHOOKS",
    "VOICE_SUMMARY_EMAILS",
    "VOICE_EMAIL_URL",
    "VOICE_RUNBOOK_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
}
GIVEN = {"VOICE_HOST_NAME": "voice.example.com", "SECRET_KEY": "only-for-this-test", "POSTGRES_PASSWORD": "p"}


def filled(text: str, **given: str) -> str:
    """Substitute variables as Compose does. A variable that is not in ``given`` gets its default, or else is empty."""

    def value(match: re.Match[str]) -> str:
        default = re.search(r":?-([^}]*)\}", match[0])
        return given.get(match[1]) or (default[1] if default else "")

    return VARIABLE.sub(value, text).replace("$$", "$")


def shell_line(part: str) -> str:
    """Return the script of a service whose command is ``sh -c SCRIPT``."""
    shell, flag, script = PARTS[part].get("command") or PARTS[part]["entrypoint"]
    assert (shell, flag) == ("sh", "-c")
    return filled(script)


def test_required_variables_are_in_the_example() -> None:
    offered = dict(re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert set(VARIABLE.findall((ROOT / "compose.yaml").read_text())) == set(offered)
    assert offered["VOICE_VERSION"] == VERSION
    assert not any(offered[name] for name in ("SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "GRAFANA_PASSWORD"))
    assert ".env" in (ROOT / ".gitignore").read_text().split()


@pytest.mark.parametrize("name", PARTS)
def test_each_service_is_configured(name: str) -> None:
    part = PARTS[name]
    pinned = r":(\$\{VOICE_VERSION:\?\}|v?\d+[\w.-]*@sha256:[0-9a-f]{64})$"
    assert re.search(pinned, part["image"]), "a tag that says which version, and a digest where it is not ours"
    assert part["restart"] == "unless-stopped"
    assert part["logging"] == {"driver": "json-file", "options": {"max-size": "50m", "max-file": "5"}}
    for volume in part.get("volumes", []):
        source = volume.split(":")[0]
        assert (ROOT / source).exists() if source.startswith(".") else source in PLAN["volumes"], source
    for other in part.get("depends_on", []):
        assert other in PARTS
    open_ports = [port for port in part.get("ports", []) if not port.startswith("127.0.0.1:")]
    assert not open_ports or name == "caddy"
    if "build" in part:
        assert (ROOT / part["build"]["dockerfile"]).exists()
        assert part["read_only"]
        assert part["cap_drop"] == ["ALL"]


def test_its_variables_are_settings() -> None:
    documented = set(
        re.findall(r"^\| `([A-Z_0-9]+)` \|", (ROOT / "docs" / "configuration.md").read_text(), re.MULTILINE)
    )
    for name in ("voice", "tier"):
        assert set(PARTS[name]["environment"]) <= documented


def test_the_service_as_it_is_run(tmp_path: Path, postgres_url: str, redis_url: str) -> None:
    (entry,) = API_IMAGE.all_of("ENTRYPOINT")
    line = [sys.executable, *json.loads(entry)[1:], *PARTS["voice"]["command"]]
    told = {name: filled(value, **GIVEN) for name, value in PARTS["voice"]["environment"].items()}
    port = dependencies.free_port()
    here = {
        "DATABASE_URL": postgres_url,
        "REDIS_URL": redis_url,
        "PORT": str(port),
        "VOICE_STATE_DIR": str(tmp_path),
        "VOICE_HOST": "127.0.0.1",
        "VOICE_ASR_MODEL": "whisper-ms-demo",
        "VOICE_TTS_MODEL": "espeak-ng",
        "DJANGO_SETTINGS_MODULE": "voiceproject.settings",
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(line, cwd=ROOT, env={**os.environ, **told, **here}, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 2 * PATIENCE_S
        status = 0
        while status != 200 or "leads the watch" not in (tmp_path / "log").read_text():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            with suppress(httpx.TransportError):
                status = httpx.get(f"http://127.0.0.1:{port}/readyz", headers={"Host": "voice.example.com"}).status_code
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_prometheus_has_the_rules_of_the_cluster(tmp_path: Path) -> None:
    program = found("prometheus")
    port = dependencies.free_port()
    script = shell_line("prometheus")
    places = {
        "/etc/prometheus/cluster-rules.yaml": str(K8S / "monitoring" / "rules.yaml"),
        "/etc/prometheus/prometheus.yaml": str(tmp_path / "prometheus.yaml"),
        "=/prometheus": f"={tmp_path / 'data'}",
        "/tmp/rules.yaml": str(tmp_path / "rules.yaml"),
        "exec prometheus": f"exec {program} --web.listen-address=127.0.0.1:{port}",
    }
    config = (ROOT / "docker" / "compose" / "prometheus.yaml").read_text()
    (tmp_path / "prometheus.yaml").write_text(config.replace("/tmp/rules.yaml", str(tmp_path / "rules.yaml")))
    for there, here in places.items():
        script = script.replace(there, here)
    with listening(["sh", "-c", script], port, tmp_path / "log"):
        asked = httpx.get(f"http://127.0.0.1:{port}/api/v1/rules", timeout=PATIENCE_S).json()["data"]["groups"]
    loaded = {rule["name"] for group in asked for rule in group["rules"]}
    spec = yaml.safe_load((K8S / "monitoring" / "rules.yaml").read_text())["spec"]
    assert loaded == {rule.get("alert") or rule["record"] for group in spec["groups"] for rule in group["rules"]}


def test_redis_requires_its_password(tmp_path: Path) -> None:
    found("redis-server")
    port = dependencies.free_port()
    script = shell_line("redis").replace("/data", str(tmp_path)) + f" --port {port} --bind 127.0.0.1"
    told = {"PATH": os.environ["PATH"], "REDISCLI_AUTH": "rahsia-ujian"}
    with listening(["sh", "-c", script], port, tmp_path / "log", told):
        ping = [found("redis-cli"), "-p", str(port), "ping"]
        known, stranger = (
            subprocess.run(ping, check=False, capture_output=True, text=True, env=environment).stdout
            for environment in (told, {"PATH": told["PATH"]})
        )
    assert known.strip() == "PONG"
    assert "NOAUTH" in stranger


@pytest.mark.skipif(shutil.which("caddy") is None, reason="Caddy is not installed")
def test_caddy_accepts_its_configuration() -> None:
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", ROOT / "docker" / "compose" / "Caddyfile"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **GIVEN})
    assert done.returncode == 0, done.stderr


def test_grafana_finds_its_dashboard() -> None:
    mounted = dict(volume.split(":")[:2][::-1] for volume in PARTS["grafana"]["volumes"])
    (provider,) = yaml.safe_load(Path(ROOT / mounted["/etc/grafana/provisioning/dashboards/voice.yaml"]).read_text())[
        "providers"
    ]
    folder = provider["options"]["path"]
    boards = [path for path in mounted if path.startswith(f"{folder}/")]
    assert boards
    assert all(json.loads((ROOT / mounted[path]).read_text())["panels"] for path in boards)
    (source,) = yaml.safe_load((ROOT / mounted["/etc/grafana/provisioning/datasources/voice.yaml"]).read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    assert source["isDefault"]


def test_the_docs_describe_this_file() -> None:
    named = set(re.findall(r"docker compose exec (?:-T )?(\w+)", PAGE))
    assert named <= set(PARTS)
    (made,) = re.findall(r"for name in ([A-Z_ ]+);", PAGE)
    assert set(made.split()) == set(re.findall(r"^(\w+)=$", EXAMPLE, re.MULTILINE)) - OPTIONAL
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL):
        subprocess.run(["bash", "-n", "-c", block], check=True)
    for page in re.findall(r"\]\(([\w.-]+\.md)", PAGE):
        assert (ROOT / "docs" / page).exists(), page
