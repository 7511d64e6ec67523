"""Mix several channels into one, so that nothing that was said cancels out.

The plain mean of a stereo recording is silence if one channel is wired with opposite polarity. So a channel that is
opposed to the others is inverted first. The sum is scaled by the channels' levels, so that a silent channel does not
make the others quieter.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_OPPOSED = -0.3  # correlation; unrelated channels are near 0, those of real stereo rarely below this
_AUDIBLE = 0.1  # share of the loudest channel's power: enough to compare the others with
_MEMORY_S = 5.0  # in this time, half of what is known about the channels is forgotten

Channels = npt.NDArray[np.float32]


class Downmix:
    """Mixes down the channels of one stream. It remembers how they have correlated so far."""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._covariance: npt.NDArray[np.float64] | None = None

    def __call__(self, channels: Channels) -> Channels:
        """Mix channels, float32 (channels, n), into one, float32 (n,) within [-1, 1]."""
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
        reference = int(np.argmax(power >= _AUDIBLE * loudest))  # the first that can be heard
        correlation = self._covariance[reference] / np.maximum(levels * levels[reference], 1e-20)
        signs = np.where(correlation < _OPPOSED, -1.0, 1.0)
        return np.asarray(signs * levels.max() / levels.sum(), np.float32)
