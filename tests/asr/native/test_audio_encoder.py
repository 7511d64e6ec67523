"""The native audio encoder against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from asr.native.audio_encoder import AudioEncoder
from tests.asr.native.reference import Reference


@pytest.mark.parametrize("frames", [2, 30, 64, 66, 350, 3000])
def test_the_output_is_that_of_numpy(encoder: AudioEncoder, reference: Reference, frames: int) -> None:
    features = np.random.default_rng(frames).uniform(-1, 1.5, (80, frames)).astype(np.float32)
    found = encoder(features)
    expected = reference.encode(features)
    assert found.shape == expected.shape == (frames // 2, 128)
    assert np.abs(found - expected).mean() < 0.02  # the values have a standard deviation of about 1
    assert np.abs(found - expected).max() < 0.2


@pytest.mark.parametrize("shape", [(80, 3001), (80, 3002), (80, 0), (128, 100)])
def test_features_that_do_not_suit_the_model_are_refused(encoder: AudioEncoder, shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="do not suit"):
        encoder(np.zeros(shape, np.float32))
