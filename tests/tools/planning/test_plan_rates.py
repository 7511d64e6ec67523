"""Rates are read from a file, refused if invalid, written, and scaled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.planning.rates import BadRates, fit_line, read

RATES = Path(__file__).with_name("plan_rates.json")  # a fixed measurement


def test_rates_are_written_and_read_unchanged(tmp_path: Path) -> None:
    rates = read(RATES)
    rates.write(tmp_path / "rates.json")
    assert read(tmp_path / "rates.json") == rates


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"asr": 3}'])
def test_files_without_rates_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "rates.json"
    file.write_text(text)
    with pytest.raises(BadRates):
        read(file)


def test_impossible_rates_are_refused(tmp_path: Path) -> None:
    given = json.loads(RATES.read_text())
    given["tts"]["batch"]["per_cost_s"] = 0
    file = tmp_path / "rates.json"
    file.write_text(json.dumps(given))
    with pytest.raises(BadRates, match="tts"):
        read(file)


def test_a_batch_time_is_fitted() -> None:
    assert fit_line([(cost, 0.02 + 0.003 * cost) for cost in (5, 10, 20, 40, 80)]) == pytest.approx((0.02, 0.003))
    assert fit_line([(5, 0.01), (10, 0.021), (20, 0.041)])[0] == 0.0  # never negative
    assert fit_line([(5, 0.02), (10, 0.01)])[1] == 0.0


def test_scaling_rates_to_a_faster_device() -> None:
    rates = read(RATES)
    fast = rates.faster(2, "twice")
    assert fast.asr.batch.seconds(80) == pytest.approx(rates.asr.batch.seconds(80) / 2)
    assert fast.asr.processor.api_s == rates.asr.processor.api_s
    assert fast.notes[-1] == "twice"
