"""The catalogue file is valid, and each setting chooses the right model."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_store.catalogue import BadCatalogue, Task, catalogue, read
from model_store.choice import choose
from model_store.errors import ModelNotInstalled

GOOD = """
[[models]]
id = "a"
name = "A"
task = "transcription"
engine = "whisper"
aliases = ["b"]
languages = ["ms"]
license = "MIT"
author = "somebody"
device = "any"
files = [{ path = "model.bin", bytes = 1, sha256 = "%s" }]
[[models.sources]]
kind = "pip"
parts = [{ file = "model.bin", package = "p==1", member = "m" }]
""" % ("0" * 64)
PARTS = GOOD.splitlines()[-1]


def written(path: Path, text: str) -> Path:
    file = path / "catalogue.toml"
    file.write_text(text)
    return file


def test_every_whisper_model_has_the_files_its_loader_needs() -> None:
    for model in catalogue():
        if model.engine == "whisper" and model.pinned:
            names = {file.path for file in model.files}
            assert {"model.bin", "config.json", "tokenizer.json"} < names
            assert names & {"vocabulary.txt", "vocabulary.json"}


def test_one_default_and_one_fallback_for_each_task() -> None:
    for task in Task:
        assert len([model for model in catalogue().defaults() if model.task is task]) == 1
        assert len([model for model in catalogue() if model.task is task and model.fallback]) == 1


def test_revisions_are_pinned_wherever_hashes_are() -> None:
    for model in catalogue():
        for source in model.sources:
            if model.engine == "whisper" and model.pinned and source.kind == "hub":
                assert len(source.revision) == 40, model.id


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('kind = "pip"', 'kind = "ftp"', "unknown kind of source 'ftp'"),
        (PARTS, "", "a: a pip source names its parts"),
        (f'kind = "pip"\n{PARTS}', 'kind = "npm"', "a: a npm source names its parts"),
        ("0" * 64, "xyz", "is no SHA-256"),
        ('path = "model.bin"', 'path = "../model.bin"', "stays within"),
        ('path = "model.bin"', 'path = "other.bin"', "a: no source has other.bin"),
        ('task = "transcription"', 'task = "singing"', "'singing' is not a valid Task"),
        ('aliases = ["b"]', 'aliases = ["a"]', "more than one model is called a"),
        ('device = "any"', "", "device"),
        ('device = "any"', 'device = "any"\ncolour = "red"', "colour"),
    ],
)
def test_mistakes_in_the_catalogue_are_reported(tmp_path: Path, before: str, after: str, message: str) -> None:
    read(written(tmp_path, GOOD))
    with pytest.raises(BadCatalogue, match=message.replace(".", r"\.")):
        read(written(tmp_path, GOOD.replace(before, after)))


# --- Which model a setting chooses ------------------------------------------------------------------------------------


def test_nothing_installed(tmp_path: Path) -> None:
    choice = choose(Task.TRANSCRIPTION, "auto", tmp_path)
    assert (choice.id, choice.is_fallback) == ("whisper-ms-demo", True)
    assert (Path(choice.source) / "model.bin").is_file()
    speech = choose(Task.SPEECH, "", tmp_path)
    assert (speech.id, speech.engine, speech.directory, speech.is_fallback) == ("espeak-ng", "espeak-ng", None, True)


def test_an_incomplete_model_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "whisper-base").mkdir()
    (tmp_path / "whisper-base" / "model.bin").write_bytes(b"half")
    assert "incomplete or damaged" in choose(Task.TRANSCRIPTION, "auto", tmp_path).notice


def test_installed_models_come_first(whisper_base: Path, kokoro: Path) -> None:
    assert choose(Task.TRANSCRIPTION, "auto", whisper_base.parent).directory == whisper_base
    assert choose(Task.SPEECH, "auto", kokoro.parent).directory == kokoro
    assert choose(Task.TRANSCRIPTION, "base", whisper_base.parent).id == "whisper-base"


@pytest.mark.parametrize("name", ["whisper-ms-demo", "bundled"])
def test_a_fallback_that_the_setting_names_is_no_fallback(tmp_path: Path, name: str) -> None:
    assert not choose(Task.TRANSCRIPTION, name, tmp_path).is_fallback


def test_a_hub_id_is_left_to_the_loader(tmp_path: Path) -> None:
    choice = choose(Task.TRANSCRIPTION, "somebody/whisper-ms", tmp_path)
    assert (choice.hub, choice.directory, choice.source) == ("somebody/whisper-ms", None, "somebody/whisper-ms")


@pytest.mark.parametrize(
    ("task", "wanted", "message"),
    [
        (Task.TRANSCRIPTION, "large-v3-turbo", "models install whisper-large-v3-turbo"),
        (Task.TRANSCRIPTION, "/no/such/model", "There is no directory and no transcription model '/no/such/model'"),
        (Task.TRANSCRIPTION, "kokoro-82m", "no transcription model 'kokoro-82m'"),
        (Task.SPEECH, "somebody/voice", "kokoro-82m, espeak-ng"),
    ],
)
def test_a_model_named_by_the_setting_is_not_replaced(tmp_path: Path, task: Task, wanted: str, message: str) -> None:
    with pytest.raises(ModelNotInstalled) as told:
        choose(task, wanted, tmp_path)
    assert message in str(told.value)
