"""``manage.py plan_capacity``, and the modules behind it."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from capacity.models import Phase
from tests.capacity.world import START
from tests.services import ROOT
from tools.planning import growth, hpa, load_steps, plan, plots, timeline_plots
from tools.planning.chart_set import shape
from tools.planning.demand import Demand, RequestRate
from tools.planning.load_test_scaling import NoSuchTest, scaled
from tools.planning.plan import NoFeasiblePlan, Planner, Targets
from tools.planning.prices import HOURS_PER_MONTH, Prices, prices
from tools.planning.rates import (
    ASR,
    DEPLOYMENTS,
    PLANNED_ASR,
    PLANNED_TTS,
    SHIPPED,
    TTS,
    read,
)
from tools.planning.simulation.cluster import Run, Shape
from tools.planning.simulation.load import Crowd, Stay, simulate, simulate_crowd
from usage.cost import InfrastructureCost
from usage.targets import Verdict

RATES = Path(__file__).with_name("plan_rates.json")  # a fixed measurement


@pytest.fixture
def unpriced(seeded) -> None:
    InfrastructureCost.objects.all().delete()


@pytest.fixture(autouse=True)
def short(monkeypatch) -> None:
    """Simulate only an eighth of the requests. This is enough for these tests."""
    monkeypatch.setattr(plan, "EVENTS", 1_000)
    monkeypatch.setattr(plan, "SHORTEST_S", 60.0)


def planner(**targets) -> Planner:
    use = Demand(users=20_000, voice_share=0.07)
    return Planner(read(RATES), use, Targets(**targets), Prices(0.5, 40.0), Crowd(0))


def run(capsys, *arguments: str) -> str:
    call_command("plan_capacity", *arguments)
    return capsys.readouterr().out


def test_it_works(unpriced, capsys) -> None:
    text = run(capsys, "--users", "20000", "--voice-share", "0.07", "--rates", str(RATES))
    assert "20,000 chat users, 1,400 with voice" in text
    for phase in Phase.objects.all():
        assert f"{phase}: " in text
    # No assumption is printed as a measurement.
    assert "engines on processor" in text
    assert "TAKEN TO BE as fast as one engine on that device (--speed-factor): assumed, not measured" in text
    assert text.count("ASSUMED: nobody has entered what is paid") == 2
    assert "M/G/c" in text
    assert "ASR cost per hour of audio, USD" in text


def test_only_measured_rates_can_fit(unpriced, capsys, tmp_path: Path) -> None:
    """Without a measured T4, the command prints a table for several assumed speeds instead."""
    of_gpu = tmp_path / "gpu.json"
    replace(read(RATES), device="GPU, Tesla T4", asr_model=PLANNED_ASR, tts_engine=PLANNED_TTS).write(of_gpu)
    assert "1 Launch: fits" in run(capsys, "--rates", str(of_gpu))
    text = run(capsys, "--rates", str(of_gpu), "--speed-factor", "2")
    assert "fits" not in text
    header, *rows = text.partition("device did its own:\n")[2].splitlines()[:5]
    assert header.split()[-7:] == ["0.05", "0.1", "0.25", "0.5", "1", "4", "16"]
    for row in rows:
        gpus = [int(number) for number in re.findall(r"(\d+) GPU", row)]
        assert gpus == sorted(gpus, reverse=True), "a slower one takes more of them"
        assert len(gpus) + row.count("too slow") == 7


def test_rates_belong_to_a_gpu_and_models() -> None:
    models = ("whisper-ms-demo", "espeak-ng")
    rates = read(RATES)
    of_gpu = replace(rates, device="GPU, Tesla T4")
    assert of_gpu.are_of(*models)
    assert not of_gpu.are_of(PLANNED_ASR, PLANNED_TTS)
    assert not rates.are_of(*models), "a processor's"
    assert not replace(rates, device="GPU, NVIDIA H200").are_of(*models)


def test_the_planned_models_are_those_of_the_tier() -> None:
    dockerfile = (ROOT / "docker" / "gpu.Dockerfile").read_text()
    assert f'ARG MODELS="{PLANNED_ASR} {PLANNED_TTS}"' in dockerfile
    assert f"VOICE_ASR_MODEL={PLANNED_ASR}\n" in (ROOT / "k8s" / "site" / "models.env").read_text()


def test_a_device_that_is_too_slow(unpriced, capsys, tmp_path: Path) -> None:
    """The measured device is a CPU. A load that no number of CPUs can handle may still be possible with T4s."""
    slow = tmp_path / "slow.json"
    read(RATES).faster(0.005, "slow").write(slow)
    text = run(capsys, "--rates", str(slow))
    assert "in time on any number of machines" in text
    assert "device did its own:\n" in text
    assert "Assumed" in text
    with pytest.raises(CommandError):
        run(capsys, "--rates", str(slow), "--csv", "-")


def test_the_first_phases_stay_within_their_cost(seeded) -> None:
    """The costs are those of the phase's GPUs and pods. A pod costs the share of a machine that it requests."""
    paid = prices(timezone.now(), pod_share=Targets.pod_cores / 2)
    for phase in Phase.objects.filter(number__in=(1, 2)):
        month = phase.gpus_to * paid.t4_month_usd + len(DEPLOYMENTS) * phase.pods_to * paid.pod_month_usd
        assert month <= phase.cost_to_usd


