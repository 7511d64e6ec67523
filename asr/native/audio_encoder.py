"""Whisper's audio encoder on a CPU with AVX-512 VNNI, by the function in ``audio_encoder.c``."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np

from asr.native.layers import HEAD, Floats, Layers, Linear, Norm, argument
from asr.native.weights import Weights


class _Layer(ctypes.Structure):
    _fields_ = (
        *((name, Norm) for name in ("self_norm", "feed_norm")),
        *((name, Linear) for name in ("qkv", "self_out", "feed_in", "feed_out")),
    )


class _Encoder(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("layers", "heads", "width", "inner", "mels")),
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
        self._longest = len(weights.variables["encoder/position_encodings/encodings"])
        layers = (_Layer * count)(*(self._layer(f"encoder/layer_{number}") for number in range(count)))
        self._encoder = _Encoder(
            layers=count,
            heads=self.width // HEAD,
            width=self.width,
            inner=len(weights.variables["encoder/layer_0/ffn/linear_0/bias"]),
            mels=self._mels,
            layer=layers,
            conv1=self._layers.convolution("encoder/conv1"),
            conv2=self._layers.convolution("encoder/conv2"),
            norm=self._layers.norm("encoder/layer_norm"),
            positions=self._layers.floats(weights.floats("encoder/position_encodings/encodings")),
        )

    def __call__(self, features: Floats) -> Floats:
        """Return the encoder's output, float32 (frames / 2, width).

        ``features``: float32 (mels, frames), an even number of frames of at most 30 s.
        """
        mels, frames = features.shape
        if mels != self._mels or frames % 2 or not 0 < frames // 2 <= self._longest:
            raise ValueError(f"features of shape {features.shape} do not suit this model")
        features = np.ascontiguousarray(features, np.float32)
        encoded = np.empty((frames // 2, self.width), np.float32)
        arguments = map(argument, (features, frames // 2, encoded))
        if self._library.audio_encoder_run(ctypes.byref(self._encoder), *arguments):
            raise MemoryError
        return encoded

    def _layer(self, name: str) -> _Layer:
        return _Layer(
            self_norm=self._layers.norm(f"{name}/self_attention/layer_norm"),
            feed_norm=self._layers.norm(f"{name}/ffn/layer_norm"),
            qkv=self._layers.linear(f"{name}/self_attention/linear_0", scaled=self.width, scale=HEAD**-0.5),
            self_out=self._layers.linear(f"{name}/self_attention/linear_1"),
            feed_in=self._layers.linear(f"{name}/ffn/linear_0"),
            feed_out=self._layers.linear(f"{name}/ffn/linear_1"),
        )
