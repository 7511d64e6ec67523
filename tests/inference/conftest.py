"""A batcher and the model that it runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from inference.batcher import Batcher
from tests.inference.doubling_model import Model, Number


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def batcher(model: Model) -> Iterator[Batcher[Number, int]]:
    batcher: Batcher[Number, int] = Batcher(
        "numbers", model.run, key=lambda unit: unit.kind, limit=lambda unit: 4, max_queue=8
    )
    batcher.start()
    yield batcher
    model.free.set()
    batcher.close()
