"""The component that scales the API deployments by users as well as by CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from capacity.models import Phase
from tests.k8s.manifests import API, K8S, ROOT, built
from tests.k8s.test_phases import REQUIRED_HPA
from tools.planning import hpa
from tools.planning.load_steps import USERS_PER_POD

COMPONENT = K8S / "components" / "scale-by-users"


@pytest.fixture(scope="module")
def scalers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """The autoscalers in the base manifests with this component added, by name."""
    folder = tmp_path_factory.mktemp("site", numbered=True)
    base, component = (Path("/").joinpath(*one.parts) for one in (K8S / "base", COMPONENT))
    up = Path(*[".."] * (len(folder.resolve().parts) - 1))
    plan = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [str(up / base.relative_to("/"))],
        "components": [str(up / component.relative_to("/"))],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(plan))
    return {one["metadata"]["name"]: one for one in built(folder) if one["kind"] == "HorizontalPodAutoscaler"}


def test_it_works(scalers: dict[str, dict]) -> None:
    assert {f"{name}-hpa" for name in API} <= set(scalers)
    for scaler in scalers.values():
        cpu, _users = scaler["spec"]["metrics"]
        assert [cpu] == REQUIRED_HPA["metrics"], "what was required stays as it is"
        simulated = replace(hpa.API, users_per_pod=USERS_PER_POD).manifest()["metrics"]
        assert scaler["spec"]["metrics"] == simulated, "the simulator's is another one"


@pytest.mark.django_db
def test_the_target_is_that_of_the_first_phase(scalers: dict[str, dict]) -> None:
    """The target is the number of concurrent users per pod in phase 1."""
    phase = Phase.objects.get(number=1)
    for scaler in scalers.values():
        (_cpu, users) = scaler["spec"]["metrics"]
        assert int(users["pods"]["target"]["averageValue"]) == phase.concurrent_to / phase.pods_to


def test_the_adapter_uses_an_existing_metric() -> None:
    (rule,) = yaml.safe_load((COMPONENT / "adapter-rule.yaml").read_text())
    assert rule["name"]["matches"] == hpa.USERS_METRIC
    assert f"[{round(hpa.USERS_WINDOW_S / 60)}m]" in rule["metricsQuery"]
    assert rule["name"]["matches"] in rule["seriesQuery"]
    assert rule["name"]["matches"] in (ROOT / "capacity" / "concurrent_users.py").read_text()
