"""docs/clients.md names every parameter and event in the types of OpenAI's SDK."""

from __future__ import annotations

from tests.clients.programs.openai_types import PAGE, disagreements


def test_every_parameter_and_event_is_in_a_row() -> None:
    assert disagreements() == []


def test_a_missing_row_is_noticed(monkeypatch) -> None:
    without = PAGE.read_text().replace("`delay`", "").replace("`rate_limits.updated`", "")
    monkeypatch.setattr(type(PAGE), "read_text", lambda self: without)
    assert disagreements() == ["session transcription delay is in no row", "rate_limits.updated is in no row"]
