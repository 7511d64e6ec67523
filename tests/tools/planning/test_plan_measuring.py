"""``manage.py measure_rates`` measures a real service, and its result can be used for a plan."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tests.services import ROOT
from tools.planning.rates import read
from tools.planning.simulation.closed import ClosedLoop, one_machine
from tts.units import speech_cost


@pytest.mark.timeout(400)
def test_it_works(tmp_path: Path) -> None:
    file = tmp_path / "rates.json"
    # In another process, because it changes the environment.
    done = subprocess.run(
        [sys.executable, "manage.py", "measure_rates", str(file), "--seconds", "1"],
        cwd=ROOT,
        env={**os.environ, "VOICE_STATE_DIR": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rates = read(file)
    assert rates.asr_model == "whisper-ms-demo"
    assert rates.device
    for kind in (rates.asr, rates.tts):
        used = kind.processor
        assert min(used.loop_s, used.pool_s, used.ledger_s, used.engine_s, used.client_s) > 0
        assert sum(used.stages) == pytest.approx(1, abs=0.001)
        assert kind.mean_batch >= 1
    assert rates.live.units_per_s > 0
    assert rates.tts.batch.cost(60) == speech_cost("a" * 60)  # the cost to which the batch times were fitted
    answers = one_machine(rates, ClosedLoop(10, 5.0))
    assert answers.per_second > 0


@pytest.mark.parametrize("arguments", [["/nowhere/rates.json"], ["rates.json", "--seconds", "0"]])
def test_invalid_options_are_refused(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("measure_rates", *arguments)
