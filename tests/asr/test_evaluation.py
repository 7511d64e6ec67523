"""`manage.py evaluate_asr` as an operator runs it on a folder of recordings."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests import sound

SENTENCES = ["selamat pagi semua", "berapa harga nasi lemak ini", "tolong buka lampu di ruang tamu"]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    lines = []
    for number, sentence in enumerate(SENTENCES):
        (tmp_path / f"{number}.wav").write_bytes(sound.wav(sound.said(sentence)))
        lines.append(json.dumps({"audio": f"{number}.wav", "text": sentence.capitalize() + "."}))
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


def test_the_worst_lines_are_shown(manifest: Path) -> None:
    text = manifest.read_text().replace("Selamat pagi semua", "Lain sekali kata-katanya")
    manifest.write_text(text)
    shown = run(manifest)
    assert "said   lain sekali kata katanya" in shown


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