def test_pods_are_planned_as_in_the_manifest() -> None:
    deployment = yaml.safe_load((ROOT / "k8s" / "base" / "api" / "deployment.yaml").read_text())
    resources = deployment["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert float(resources["requests"]["cpu"].removesuffix("m")) / 1000 == Targets.pod_cores
    assert float(resources["limits"]["cpu"]) == Targets.pod_limit_cores


def test_the_included_rates_can_be_read() -> None:
    assert read(SHIPPED).asr.batch.per_cost_s > 0


def test_csv(unpriced, capsys, tmp_path: Path) -> None:
    text = run(capsys, "--csv", "-", "--rates", str(RATES))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 9  # the requested users, and two upper limits of each of four phases
    assert rows[0]["case"] == "20,000 chat users, 1,400 with voice"
    assert {row["fits"] for row in rows[1:]} == {"not measured"}
    assert float(rows[0]["gpus"]) >= 1
    assert float(rows[1]["audio_hour_usd"]) > 0
    assert rows[2]["audio_hour_usd"] == ""  # a number of concurrent users implies no monthly use
    file = tmp_path / "plan.csv"
    run(capsys, "--csv", str(file), "--no-phases")
    assert len(list(csv.DictReader(file.open()))) == 1


def test_the_same_seed_gives_the_same_plan(unpriced, capsys) -> None:
    assert run(capsys, "--csv", "-", "--no-phases") == run(capsys, "--csv", "-", "--no-phases")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--users", "0"],
        ["--users", "-3"],
        ["--users", "nan"],
        ["--voice-share", "1.5"],
        ["--mix", "1,2"],
        ["--mix", "0,0,0"],
        ["--peak-factor", "0.5"],
        ["--utilisation", "1"],
        ["--rates", "/nowhere.json"],
        ["--load-test", "4711"],
        ["--steps", "50,0"],
        ["--users", "1e11", "--no-phases"],
        ["--speed-factor", "0.0001", "--no-phases"],
        ["--tts-p95-s", "0.001", "--no-phases"],
        ["--csv", "/nowhere/plan.csv", "--no-phases"],
    ],
)
def test_invalid_options_are_refused(unpriced, arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("plan_capacity", *arguments)


# --- Rates from a load test -------------------------------------------------------------------------------------------
def test_rates_are_scaled_to_a_load_test() -> None:
    plan = planner()
    kinds = {
        "asr": {"requests": 1000, "ok": 900, "rps": 40.0},
        "tts": {"requests": 900, "ok": 900, "rps": 30.0},
        "live_tts": {"requests": 0, "ok": 0, "rps": None},
    }
    plan.adopt(scaled(plan, kinds, "peak_load", gpus=2, pods=3))
    rate = RequestRate(36.0, 30.0, 0.0)
    use = plan.use
    assert sum(plan.gpu_work(rate, use).values()) == pytest.approx(2)
    assert max(plan.station(kind, rate, use, 3).utilisation for kind in DEPLOYMENTS) == pytest.approx(1)
    assert "peak_load" in plan.rates.notes[-1]
    with pytest.raises(NoSuchTest):
        scaled(plan, {"asr": {"requests": 5, "ok": 0, "rps": 1.0}}, "nothing", gpus=1, pods=1)


# --- The plan ---------------------------------------------------------------------------------------------------------
def test_machines_are_enough_and_no_more() -> None:
    plan = planner()
    case = plan.by_crowd("500 at once", 500)
    assert case.experience.p95_s[ASR] <= 2
    assert case.experience.p95_s[TTS] <= 3
    assert case.experience.gpu_utilisation <= plan.targets.utilisation
    assert max(case.experience.pod_utilisation.values()) <= plan.targets.utilisation
    work = sum(plan.gpu_work(case.rate, plan.use).values())
    assert work / (case.machines.gpus - 1) > 0.6  # with one GPU less they would be too busy
    # By Little's law, as many people are in conversation as were simulated.
    assert case.experience.talking == pytest.approx(500, rel=0.1)


def test_more_users_take_more_and_cost_less_each() -> None:
    plan = planner()
    few, many = (plan.by_users("", Demand(users=users, voice_share=0.07)) for users in (20_000, 1_500_000))
    assert many.machines.gpus > few.machines.gpus
    assert many.money.month_usd > few.money.month_usd
    assert many.money.audio_hour_usd < few.money.audio_hour_usd
    # However much is used, an hour costs more than its machine time alone.
    assert many.money.audio_hour_usd > many.money.audio_hour_floor_usd
    assert few.money.audio_hour_floor_usd == pytest.approx(many.money.audio_hour_floor_usd)


def test_costs_add_up() -> None:
    case = planner().by_users("", Demand(users=20_000, voice_share=0.07))
    pods = sum(case.machines.pods.values())
    assert case.money.month_usd == pytest.approx(case.machines.gpus * 0.5 * HOURS_PER_MONTH + pods * 40)
    hours = 1400 / 60 * 365 / 12
    assert case.money.audio_hour_usd == pytest.approx(case.money.asr_usd / hours)


def test_targets_that_no_number_of_machines_meets() -> None:
    with pytest.raises(NoFeasiblePlan):
        planner(p95_s={ASR: 0.001, TTS: 3.0}).by_users("too much", Demand(users=100, voice_share=1))


def test_targets_that_more_machines_do_not_approach() -> None:
    alone = planner().alone_s(TTS)
    with pytest.raises(NoFeasiblePlan, match="tts"):
        planner(p95_s={ASR: 2.0, TTS: 1.1 * alone}).by_users("too much", Demand(users=20_000, voice_share=0.07))


def test_a_plan_without_users() -> None:
    case = planner().by_users("nobody", Demand(users=20_000, voice_share=0))
    assert case.machines.gpus == 1
    assert case.money.audio_hour_usd is None


def test_prices_come_from_the_database(unpriced) -> None:
    T4 = InfrastructureCost.Resource.T4
    POD = InfrastructureCost.Resource.API_POD
    InfrastructureCost.objects.create(resource=T4, price_micros=350_000, per="hour", starts_at=START)
    InfrastructureCost.objects.create(resource=POD, quantity=2, price_micros=25_000_000, per="month", starts_at=START)
    InfrastructureCost.objects.create(
        resource="other", price_micros=90_000_000, per="month", speech_to_text_percent=80, starts_at=START
    )
    found = prices(START)
    assert (found.t4_hour_usd, found.pod_month_usd, found.other_usd) == (pytest.approx(0.35), 25.0, 90.0)
    assert found.other_asr_share == pytest.approx(0.8)
    assert prices(START, t4_hour_usd=1.0).t4_hour_usd == 1.0


# --- Phases -----------------------------------------------------------------------------------------------------------
def test_the_limits_of_the_phases(seeded) -> None:
    ends = growth.phase_limits(list(Phase.objects.all()))
    assert [(end.users, end.concurrent) for end in ends] == [(2000, 50), (5000, 100), (10_000, 200), (25_000, 500)]
    assert [end.is_extended for end in ends] == [False, False, False, True]


def test_a_phase_that_does_not_fit_says_why(seeded) -> None:
    phase = Phase.objects.get(number=1)
    plan = planner()
    plan.adopt(plan.rates.faster(0.3, "slower"))
    told = growth.compare(plan, phase, growth.PhaseLimits(2000, 50, is_extended=False))
    assert not told.fits
    assert "1 Launch: does not fit: 50 at once take 2 GPUs, not 1" in told.in_words()
    fitting = growth.compare(planner(), phase, growth.PhaseLimits(2000, 50, is_extended=False))
    assert fitting.in_words() == "1 Launch: fits"


def test_unit_costs_are_compared_with_the_targets() -> None:
    case = planner().by_users("", Demand(users=20_000, voice_share=0.07))
    hour, characters = growth.unit_costs(case, is_launch=True)
    assert hour.verdict is Verdict.NOT_MET
    assert hour.needed == pytest.approx(case.money.asr_usd / 0.01)
    assert characters.verdict is Verdict.MET


# --- Step by step -----------------------------------------------------------------------------------------------------
PEOPLE = (20, 80, 20)


@pytest.fixture(scope="module")
def stepped() -> dict[str, Run]:
    """Runs with few people, then with more than a slow GPU can serve, then with few again."""
    plan = planner()
    plan.adopt(plan.rates.faster(0.25, "a slow GPU"))
    plan.crowd = Crowd(0, 0.5, (1.0, 0.0, 0.0))
    return load_steps.simulate_steps(plan, PEOPLE, 1)


def test_only_the_second_metric_scales_for_waits_on_a_gpu(stepped: dict[str, Run]) -> None:
    by_cpu, by_both = stepped.values()
    assert not by_cpu.changes, "CPUs idle meanwhile"
    assert {change.deployment for change in by_both.changes} == {ASR}
    up, down = by_both.changes[0], by_both.changes[-1]
    assert up.after > up.before
    assert load_steps.STEP_S + hpa.API.up.stabilisation_s <= up.at_s < load_steps.STEP_S + 180
    assert down.after == hpa.API.least
    assert down.at_s >= 2 * load_steps.STEP_S + hpa.API.down.stabilisation_s
    crowded = load_steps.by_step(by_cpu, PEOPLE)[1].intervals[-1]
    assert crowded.pod_percent[ASR] < hpa.API.target_percent
    assert crowded.users_per_pod[ASR] > load_steps.USERS_PER_POD


def test_the_required_metric_scales_for_load_on_the_cpu() -> None:
    plan = planner()
    plan.adopt(plan.rates.faster(10, "a fast GPU"))
    plan.crowd = Crowd(0, 2.0, (0.0, 1.0, 0.0))
    for run in load_steps.simulate_steps(plan, (80,), 1).values():
        assert {change.deployment for change in run.changes} == {TTS}


def test_the_table_of_load_steps(unpriced, stepped: dict[str, Run], capsys, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(load_steps, "simulate_steps", lambda planner, users, gpus: stepped)
    text = run(capsys, "--steps", ",".join(map(str, PEOPLE)), "--plots", str(tmp_path))
    assert text.count("The autoscaler ") == 2
    rows = [line for line in text.splitlines() if re.match(r" +(20|80) ", line)]
    assert [row.split()[0] for row in rows] == [*map(str, PEOPLE)] * 2
    assert (tmp_path / "steps.svg").exists()


@pytest.mark.parametrize("other", [["--csv", "-"], ["--simulate"], ["--no-phases"]])
def test_load_steps_can_be_simulated_alone(other: list[str]) -> None:
    with pytest.raises(CommandError, match="--steps cannot be combined"):
        call_command("plan_capacity", "--steps", "1", *other)


# --- Charts -----------------------------------------------------------------------------------------------------------
def test_charts_are_drawn(seeded, tmp_path: Path) -> None:
    mpl = pytest.importorskip("matplotlib")
    mpl.use("Agg")
    plan = planner()
    targets = plan.targets.p95_s
    evening = simulate(plan.use, plan.rates, shape(plan, 1), start_h=20, end_h=21)
    stays = [Stay(number, 300.0) for number in range(120)]
    crowd = simulate_crowd(Crowd(120), plan.use, plan.rates, shape(plan, 1), seconds=420, stays=stays, warm_up_s=0)
    ends = growth.phase_limits(list(Phase.objects.all()))
    told = [growth.compare(plan, Phase.objects.get(number=1), ends[0])]
    grown = [(float(users), plan.by_users("", Demand(users=users, voice_share=0.07))) for users in (20_000, 100_000)]
    drawn = {
        "day": timeline_plots.timeline(evening, "An evening", "Simulated.", targets_s=targets),
        "rush": timeline_plots.timeline(crowd, "A rush", "Simulated.", targets_s=targets, in_minutes=True),
        "phases": plots.phases(told, "Simulated."),
        "million": plots.scale(grown, "Simulated."),
    }
    for name, figure in drawn.items():
        png, svg = plots.save(figure, tmp_path, name)
        assert png.read_bytes().startswith(b"\x89PNG")
        assert "Simulated." in svg.read_text()
        for axes in figure.axes:
            assert axes.get_title(loc="left")
            assert axes.get_ylabel()


def test_a_shape_starts_with_the_minimum_of_pods() -> None:
    assert shape(planner(), 3) == Shape(3, dict.fromkeys(DEPLOYMENTS, 2), pod_cores=0.5, burst_cores=2.0)
