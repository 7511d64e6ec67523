"""Every query of the Grafana dashboard uses metrics and labels that the running service exports."""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import promql_parser
import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from capacity.models import Metric, Rule, Sample
from tests import sound
from tests.asr.sockets import whole
from tests.emptying import restore_migrated_rows
from tests.k8s.manifests import K8S, ROOT, of_kind

DASHBOARD = json.loads((K8S / "monitoring" / "grafana-dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
RULES = of_kind("PrometheusRule")["voice"]["spec"]["groups"]

# Labels that Prometheus adds to every series when it scrapes a pod.
OF_THE_TARGET = {"pod", "instance", "job", "namespace", "service", "container", "endpoint"}
# Metrics that Ray exports on the pods of the inference tier: metrics of its nodes, and those of inference/ray_app.py.
OF_RAY = {"ray_node_gpus_utilization": {"GpuIndex"}} | {
    f"ray_voice_batch_{what}_{part}": {"engine"} for what in ("size", "seconds") for part in ("sum", "count")
}
# Metrics of kube-state-metrics about the namespace, and of CloudNativePG's Barman plugin about backups.
OF_THE_CLUSTER = {
    "kube_cronjob_status_last_schedule_time": {"cronjob"},
    "kube_cronjob_status_last_successful_time": {"cronjob"},
    "kube_horizontalpodautoscaler_status_desired_replicas": {"horizontalpodautoscaler"},
    "kube_horizontalpodautoscaler_spec_max_replicas": {"horizontalpodautoscaler"},
    "kube_persistentvolumeclaim_created": {"persistentvolumeclaim"},
    "barman_cloud_cloudnative_pg_io_last_available_backup_timestamp": set(),
}

Exported = dict[str, dict[str, set[str]]]  # metric → label → values seen


def queries() -> Iterator[tuple[str, str]]:
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], re.sub(r"\$(client|kind|pod)", ".*", target["expr"])


def selectors(query: str) -> list[promql_parser.VectorSelector]:
    found: list[promql_parser.VectorSelector] = []

    def note(part: Any) -> None:
        if isinstance(part, promql_parser.VectorSelector):
            found.append(part)

    promql_parser.walk(promql_parser.parse(query), note)
    return found


def grouped_by(query: str) -> set[str]:
    """Return the labels by which the aggregations of a query group."""
    kept: set[str] = set()

    def note(part: Any) -> None:
        if isinstance(part, promql_parser.AggregateExpr) and part.modifier is not None:
            kept.update(part.modifier.labels)

    promql_parser.walk(promql_parser.parse(query), note)
    return kept


@pytest.fixture
async def exported(api: httpx.AsyncClient, server_address: str, api_key: str) -> AsyncIterator[Exported]:
    """The metrics that /metrics exports after each kind of work, with a capacity sample in the database."""
    values = {"users": 3, "asr_users": 2, "tts_users": 1, "asr_p95_s": 0.5, "tts_p95_s": 0.4}
    more = {"error_percent": 0.1, "gpu_percent": 40.0, "gpu_memory_percent": 50.0, "month_cost_usd": 600.0}
    await sync_to_async(restore_migrated_rows)()
    await sync_to_async(Sample.objects.create)(at=timezone.now(), **values, **more)
    spoken = await api.post("/v1/audio/speech", json={"input": "Selamat pagi.", "response_format": "wav"})
    assert spoken.status_code == 200
    files = {"file": ("a.wav", spoken.content, "audio/wav")}
    assert (await api.post("/v1/audio/transcriptions", files=files, data={"model": "whisper-1"})).status_code == 200
    assert (await api.post("/v1/audio/speech", json={"input": ""})).status_code == 400
    await whole(server_address, api_key, sound.tone(0.5))
    async with asyncio.timeout(30):
        stored = {"voice_capacity_users", "voice_capacity_threshold", "voice_rollout_percent"}
        while not stored <= set(seen := _parsed((await api.get("/metrics")).text)):
            await asyncio.sleep(0.2)  # until the cached older reading has expired
    yield seen


def _parsed(page: str) -> Exported:
    seen: Exported = defaultdict(lambda: defaultdict(set))
    for family in text_string_to_metric_families(page):
        for one in family.samples:
            for label, value in one.labels.items():
                seen[one.name][label].add(value)
            seen[one.name]  # adds a metric without labels too
    return dict(seen)


async def test_it_works(exported: Exported) -> None:
    for title, query in queries():
        known: set[str] = set()
        ours = [selector for selector in selectors(query) if selector.name not in OF_RAY]
        assert ours, f"{title}: nothing of ours"
        for selector in ours:
            assert selector.name in exported, f"{title}: {selector.name} is not exported"
            labels = exported[selector.name]
            known |= set(labels)
            for matcher in selector.matchers.matchers:
                assert matcher.name in {*labels, *OF_THE_TARGET}, f"{title}: {selector.name} has no {matcher.name}"
                if matcher.op == promql_parser.MatchOp.Equal:
                    assert matcher.value in labels[matcher.name], f"{title}: no {matcher.name} is {matcher.value}"
        assert grouped_by(query) <= known, f"{title}: groups by what is not there"


async def test_prometheus_answers_every_query(exported: Exported, prometheus: str) -> None:
    async with httpx.AsyncClient(base_url=prometheus) as client, asyncio.timeout(60):
        recorded = {rule["record"] for group in RULES for rule in group["rules"] if "record" in rule}
        # There are too few requests here to trigger a rule; test_rules.py has enough.
        recorded -= {"voice:error_percent", "voice:response_p95_seconds"}
        for query in [*(query for _title, query in queries()), *sorted(recorded)]:
            while not await _answer(client, query):
                await asyncio.sleep(0.2)  # a rate needs two readings


async def _answer(client: httpx.AsyncClient, query: str) -> list[dict[str, Any]]:
    response = await client.get("/api/v1/query", params={"query": query})
    if response.status_code == 503:
        return []  # Prometheus is still starting
    assert response.status_code == 200, f"{query}: {response.text}"
    result: list[dict[str, Any]] = response.json()["data"]["result"]
    return result


async def test_prometheus_accepts_the_rules(exported: Exported) -> None:
    recorded = {rule["record"] for group in RULES for rule in group["rules"] if "record" in rule}
    for group in RULES:
        for rule in group["rules"]:
            for selector in selectors(rule["expr"]):
                assert selector.name in {*exported, *recorded, *OF_RAY, *OF_THE_CLUSTER}, rule
                for matcher in selector.matchers.matchers:
                    labels = exported.get(selector.name) or OF_THE_CLUSTER.get(selector.name) or ()
                    assert matcher.name in {*labels, "namespace"}


def test_every_panel_has_a_description() -> None:
    for panel in PANELS:
        assert len(panel["description"]) > 20, panel["title"]


async def test_variables_and_annotations_query_existing_metrics(exported: Exported) -> None:
    variables = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
    assert list(variables) == ["datasource", "client", "kind", "pod"]
    for name in ("client", "kind", "pod"):
        metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variables[name]["definition"]).groups()
        assert label in {*exported[metric], *OF_THE_TARGET}
        used = [panel for panel in PANELS if any(f"${name}" in target["expr"] for target in panel["targets"])]
        assert used, name
    annotations = {one["name"]: one["expr"] for one in DASHBOARD["annotations"]["list"]}
    assert set(annotations) == {"Roll-out", "Deploys", "Alerts"}
    for expression in annotations.values():
        assert {one.name for one in selectors(expression)} <= {*exported, "ALERTS"}


