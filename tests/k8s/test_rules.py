"""The Prometheus rules have the same thresholds as the rules in the database, and fire when they should."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from capacity import alert_metrics, exporter, figures
from capacity.models import Metric, Rule
from gateway import metrics
from tests.k8s.manifests import K8S, PHASES, ROOT, of_kind, workloads

pytestmark = pytest.mark.django_db

SPEC = yaml.safe_load((K8S / "monitoring" / "rules.yaml").read_text())["spec"]
GROUPS = SPEC["groups"]
RULES = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}
IN_NAMES = {
    Metric.USERS: "Users",
    Metric.P95: "Response",
    Metric.ERRORS: "Errors",
    Metric.GPU: "Gpu",
    Metric.COST: "Cost",
}

# Alerts about the cluster. For each: series for which it must not fire, and series for which it must.
_HOUR = 240  # steps
_RUNS = 'kube_cronjob_status_last_schedule_time{namespace="voice",cronjob="daily"}'
_DONE = 'kube_cronjob_status_last_successful_time{namespace="voice",cronjob="daily"}'
_SCALER = 'namespace="voice",horizontalpodautoscaler="asr-api-hpa"'
_PODS = f"kube_horizontalpodautoscaler_status_desired_replicas{{{_SCALER}}}"
_MOST = f"kube_horizontalpodautoscaler_spec_max_replicas{{{_SCALER}}}"
_BACKUP = 'barman_cloud_cloudnative_pg_io_last_available_backup_timestamp{namespace="voice"}'
_DISK = 'kube_persistentvolumeclaim_created{namespace="voice",persistentvolumeclaim="voice-database-1"}'
OPERATIONS: dict[str, tuple[list[dict[str, str]], list[dict[str, str]]]] = {
    "VoiceLedgerOnDisk": (
        [{'voice_ledger_spool_files{pod="a"}': "0x900"}, {'voice_ledger_spool_files{pod="a"}': "1x30 0x870"}],
        [{'voice_ledger_spool_files{pod="a"}': "0x900", 'voice_ledger_spool_files{pod="b"}': "1x900"}],
    ),
    "VoiceJobFailed": (
        [{_RUNS: "100x900", _DONE: "160x900"}, {_RUNS: "100x900", _DONE: f"10x{_HOUR // 2} 160x900"}],
        [{_RUNS: "100x900", _DONE: "60x900"}, {_RUNS: "100x900"}],  # failed; never succeeded
    ),
    "VoiceScalerAtMaximum": (
        [{_PODS: "4x900", _MOST: "5x900"}, {_PODS: "5x50 4x850", _MOST: "5x900"}],
        [{_PODS: "5x900", _MOST: "5x900"}],
    ),
    "VoiceBackupMissing": (
        # promtool's clock begins at 0. Of two instances, the newer backup counts.
        [
            {_BACKUP: "-90000x900", _DISK: "-300000x900"},
            {_BACKUP: "-200000x900", _BACKUP[:-1] + ',pod="b"}': "1x900"},
            {_BACKUP: "0x900", _DISK: "1x900"},  # the first day, before the first backup
            {},  # a database outside the cluster
        ],
        [
            {_BACKUP: "-200000x900", _DISK: "-300000x900"},
            {_BACKUP: "0x900", _DISK: "-200000x900"},  # never a backup
            {_DISK: "-200000x900", _DISK.replace("-1", "-2"): "1x900"},  # no metric about backups
        ],
    ),
}

STEP_S = 15
QUIET = 40  # steps: ten minutes
LOUD = 80
MINUTES = {"quiet": 9, "loud": 28, "quiet again": 44}


def name_of(rule: Rule) -> str:
    return f"Voice{IN_NAMES[Metric(rule.metric)]}{rule.severity.capitalize()}"


def seconds(duration: str) -> timedelta:
    number, unit = re.fullmatch(r"(\d+)([sm])", duration).groups()
    return timedelta(seconds=int(number) * {"s": 1, "m": 60}[unit])


def test_prometheus_has_the_alerts_and_numbers_of_the_admin() -> None:
    rows = {name_of(rule): rule for rule in Rule.objects.all()}
    assert len(rows) == 8
    assert set(RULES) == {*rows, "VoiceUnwatched", *OPERATIONS}
    for name, row in rows.items():
        rule = RULES[name]
        compared = re.fullmatch(r".+ > \(max\((.+)\) or vector\(([\d.]+)\)\)", rule["expr"])
        assert compared[1] == f'voice_capacity_threshold{{metric="{row.metric}",severity="{row.severity}"}}'
        assert float(compared[2]) == row.threshold
        assert rule["labels"] == {"severity": row.severity}
        assert seconds(rule["for"]) == row.pending_for
        assert seconds(rule["keep_firing_for"]) == row.clear_for
    minimum = {int(one) for one in re.findall(r">= (\d+)", yaml.safe_dump(SPEC))}
    assert minimum == {rule.least_requests for rule in rows.values()}


def test_window_and_counted_requests_match_the_watcher() -> None:
    text = (K8S / "monitoring" / "rules.yaml").read_text()
    assert {timedelta(minutes=int(one)) for one in re.findall(r"\[(\d+)m\]", text)} == {alert_metrics.WINDOW}
    assert set(re.findall(r'status!~"([^"]+)"', text)) == {"|".join(map(str, alert_metrics.NOT_COUNTED))}
    kinds = set(re.findall(r'kind=~?"([^"]+)"', text))
    assert kinds == {"|".join(alert_metrics.ASR_KINDS), "|".join(alert_metrics.TTS_KINDS)}
    assert seconds("120s") == figures.FRESH
    assert "> 120 or" in RULES["VoiceUnwatched"]["expr"]


def test_response_times_are_compared_exactly() -> None:
    """Every threshold is the bound of a histogram bucket. Otherwise Prometheus would interpolate."""
    for rule in Rule.objects.filter(metric=Metric.P95):
        assert rule.threshold in metrics._SECONDS


def test_every_alert_has_a_section_in_the_operators_guide() -> None:
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    for name, rule in RULES.items():
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert re.fullmatch(r"https://\S+/docs/operations\.md", page), "Alertmanager shows it as a link"
        assert anchor == name.lower()
        assert anchor in anchors


def test_the_guides_selector_finds_every_job() -> None:
    section = (ROOT / "docs" / "operations.md").read_text().split("### VoiceJobFailed\n")[1].split("\n###")[0]
    selected = re.search(r"-l 'app\.kubernetes\.io/name in \(([^)]+)\)'", section)[1].split(", ")
    jobs = [work for work in workloads() if work.kind == "CronJob"]
    assert {work.template["metadata"]["labels"]["app.kubernetes.io/name"] for work in jobs} == set(selected)


def test_the_manifest_contains_the_rules() -> None:
    (applied,) = of_kind("PrometheusRule").values()
    assert applied["spec"] == SPEC


# --- Evaluated by promtool -------------------------------------------------------------------------------------------


def gauge(name: str, quiet: float, loud: float) -> dict[str, str]:
    """Return a gauge that first has the value ``quiet``, then ``loud``, then ``quiet`` again.

    Two pods export the same values, because the rules must not sum them.
    """
    values = f"{quiet}x{QUIET} {loud}x{LOUD} {quiet}x{2 * QUIET}"
    labels = '{pod="%s"}' if "{" not in name else ""
    if labels:
        return {f"{name}{labels % pod}": values for pod in "ab"}
    return {name.replace("}", f',pod="{pod}"}}'): values for pod in "ab"}


def counter(name: str, quiet: float, loud: float) -> dict[str, str]:
    """Return a counter that grows by ``quiet`` per step, then by ``loud``, then by ``quiet`` again.

    The growth is split evenly between two pods.
    """
    first = quiet / 2 * QUIET
    second = first + loud / 2 * LOUD
    parts = (f"0+{quiet / 2}x{QUIET}", f"{first}+{loud / 2}x{LOUD}", f"{second}+{quiet / 2}x{2 * QUIET}")
    return {name.replace("}", f',pod="{pod}"}}'): " ".join(parts) for pod in "ab"}


def answers(slow: float, threshold: float, rate: float, kind: str) -> dict[str, str]:
    """Return a histogram of response times. During the loud period, the share ``slow`` of them is above the threshold.

    ``threshold``: the threshold in seconds.
    ``rate``: requests per step.
    ``kind``: the kind of request.
    """
    higher = 2 * threshold
    series = counter(f'voice_request_seconds_bucket{{kind="{kind}",le="{threshold / 2}"}}', rate, 0)
    series |= counter(f'voice_request_seconds_bucket{{kind="{kind}",le="{threshold}"}}', rate, rate * (1 - slow))
    for bound in (higher, "+Inf"):
        series |= counter(f'voice_request_seconds_bucket{{kind="{kind}",le="{bound}"}}', rate, rate)
    return series | counter(f'voice_request_seconds_count{{kind="{kind}"}}', rate, rate)


def outcomes(failing: float, rate: float) -> dict[str, str]:
    """Return counters of requests. During the loud period, the share ``failing`` of them fails.

    Ten times as many requests are then refused with status 429, which must not count as failures.

    ``rate``: requests per step.
    """
    series = counter('voice_requests_total{kind="speech",status="200"}', rate, rate * (1 - failing))
    series |= counter('voice_requests_total{kind="speech",status="503"}', 0, rate * failing)
    return series | counter('voice_requests_total{kind="speech",status="429"}', rate, 10 * rate)


def series_for(rule: Rule, *, above: bool, rate: float = 100) -> dict[str, str]:
    """Return series whose values in the loud period are above the threshold of a rule, or exactly at it.

    ``above``: whether the values are above the threshold.
    ``rate``: requests per step.
    """
    level = rule.threshold * 1.01 if above else rule.threshold
    match Metric(rule.metric):
        case Metric.USERS:
            both = gauge('voice_capacity_users{direction="together"}', 1, level)
            return both | gauge('voice_capacity_users{direction="asr"}', 1, 10 * level)
        case Metric.GPU:
            return gauge("voice_capacity_gpu_percent", 5, level)
        case Metric.COST:
            return gauge("voice_capacity_month_cost_usd", 500, level)
        case Metric.ERRORS:
            return outcomes(level / 100, rate)
        case Metric.P95:
            return answers(0.06 if above else 0.05, rule.threshold, rate, "translation")


def fires(alert: str, minute: int, severity: str | None) -> dict[str, Any]:
    labels = f'ALERTS{{alertname="{alert}",alertstate="firing",severity="{severity}"}}'
    return {
        "expr": f'ALERTS{{alertname="{alert}",alertstate="firing"}}',
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": labels, "value": 1}] if severity else [],
    }


def played(series: dict[str, str], checks: list[dict[str, Any]]) -> dict[str, Any]:
    given = [{"series": name, "values": values} for name, values in series.items()]
    return {"interval": f"{STEP_S}s", "input_series": given, "promql_expr_test": checks}


def verdict(promtool: str, folder: Path, tests: list[dict[str, Any]], groups: Sequence[dict[str, Any]] = GROUPS) -> str:
    """Run promtool's tests; return "" if they pass, otherwise promtool's output.

    ``groups``: the rule groups to evaluate.
    """
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": list(groups)}))
    plan = {"rule_files": ["rules.yaml"], "evaluation_interval": f"{STEP_S}s", "tests": tests}
    (folder / "tests.yaml").write_text(yaml.safe_dump(plan))
    command = [promtool, "test", "rules", "tests.yaml"]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_rules_are_well_formed(promtool: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(SPEC))
    done = subprocess.run(
        [promtool, "check", "rules", "--lint=all", "--lint-fatal", tmp_path / "rules.yaml"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_above_its_threshold_and_resolves(promtool: str, tmp_path: Path) -> None:
    rows = list(Rule.objects.all())
    assert len(rows) == 8
    plan = [
        played(
            series_for(row, above=True),
            [fires(name_of(row), minute, row.severity if when == "loud" else None) for when, minute in MINUTES.items()],
        )
        for row in rows
    ]
    assert verdict(promtool, tmp_path, plan) == ""


def test_no_alert_fires_at_its_threshold(promtool: str, tmp_path: Path) -> None:
    plan = [
        played(series_for(row, above=False), [fires(name_of(row), minute, None) for minute in MINUTES.values()])
        for row in Rule.objects.all()
    ]
    assert verdict(promtool, tmp_path, plan) == ""


def test_thresholds_of_the_admin_apply(promtool: str, tmp_path: Path) -> None:
    """Thresholds that were changed in the admin apply, whether they are lower or higher than the original ones."""
    plan = []
    for row in Rule.objects.exclude(metric=Metric.P95):
        own = f'voice_capacity_threshold{{metric="{row.metric}",severity="{row.severity}",pod="a"}}'
        for level, fired in ((row.threshold / 2, True), (row.threshold * 1.005, True), (10**9, False)):
            series = {**series_for(row, above=True), own: f"{level}x300"}
            plan.append(played(series, [fires(name_of(row), MINUTES["loud"], row.severity if fired else None)]))
    assert verdict(promtool, tmp_path, plan) == ""


BY_PHASE = {0: (60, 80, 2000), 1: (60, 80, 2000), 2: (60, 80, 2000), 3: (120, 160, 2000), 4: (300, 400, 4000)}


@pytest.mark.parametrize("phase", BY_PHASE)
def test_thresholds_are_those_of_the_deployed_phase(settings, phase: int) -> None:
    """Thresholds depend on the phase: a number of users that raises an alert in phase 2 is normal in phase 4."""
    settings.VOICE_PHASE = phase
    *users, cost = BY_PHASE[phase]
    assert sorted(rule.level for rule in Rule.objects.filter(metric=Metric.USERS)) == users
    assert Rule.objects.get(metric=Metric.COST).level == cost
    for rule in Rule.objects.exclude(metric__in=(Metric.USERS, Metric.COST)):
        assert rule.level == rule.threshold
    assert {level for (metric, _), level in exporter.levels().items() if metric == "users"} == set(users)


@pytest.mark.parametrize("phase", PHASES)
def test_each_overlay_sets_its_phase(phase: int) -> None:
    told = {one["data"]["VOICE_PHASE"] for one in of_kind("ConfigMap", phase).values() if "VOICE_PHASE" in one["data"]}
    assert told == {str(phase)}


def test_too_few_requests_fire_no_alert(promtool: str, tmp_path: Path) -> None:
    """One request in ten steps means two requests in the window. These are too few to fire an alert."""
    plan = [
        played(series_for(row, above=True, rate=0.1), [fires(name_of(row), MINUTES["loud"], None)])
        for row in Rule.objects.filter(metric__in=(Metric.P95, Metric.ERRORS))
    ]
    assert verdict(promtool, tmp_path, plan) == ""


def test_the_slower_direction_fires_the_alert(promtool: str, tmp_path: Path) -> None:
    (row,) = Rule.objects.filter(metric=Metric.P95, severity=Rule.Severity.CRITICAL)
    slow = answers(0.5, row.threshold, 100, "speech")
    both = slow | answers(0, row.threshold, 1000, "transcription")
    plan = [played(both, [fires(name_of(row), MINUTES["loud"], row.severity)])]
    assert verdict(promtool, tmp_path, plan) == ""


def test_gpus_of_the_inference_tier_count(promtool: str, tmp_path: Path) -> None:
    (row,) = Rule.objects.filter(metric=Metric.GPU)
    tier = gauge("ray_node_gpus_utilization", 5, row.threshold + 1)
    assert verdict(promtool, tmp_path, [played(tier, [fires(name_of(row), MINUTES["loud"], row.severity)])]) == ""


@pytest.mark.parametrize("alert", OPERATIONS)
def test_alerts_about_the_cluster(promtool: str, tmp_path: Path, alert: str) -> None:
    """An alert about the cluster fires after three hours of its condition.

    Only its group is evaluated, because evaluating all rules for hours takes long.
    """
    (group,) = (group for group in GROUPS if any(rule.get("alert") == alert for rule in group["rules"]))
    well, ill = OPERATIONS[alert]
    severity = RULES[alert]["labels"]["severity"]
    checks = [(series, None) for series in well] + [(series, severity) for series in ill]
    plan = [played(series, [fires_with_any_labels(alert, 180, is_firing=bool(fired))]) for series, fired in checks]
    assert verdict(promtool, tmp_path, plan, [group]) == ""


def fires_with_any_labels(alert: str, minute: int, *, is_firing: bool) -> dict[str, Any]:
    """Return a promtool check that an alert fires or does not fire, whatever labels it has."""
    firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    return {"expr": firing, "eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": 1}] * is_firing}


AGE = "voice_capacity_sample_age_seconds"


@pytest.mark.parametrize(
    ("series", "severity"),
    [
        ({}, "critical"),
        ({f'{AGE}{{pod="a"}}': "10+15x200"}, "critical"),
        ({f'{AGE}{{pod="a"}}': "10x200"}, None),
        # One process that cannot read the database does not mean that the watcher is gone.
        ({f'{AGE}{{pod="a"}}': "10x200", f'{AGE}{{pod="b"}}': "10+15x200"}, None),
    ],
    ids=["never", "stale", "fresh", "one stale"],
)
def test_missing_samples_fire_an_alert(
    promtool: str, tmp_path: Path, series: dict[str, str], severity: str | None
) -> None:
    plan = [played(series, [fires("VoiceUnwatched", 20, severity)])]
    assert verdict(promtool, tmp_path, plan) == ""


def test_a_wrong_expectation_is_noticed(promtool: str, tmp_path: Path) -> None:
    (row,) = Rule.objects.filter(metric=Metric.COST)
    plan = [played(series_for(row, above=True), [fires(name_of(row), MINUTES["loud"], None)])]
    assert "VoiceCostWarning" in verdict(promtool, tmp_path, plan)
