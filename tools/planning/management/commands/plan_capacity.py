"""``manage.py plan_capacity``: compute the machines, monthly cost and latency for a number of users."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from capacity.models import Phase
from tools.planning import arguments, assumptions, growth, load_steps, rates, table
from tools.planning.chart_set import draw, draw_steps, rush, shape
from tools.planning.demand import Curve, Demand
from tools.planning.growth import Comparison
from tools.planning.load_test_scaling import NoSuchTest, as_tested
from tools.planning.narrative import narrative
from tools.planning.plan import Case, NoFeasiblePlan, Planner, Targets
from tools.planning.prices import prices
from tools.planning.rates import ASR, TTS, BadRates, Rates
from tools.planning.simulation.load import Crowd, simulate


class Command(BaseCommand):
    help = "Compute the machines and cost for a number of chat users, and compare the growth phases with the result."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        arguments.add_to(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["plots"] and find_spec("matplotlib") is None:
            raise CommandError("--plots needs matplotlib, which is not installed: make setup-dev")
        if options["steps"] and any(options[name] for name in ("csv", "simulate", "no_phases")):
            raise CommandError("--steps cannot be combined with --csv, --simulate or --no-phases")
        try:
            planner = self._planner(options)
        except DatabaseError as error:
            raise CommandError(f"the database does not answer as it should (manage.py migrate?): {error}") from error
        if options["steps"]:
            self._step(planner, options)
            return
        models = (options["asr_model"], options["tts_model"])
        is_measured = options["load_test"] is not None or (
            planner.rates.are_of(*models) and options["speed_factor"] == 1
        )
        phases = [] if options["no_phases"] else self._phases()
        try:
            asked = self._asked(planner)
            comparisons = [growth.compare(planner, phase, end) for phase, end in phases]
        except NoFeasiblePlan as error:
            if is_measured or not phases or any(options[name] for name in ("csv", "simulate", "plots")):
                raise CommandError(str(error)) from error
            self.stdout.write(f"If a T4 were as fast as the measured device: {error}.")
            self._estimate(planner, phases, models)
            self._print_sources(planner)
            return
        cases = [asked, *(case for each in comparisons for case in (each.by_users, each.by_crowd))]
        if options["csv"] == "-":
            table.write_csv(sys.stdout, cases, comparisons, is_measured=is_measured)
            return
        self.stdout.write(table.table(cases))
        if is_measured:
            self._judge(comparisons)
        elif phases:
            self._estimate(planner, phases, models)
        self._print_costs(cases[0], comparisons)
        self._print_sources(planner)
        if options["csv"]:
            try:
                with Path(options["csv"]).open("w", newline="", encoding="utf-8") as file:
                    table.write_csv(file, cases, comparisons, is_measured=is_measured)
            except OSError as error:
                raise CommandError(f"cannot write {options['csv']}: {error.strerror}") from error
            self.stdout.write(f"\nWritten: {options['csv']}")
        if options["simulate"]:
            self._print_result(planner, asked, comparisons)
        if options["plots"]:
            self._draw(planner, asked, comparisons, options["plots"])

    def _planner(self, options: dict[str, Any]) -> Planner:
        use = Demand(
            users=options["users"],
            voice_share=options["voice_share"],
            audio_minutes=options["audio_minutes"],
            live_share=options["live_share"],
            characters=options["characters"],
            clip_s=options["clip_s"],
            text_characters=options["text_characters"],
            stream_s=options["stream_s"],
            curve=Curve(options["peak_factor"]),
        )
        targets = Targets(
            p95_s={ASR: options["asr_p95_s"], TTS: options["tts_p95_s"]},
            utilisation=options["utilisation"],
            pod_cores=options["pod_cores"],
        )
        paid = prices(
            timezone.now(),
            t4_hour_usd=options["t4_hour_usd"],
            pod_month_usd=options["pod_month_usd"],
            pod_share=min(1.0, options["pod_cores"] / options["priced_cores"]),
        )
        crowd = Crowd(0, options["think_s"], options["mix"])
        planner = Planner(self._rates(options), use, targets, paid, crowd, seed=options["seed"])
        return self._as_tested(planner, options) if options["load_test"] is not None else planner

    def _rates(self, options: dict[str, Any]) -> Rates:
        try:
            found = rates.read(options["rates"] or rates.SHIPPED)
        except BadRates as error:
            raise CommandError(str(error)) from error
        factor = options["speed_factor"]
        than = "as fast as" if factor == 1 else f"{factor:g} times as fast as"
        note = f"a T4 is TAKEN TO BE {than} one engine on that device (--speed-factor): assumed, not measured"
        return found.faster(factor, note)

    def _as_tested(self, planner: Planner, options: dict[str, Any]) -> Planner:
        gpus = options["tested_gpus"]
        pods = options["tested_pods"]
        try:
            planner.adopt(as_tested(planner, options["load_test"], gpus=gpus, pods=pods))
        except NoSuchTest as error:
            raise CommandError(str(error)) from error
        return planner

    def _asked(self, planner: Planner) -> Case:
        demand = planner.use
        name = f"{demand.users:,.0f} chat users, {demand.voice_users:,.0f} with voice"
        return planner.by_users(name, demand)

    def _phases(self) -> list[tuple[Phase, growth.PhaseLimits]]:
        phases = list(Phase.objects.all())
        try:
            return list(zip(phases, growth.phase_limits(phases), strict=True))
        except ValueError as error:
            raise CommandError(str(error)) from error

    def _judge(self, comparisons: list[Comparison]) -> None:
        if comparisons:
            self.stdout.write("\nPhases of growth")
        for each in comparisons:
            self.stdout.write(f"  {each.in_words()}")

    def _estimate(
        self, planner: Planner, phases: list[tuple[Phase, growth.PhaseLimits]], models: tuple[str, str]
    ) -> None:
        say = self.stdout.write
        say("\nPhases of growth: whether they fit is not known, because nobody has measured a T4 with")
        say(f"{' and '.join(models)}. The table has GPUs and USD a month, from the amount of work alone.")
        say("Each column assumes a T4 that does this work so many times as fast as the measured device did its own:")
        for line in table.by_speed({str(phase): growth.estimates(planner, end) for phase, end in phases}):
            say(f"  {line}")

    def _print_costs(self, asked: Case, comparisons: list[Comparison]) -> None:
        say = self.stdout.write
        say("\nScorecard's costs")
        for case, is_launch in (
            (asked, True),
            *((each.by_users, each.phase.number == growth.LAUNCH) for each in comparisons),
        ):
            say(f"  {case.name}, {'launch' if is_launch else 'growth'}")
            costs = growth.unit_costs(case, is_launch=is_launch)
            for cost, unit in zip(costs, ("hours", "thousand characters"), strict=True):
                say(f"    {table.cost_line(cost, unit)}")

    def _print_sources(self, planner: Planner) -> None:
        say = self.stdout.write
        say("\nMeasured, with every change to the measured values")
        for line in [*assumptions.measured(planner.rates), *planner.rates.notes]:
            say(f"  {line}")
        say("\nAssumed")
        for line in assumptions.assumptions(planner):
            say(f"  {line}")

    def _print_result(self, planner: Planner, asked: Case, comparisons: list[Comparison]) -> None:
        day = simulate(planner.use, planner.rates, shape(planner, asked.machines.gpus), seed=planner.seed)
        self.stdout.write("\nA simulated day")
        for line in narrative(day, minutes=60):
            self.stdout.write(f"  {line}")
        if comparisons:
            last = comparisons[-1]
            self.stdout.write(f"\nA simulated rush: minutes, up to {last.limits.concurrent:,} people in conversation")
            run = rush(planner, last.limits.concurrent, last.by_crowd.machines.gpus)
            for line in narrative(run, minutes=5, in_minutes=True):
                self.stdout.write(f"  {line}")

    def _step(self, planner: Planner, options: dict[str, Any]) -> None:
        runs = load_steps.simulate_steps(planner, options["steps"], options["gpus"])
        for line in load_steps.in_words(runs, options["steps"]):
            self.stdout.write(line)
        if options["plots"]:
            self._save(lambda: draw_steps(planner, runs, options["plots"]), options["plots"])

    def _draw(self, planner: Planner, asked: Case, comparisons: list[Comparison], folder: Path) -> None:
        self.stdout.write("\nDrawing; the larger ones take a minute each")
        self._save(lambda: draw(planner, asked, comparisons, folder), folder)

    def _save(self, drawn: Callable[[], Iterable[Path]], folder: Path) -> None:
        import matplotlib as mpl

        mpl.use("Agg")
        try:
            for path in drawn():
                self.stdout.write(f"  {path}")
                self.stdout.flush()
        except OSError as error:
            raise CommandError(f"cannot write to {folder}: {error.strerror}") from error
