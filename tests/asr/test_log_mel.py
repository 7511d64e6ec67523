from __future__ import annotations

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from asr.log_mel import LogMel
from tests import sound


@pytest.mark.parametrize("seconds", [0.1, 1.0, 3.999, 30.0])
@pytest.mark.parametrize("mels", [80, 128])
def test_the_features_equal_those_of_faster_whisper(seconds: float, mels: int) -> None:
    audio = np.resize(sound.said("saya mahu pergi ke kuala lumpur"), int(seconds * sound.RATE))
    theirs = FeatureExtractor(feature_size=mels)
    expected = np.asarray(theirs(audio), np.float32)[:, :-1]
    found = LogMel(theirs.mel_filters)(audio)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-4


def test_silence_has_features_too() -> None:
    assert np.isfinite(LogMel(FeatureExtractor().mel_filters)(sound.silence(1.0))).all()
