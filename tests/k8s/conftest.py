from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests import dependencies
from tests.emptying import restore_migrated_rows
from tests.k8s.manifests import K8S
from tests.k8s.programs import found, listening


@pytest.fixture(scope="session")
def promtool() -> str:
    """The path of promtool, the program that checks Prometheus rules."""
    return found("promtool")


@pytest.fixture
def prometheus(tmp_path: Path, server_address: str) -> Iterator[str]:
    """The URL of a Prometheus that has the project's rules and scrapes this process every second."""
    rules = yaml.safe_load((K8S / "monitoring" / "rules.yaml").read_text())["spec"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules).replace("interval: 15s", "interval: 1s"))
    target = {"targets": [server_address.removeprefix("http://")], "labels": {"pod": "asr-api-1"}}
    plan = {
        "global": {"scrape_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": "voice", "static_configs": [target]}],
    }
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(plan))
    port = dependencies.free_port()
    command = [
        found("prometheus"),
        f"--config.file={tmp_path}/prometheus.yaml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with listening(command, port, tmp_path / "prometheus.log"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(autouse=True)
def migrated_rows(request: pytest.FixtureRequest) -> None:
    """Ensure that the rows of the migrations exist, whichever tests ran before."""
    if request.node.get_closest_marker("django_db") or "db" in request.fixturenames:
        request.getfixturevalue("db")
        restore_migrated_rows()
