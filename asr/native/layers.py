"""Arrange a model's weights for the functions in C, and call these functions."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from asr.native.weights import Weights, quantised

Floats = npt.NDArray[np.float32]

HEAD_SIZE = 64  # size of an attention head, the same in all Whisper models
LANES = 16
OUTPUTS = 32  # the outputs of a linear layer are padded to a multiple of this


class Linear(ctypes.Structure):
    _fields_ = (
        ("weights", ctypes.c_void_p),
        ("scales", ctypes.c_void_p),
        ("sums", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("outputs", ctypes.c_int64),
        ("inputs", ctypes.c_int64),
    )


class Norm(ctypes.Structure):
    _fields_ = (("gain", ctypes.c_void_p), ("shift", ctypes.c_void_p))


class Layers:
    """Makes layers from a checkpoint's weights, and keeps the arrays to which they point."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self._kept: list[npt.NDArray[Any]] = []

    def linear(self, name: str, outputs: int, inputs: int, *, scaled: int = 0, scale: float = 1.0) -> Linear:
        """Arrange the weights of a linear layer. The first ``scaled`` outputs are multiplied by ``scale``.

        Raise ``ValueError`` if they have another shape, because the functions in C would read outside the arrays.
        """
        numbers, scales = self.weights.quantised(f"{name}/weight")
        _require_shape(f"{name}/weight", numbers, (outputs, inputs))
        _require_shape(f"{name}/weight_scale", scales, (outputs,))
        scales = scales.copy()
        scales[:scaled] *= scale
        return self._arranged(numbers, scales, name, scaled, scale)

    def convolution(self, name: str, outputs: int, channels: int) -> Linear:
        """Arrange a convolution of width 3 as a linear layer, whose inputs are three neighbouring frames."""
        weight = self.weights.floats(f"{name}/weight")
        _require_shape(f"{name}/weight", weight, (outputs, channels, 3))
        return self._arranged(*quantised(weight.transpose(0, 2, 1).reshape(len(weight), -1)), name)

    def _arranged(
        self, numbers: npt.NDArray[np.int8], scales: Floats, name: str, scaled: int = 0, scale: float = 1.0
    ) -> Linear:
        outputs, inputs = numbers.shape
        padded = -(-outputs // OUTPUTS) * OUTPUTS
        factors = np.zeros(padded, np.float32)
        factors[:outputs] = scales
        arranged = np.zeros((padded, inputs), np.int8)
        arranged[:outputs] = numbers
        blocks = (arranged.view(np.uint8) ^ 0x80).reshape(padded // LANES, LANES, inputs // 4, 4).transpose(0, 2, 1, 3)
        bias = None
        if f"{name}/bias" in self.weights:
            values = self.weights.floats(f"{name}/bias")
            _require_shape(f"{name}/bias", values, (outputs,))
            values[:scaled] *= scale
            bias = self.floats(np.pad(values, (0, padded - outputs)))
        sums = arranged.sum(1, dtype=np.int32) * factors
        weights = self.pointer(np.ascontiguousarray(blocks))
        return Linear(weights, self.floats(factors), self.floats(sums), bias, padded, inputs)

    def norm(self, name: str, width: int) -> Norm:
        gain, shift = (self.weights.floats(f"{name}/{part}") for part in ("gamma", "beta"))
        for values in (gain, shift):
            _require_shape(name, values, (width,))
        return Norm(self.floats(gain), self.floats(shift))

    def positions(self, part: str, count: int, width: int) -> int:
        """Return the address of the position encodings of the ``encoder`` or the ``decoder``."""
        values = self.weights.floats(f"{part}/position_encodings/encodings")
        _require_shape(f"{part}/position_encodings", values, (count, width))
        return self.floats(values)

    def floats(self, values: npt.NDArray[Any]) -> int:
        return self.pointer(np.ascontiguousarray(values, np.float32))

    def pointer(self, array: npt.NDArray[Any]) -> int:
        self._kept.append(array)
        return int(array.ctypes.data)


def _require_shape(name: str, values: npt.NDArray[Any], shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise ValueError(f"{name} has the shape {values.shape}, not {shape}")


def argument(value: Any) -> Any:
    if isinstance(value, int):
        return ctypes.c_int64(value)
    return ctypes.c_void_p(value.ctypes.data) if isinstance(value, np.ndarray) else value