def test_a_query_of_an_unknown_metric_is_noticed() -> None:
    assert [one.name for one in selectors('sum by (x) (rate(nobody_knows{a="b"}[5m])) / nothing')] == [
        "nobody_knows",
        "nothing",
    ]
    assert grouped_by("sum by (x) (y)") == {"x"}


def test_legends_use_existing_labels() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert named <= grouped_by(target["expr"]) | OF_THE_TARGET, panel["title"]


def test_service_wide_gauges_are_never_summed() -> None:
    """Every process exports the same sample, so its values must not be summed over processes."""
    for title, query in queries():
        if "voice_capacity_" in query:
            assert query.startswith(("max(", "max by ", "min(")), title


def test_tier_wide_gauges_are_never_summed() -> None:
    """With an inference tier, every API process exports the values of the whole tier."""
    for title, query in queries():
        if re.search("voice_queue_length|voice_units_running|voice_estimated_wait", query):
            assert query.startswith("max by "), title


def test_the_metrics_of_ray() -> None:
    application = ROOT / "inference" / "ray_app.py"
    for name in OF_RAY:
        if name.startswith("ray_voice_"):
            assert f'"{name.removeprefix("ray_").rsplit("_", 1)[0]}"' in application.read_text()


def test_panels_are_laid_out() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _y in cells) < 24
        taken |= cells
    assert all(target["datasource"]["uid"] == "${datasource}" for panel in PANELS for target in panel["targets"])
    assert DASHBOARD["templating"]["list"][0]["type"] == "datasource"


@pytest.mark.django_db
def test_colours_change_where_alerts_fire() -> None:
    shown = {
        "Concurrent users": Metric.USERS,
        "p95, speech to text": Metric.P95,
        "p95, text to speech": Metric.P95,
        "Errors": Metric.ERRORS,
        "Busiest GPU": Metric.GPU,
        "This month's cost": Metric.COST,
    }
    colours = {"warning": "orange", "critical": "red"}
    for panel in PANELS:
        if panel["type"] == "stat":
            steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            wanted = {
                colours[rule.severity]: rule.threshold for rule in Rule.objects.filter(metric=shown[panel["title"]])
            }
            assert {step["color"]: step["value"] for step in steps} == {"green": None, **wanted}


def test_grafana_finds_it() -> None:
    (applied,) = (one for one in of_kind("ConfigMap").values() if "grafana_dashboard" in one["metadata"]["labels"])
    assert json.loads(applied["data"]["grafana-dashboard.json"]) == DASHBOARD
