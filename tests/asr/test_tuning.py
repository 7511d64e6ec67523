"""The tuning table is measured, written and read, and is used only for the machine and model that it was made for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings

from asr import tuning, tuning_measurements
from asr.checkpoint import BUNDLED, CONTEXTS_S, MARGIN_S, Checkpoint, configured
from asr.units import SpeechUnit
from asr.whisper_engine import WhisperEngine
from inference import processor
from inference.errors import EngineUnavailable
from tests import sound


@pytest.fixture(autouse=True)
def state(settings: Settings, tmp_path: Path) -> Path:
    settings.VOICE_STATE_DIR = tmp_path
    return tmp_path


def table(**changes: object) -> dict[str, object]:
    return json.loads((Path(BUNDLED) / "tuning.json").read_text("utf-8")) | changes


def test_it_works(state: Path, capsys, monkeypatch) -> None:
    """The engine reads the table that the command wrote."""
    monkeypatch.setattr(tuning_measurements, "BATCHES", (1, 2))
    monkeypatch.setattr(tuning_measurements, "CALLERS", 4)
    call_command("tune_asr", device="cpu", seconds=0.2)
    told = capsys.readouterr().out
    assert "segments of 4 s a second" in told
    assert str(state / "asr-tuning.json") in told
    found = tuning.tuning(configured(), "cpu", tuning.cores_here())
    assert found == tuning.read(state / "asr-tuning.json")
    assert found.contexts_s[-1] == 30
    assert found.workers >= 1 and found.threads >= 1
    assert found.measured["segments_per_second"]


def test_the_setting_names_the_table(state: Path, settings: Settings) -> None:
    path = state / "elsewhere" / "table.json"
    tuning.by_rule(configured(), "cpu").write(path)
    settings.VOICE_ASR_TUNING = str(path)
    assert tuning.tuning(configured(), "cpu", 7) == tuning.read(path)


def test_the_bundled_model_has_a_table_of_its_own() -> None:
    found = tuning.tuning(configured(), "cpu", 7)
    assert found == tuning.read(BUNDLED / "tuning.json")
    assert tuning.parallelism(found, configured(), 8) == (8, 1)


@pytest.mark.parametrize(
    "other", [{"model": "small"}, {"device": "cuda"}, {"cores": 3}], ids=lambda other: next(iter(other))
)
def test_a_table_for_another_model_or_device_is_ignored(state: Path, other: dict[str, object]) -> None:
    (state / "asr-tuning.json").write_text(json.dumps(table(batches={"30": 5}) | other))
    assert tuning.tuning(configured(), "cpu", 7).batches != {30: 5}


@pytest.mark.parametrize(("batches", "is_used"), [({7: 4, 9: 3, 15: 2, 30: 1}, True), ({7: 4, 8: 3, 30: 1}, False)])
def test_a_table_may_lack_some_of_the_models_contexts(state: Path, batches: dict[int, int], is_used: bool) -> None:
    """A table without some contexts stays in use, because a new version may add contexts to a model.

    A table with a context that the model lacks is ignored.
    """
    stock = Checkpoint("whisper-base", "whisper-base", contexts_s=CONTEXTS_S, margin_s=MARGIN_S)
    tuning.Tuning("whisper-base", "cpu", "int8", batches, margin_s=MARGIN_S).write(state / "asr-tuning.json")
    found = tuning.tuning(stock, "cpu", 2)
    assert found.contexts_s == (tuple(batches) if is_used else CONTEXTS_S)
    assert [found.context_s(seconds) for seconds in (5.0, 5.5, 11.0)] == ([7, 9, 15] if is_used else [7, 9, 13])


async def test_the_engine_follows_the_table(state: Path) -> None:
    (state / "asr-tuning.json").write_text(json.dumps(table(batches={"10": 1, "30": 1}, workers=2, threads=1)))
    engine = WhisperEngine(configured())
    await engine.load()
    prepared = engine._prepare(SpeechUnit(audio=sound.said("selamat pagi")))
    assert prepared.context_s == 10  # the table has no context of 5 s
    assert (await engine.submit(SpeechUnit(audio=sound.said("selamat pagi")))).text == "selamat pagi"
    await engine.close()


@pytest.mark.parametrize(
    "broken",
    [
        "nonsense",
        "[]",
        json.dumps({"version": 2}),
        json.dumps(table(batches={})),
        json.dumps(table(batches={"5": 8})),
        json.dumps(table(batches={"31": 8, "30": 1})),
        json.dumps(table(batches={"30": 0})),
        json.dumps(table(batches={"30": "many"})),
        json.dumps(table(workers=-1)),
        json.dumps(table(threads=True)),
        json.dumps(table(model="")),
    ],
)
async def test_a_broken_table_is_an_error(state: Path, broken: str) -> None:
    (state / "asr-tuning.json").write_text(broken)
    with pytest.raises(EngineUnavailable, match=r"asr-tuning\.json"):
        await WhisperEngine(configured()).load()


def test_a_table_named_by_the_setting_must_exist(settings: Settings, state: Path) -> None:
    settings.VOICE_ASR_TUNING = str(state / "gone.json")
    with pytest.raises(tuning.UnusableTable, match=r"gone\.json"):
        tuning.tuning(configured(), "cpu", 2)


def test_the_simplest_split_that_is_not_clearly_slower_is_chosen() -> None:
    assert tuning_measurements.best({(1, 1): 100.0, (2, 1): 102.0}) == (1, 1)
    assert tuning_measurements.best({(1, 1): 100.0, (2, 1): 120.0, (1, 2): 90.0}) == (2, 1)


def test_the_smallest_batch_that_is_nearly_as_cheap_as_larger_ones() -> None:
    assert tuning_measurements.smallest_good_batch({1: 10.0, 2: 8.0, 4: 7.9, 8: 8.5}) == 2


def test_a_context_that_saves_nothing_is_dropped() -> None:
    costs = {5: {1: 5.0}, 10: {1: 9.9}, 20: {1: 10.0}, 30: {1: 30.0}}
    assert tuning_measurements.contexts_worth_having(costs) == [5, 20, 30]


WIDE = "avx2 avx512f avx512cd avx512vl avx512bw avx512dq"


@pytest.mark.parametrize(
    ("flags", "set_by_operator", "used"),
    [
        (WIDE, None, "AVX512"),
        (WIDE, "GENERIC", "GENERIC"),
        (WIDE.replace("avx512vl ", ""), None, None),
        ("sse4_1 avx2", None, None),
    ],
)
def test_avx512_is_requested_only_if_the_processor_has_all_of_it(
    flags: str, set_by_operator: str | None, used: str | None, tmp_path: Path, monkeypatch
) -> None:
    described = tmp_path / "cpuinfo"
    described.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    monkeypatch.setattr(processor, "CPU_INFO", described)
    monkeypatch.delenv(tuning.ISA, raising=False)
    if set_by_operator:
        monkeypatch.setenv(tuning.ISA, set_by_operator)
    tuning.allow_avx512()
    assert os.environ.get(tuning.ISA) == used


def test_an_unknown_processor_is_left_alone(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "none")
    monkeypatch.delenv(tuning.ISA, raising=False)
    tuning.allow_avx512()
    assert tuning.ISA not in os.environ
