"""Mix several audio channels into one, without cancelling out any speech.

If both channels of a stereo recording contain the same speech, but one has inverted polarity, their mean is silence. So
a channel that correlates negatively with the reference channel (the first audible one) is inverted before the channels
are added. The sum is scaled by the channels' levels, so that a silent channel does not make the other channels quieter.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_OPPOSED = -0.3  # a channel with a lower correlation is inverted; unrelated channels have about 0, stereo channels more
_AUDIBLE = 0.1  # a channel needs at least this share of the loudest channel's power to be the reference
_MEMORY_S = 5.0  # half-life of the audio in the channels' correlation

Channels = npt.NDArray[np.float32]


class Downmix:
    """Mixes the channels of one stream down to mono, using the correlation of the channels so far.

    ``sample_rate``: sample rate of the stream in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._covariance: npt.NDArray[np.float64] | None = None

    def __call__(self, channels: Channels) -> Channels:
        """Mix the next samples, float32 (channels, n), into one channel, float32 (n,) within [-1, 1]."""
        if len(channels) == 1:
            return np.asarray(channels[0], np.float32)
        self._learn(channels)
        return np.asarray(np.clip(self._weights() @ channels, -1, 1), np.float32)

    def _learn(self, channels: Channels) -> None:
        products = (channels @ channels.T).astype(np.float64)
        if self._covariance is None:
            self._covariance = products
        else:
            kept = 0.5 ** (channels.shape[1] / self._sample_rate / _MEMORY_S)
            self._covariance = kept * self._covariance + products

    def _weights(self) -> Channels:
        assert self._covariance is not None
        power = np.diag(self._covariance)
        loudest = power.max()
        if loudest <= 0:
            return np.full(len(power), 1 / len(power), np.float32)
        levels = np.sqrt(power)
        reference = int(np.argmax(power >= _AUDIBLE * loudest))  # the first audible channel
        correlation = self._covariance[reference] / np.maximum(levels * levels[reference], 1e-20)
        signs = np.where(correlation < _OPPOSED, -1.0, 1.0)
        return np.asarray(signs * levels.max() / levels.sum(), np.float32)
