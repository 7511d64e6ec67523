"""Who shares a batch, and with which beam."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from asr.batching import mixed_key, own_key
from asr.checkpoint import CONTEXTS_S
from asr.encoding import Prepared
from asr.units import Options, SpeechUnit

MALAY = Options(language="ms")
PARTIAL: dict[str, Any] = {"greedy": True, "timestamps": False, "temperatures": (0.0,)}


def prepared(context_s: int = 7, *, prompt: tuple[int, ...] = (), **options: Any) -> Prepared:
    unit = SpeechUnit(audio=np.zeros(16_000, np.float32), options=replace(MALAY, **options))
    return Prepared(unit=unit, features=np.zeros((80, 100), np.float32), context_s=context_s, prompt=prompt)


def test_units_of_each_context_have_a_key_of_their_own() -> None:
    assert len({own_key(prepared(context_s)) for context_s in CONTEXTS_S}) == len(CONTEXTS_S)
    partial = prepared(**PARTIAL)
    assert own_key(partial) != own_key(prepared())
    assert not {own_key(partial), own_key(prepared())} & {mixed_key(partial), mixed_key(prepared())}


@pytest.mark.parametrize(
    ("item", "mixes"),
    [
        (prepared(15), True),
        (prepared(**PARTIAL), True),
        (prepared(temperatures=(0.0,), timestamps=False, words=True, language="en"), True),
        (prepared(temperatures=(0.7,)), False),
        (prepared(task="translate"), False),
        (prepared(prompt=(1, 2)), False),
    ],
    ids=["context", "partial", "options", "temperature", "translation", "prompt"],
)
def test_what_units_of_a_mixed_batch_have_in_common(item: Prepared, mixes: bool) -> None:
    assert (mixed_key(item) == mixed_key(prepared())) is mixes
