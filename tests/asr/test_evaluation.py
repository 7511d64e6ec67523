"""``manage.py evaluate_asr`` on a folder of recordings, as an operator runs it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from asr import checkpoint, evaluation
from tests import sound

SENTENCES = ["selamat pagi semua", "berapa harga nasi lemak ini", "tolong buka lampu di ruang tamu"]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    lines = []
    for number, sentence in enumerate(SENTENCES):
        (tmp_path / f"{number}.wav").write_bytes(sound.wav(sound.said(sentence)))
        lines.append(json.dumps({"audio": f"{number}.wav", "language": "ms", "text": sentence.capitalize() + "."}))
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def run(*arguments: object) -> str:
    out = io.StringIO()
    call_command("evaluate_asr", *map(str, arguments), stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_it_works(manifest: Path) -> None:
    shown = run(manifest)
    assert "3 recordings" in shown
    assert "WER" in shown and "CER" in shown and "RTF" in shown and "95 % interval" in shown


def test_json_and_csv(manifest: Path, tmp_path: Path) -> None:
    figures = json.loads(run(manifest, "--json"))
    table = tmp_path / "manifest.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "sentence"])
        rows.writerows((f"{number}.wav", sentence) for number, sentence in enumerate(SENTENCES))
    again = json.loads(run(table, "--json"))
    assert figures["wer"]["value"] == again["wer"]["value"] < 0.5
    assert figures["wer"]["low"] <= figures["wer"]["value"] <= figures["wer"]["high"]
    assert 0 < figures["rtf"]["value"] < 1


def test_contexts_are_compared(manifest: Path) -> None:
    shown = run(manifest, "--compare-context")
    assert "full context" in shown and "dynamic context" in shown
    assert "same words in" in shown
    assert "VOICE_ASR_CONTEXT=" in shown


def test_figures_by_language_and_duration(manifest: Path) -> None:
    figures = json.loads(run(manifest.parent, "--json"))  # the directory instead of the manifest
    assert figures["by_language"]["ms"]["recordings"] == figures["by_duration"]["under 3 s"]["recordings"] == 3
    wrong = figures["substitutions"] + figures["deletions"] + figures["insertions"]
    words = sum(len(sentence.split()) for sentence in SENTENCES)
    assert wrong / words == pytest.approx(figures["wer"]["value"])
    assert figures["recordings with a loop"] == figures["segments decoded again"] == 0


def test_two_models_are_compared_in_pairs(manifest: Path) -> None:
    shown = run(manifest, "--compare", "plain")
    assert "plain faster-whisper" in shown
    assert "WER of the second less that of the first" in shown
    itself = json.loads(run(manifest, "--compare", checkpoint.BUNDLED, "--json"))
    assert itself["wer_difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_a_loop_is_a_repetition_that_the_reference_lacks() -> None:
    def loops(said: str, heard: str) -> int:
        reference = evaluation.Reference(Path("a.wav"), said, "ms")
        return evaluation.score(reference, evaluation.ClipResult(heard, "ms", 2.0, 0), 0.1).loops

    assert loops("terima kasih", "terima kasih terima kasih terima kasih") == 1
    assert loops("ha ha ha ha", "ha ha ha ha") == 0
    assert loops("terima kasih", "terima kasih") == 0


def test_the_clips_with_most_errors_are_shown(manifest: Path) -> None:
    text = manifest.read_text().replace("Selamat pagi semua", "Lain sekali kata-katanya")
    manifest.write_text(text)
    shown = run(manifest)
    assert "reference   lain sekali kata katanya" in shown


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "no recordings"),
        ("{", "not JSON lines"),
        ('{"audio": "0.wav"}', "needs an audio path"),
        ('{"audio": "gone.wav", "text": "x"}', "no file"),
    ],
)
def test_a_bad_manifest_is_explained(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text(content)
    with pytest.raises(CommandError, match=complaint):
        run(path)
