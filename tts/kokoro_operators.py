"""Replace single operators of Kokoro's graph with others that onnxruntime computes faster and no less accurately."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tts.kokoro_convolutions import Replacement
from tts.onnx_graph import Message, array_of

_ROUNDING_ERROR = 1e-9  # a sine or cosine whose exact value is 0 may differ from 0 by up to this much when computed
# Kokoro uses the angles of a spectrum. In the lowest and the highest bin, the imaginary part is exactly 0. If the real
# part is negative, the angle should be π, as when Kokoro was trained. The exported graph computes -π unless the
# imaginary part is above 0. (onnxruntime's own operator has rounding errors there, which give π or -π at random.)
_ABOVE_ZERO = 1e-20


def faster(node: Message, constants: Mapping[str, Message]) -> Replacement | None:
    """Return the replacement for a node, or None if this module has no faster one.

    ``constants``: the graph's constants by name.
    """
    if node.op_type == "Pow":
        return _square(node, constants)
    if node.op_type == "STFT":
        return _fourier_transform(node, constants)
    return None


def _square(node: Message, constants: Mapping[str, Message]) -> Replacement | None:
    """Return ``x * x`` as the replacement for ``x`` to the power of 2, or None if the exponent is not 2.

    onnxruntime computes powers on a single thread.
    """
    exponent = _values(node.input[1], constants)
    if exponent is None or exponent.size != 1 or exponent.item() != 2:
        return None
    made = Replacement()
    made.add("Mul", [node.input[0], node.input[0]], node.output[0])
    return made


def _fourier_transform(node: Message, constants: Mapping[str, Message]) -> Replacement | None:
    """Return a short-time Fourier transform as a product of the signal's sliding windows and a constant matrix.

    The signal is real, with the axes (1, samples) or (1, samples, 1). The result has the axes (1, windows, bins, 2). An
    imaginary part that is exactly 0 becomes slightly positive (see ``_ABOVE_ZERO``).

    Return None if the operator's other inputs are not constant, the window function is not as long as a frame, or the
    result is two-sided.
    """
    if len(node.input) != 4:
        return None
    signal, *others = node.input
    step, window, length = (_values(name, constants) for name in others)
    is_one_sided = all(one.i for one in node.attribute if one.name == "onesided")
    if step is None or window is None or length is None or not is_one_sided:
        return None
    taps = int(length.item())
    if window.size != taps:
        return None
    bins = taps // 2 + 1
    turns = np.outer(np.arange(taps), np.arange(bins)) % taps / taps
    angles = 2 * np.pi * turns
    matrix = np.stack([np.cos(angles), -np.sin(angles)], axis=-1) * window[:, np.newaxis, np.newaxis]
    matrix[np.abs(matrix) < _ROUNDING_ERROR] = 0
    made = Replacement()
    name = node.output[0]
    flat = made.add("Reshape", [signal, made.constant(f"{name}_flat_shape", [1, -1])], f"{name}_flat")
    windows = made.windows(flat, name, taps=taps, stride=int(step.item()))
    factor = made.constant(f"{name}_matrix", matrix.reshape(taps, -1), np.float32)
    product = made.add("MatMul", [windows, factor], f"{name}_product")
    above = made.add("Add", [product, made.constant(f"{name}_above_zero", _ABOVE_ZERO, np.float32)], f"{name}_above")
    made.add("Reshape", [above, made.constant(f"{name}_shape", [1, -1, bins, 2])], name)
    return made


def _values(name: str, constants: Mapping[str, Message]) -> np.ndarray | None:
    return array_of(constants[name]) if name in constants else None
