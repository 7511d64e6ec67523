"""Whisper's audio encoder on a CPU with AVX-512 VNNI, by the function in ``audio_encoder.c``."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np

from asr.native.layers import HEAD_SIZE, LANES, OUTPUTS, Floats, Layers, Linear, Norm, argument
from asr.native.weights import Weights

LONGEST = 1500  # frames of the output for 30 s of audio, the same in all Whisper models


class _Layer(ctypes.Structure):
    _fields_ = (
        *((name, Norm) for name in ("self_norm", "feed_norm")),
        *((name, Linear) for name in ("qkv", "self_out", "feed_in", "feed_out")),
    )


class _Encoder(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("layers", "heads", "width", "ffn_size", "mels")),
        ("layer", ctypes.POINTER(_Layer)),
        ("conv1", Linear),
        ("conv2", Linear),
        ("norm", Norm),
        ("positions", ctypes.c_void_p),
    )


class AudioEncoder:
    """The audio encoder of one Whisper model. Several threads may call it."""

    def __init__(self, weights: Weights, library: Path) -> None:
        self._layers = Layers(weights)
        self._library = ctypes.CDLL(str(library))
        count = weights.layers("encoder")
        self.width, self._mels, _ = weights.variables["encoder/conv1/weight"].shape
        self._ffn_size = len(weights.variables["encoder/layer_0/ffn/linear_0/bias"])
        heads = weights.count("encoder/num_heads")
        if self.width != HEAD_SIZE * heads or self._ffn_size % OUTPUTS or 3 * self._mels % LANES:
            raise ValueError("the sizes of its encoder's layers do not suit the functions in C")
        layers = (_Layer * count)(*(self._layer(f"encoder/layer_{number}") for number in range(count)))
        self._encoder = _Encoder(
            layers=count,
            heads=heads,
            width=self.width,
            ffn_size=self._ffn_size,
            mels=self._mels,
            layer=layers,
            conv1=self._layers.convolution("encoder/conv1", self.width, self._mels),
            conv2=self._layers.convolution("encoder/conv2", self.width, self.width),
            norm=self._layers.norm("encoder/layer_norm", self.width),
            positions=self._layers.positions("encoder", LONGEST, self.width),
        )

    def __call__(self, features: Floats) -> Floats:
        """Return the encoder's output, float32 (frames / 2, width).

        ``features``: float32 (mels, frames), an even number of frames of at most 30 s.
        """
        mels, frames = features.shape
        if mels != self._mels or frames % 2 or not 0 < frames // 2 <= LONGEST:
            raise ValueError(f"features of shape {features.shape} do not suit this model")
        features = np.ascontiguousarray(features, np.float32)
        encoded = np.empty((frames // 2, self.width), np.float32)
        arguments = map(argument, (features, frames // 2, encoded))
        if self._library.audio_encoder_run(ctypes.byref(self._encoder), *arguments):
            raise MemoryError
        return encoded

    def _layer(self, name: str) -> _Layer:
        norm, linear, width = self._layers.norm, self._layers.linear, self.width
        return _Layer(
            self_norm=norm(f"{name}/self_attention/layer_norm", width),
            feed_norm=norm(f"{name}/ffn/layer_norm", width),
            qkv=linear(f"{name}/self_attention/linear_0", 3 * width, width, scaled=width, scale=HEAD_SIZE**-0.5),
            self_out=linear(f"{name}/self_attention/linear_1", width, width),
            feed_in=linear(f"{name}/ffn/linear_0", self._ffn_size, width),
            feed_out=linear(f"{name}/ffn/linear_1", width, self._ffn_size),
        )
