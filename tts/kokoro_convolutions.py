"""Replace an int8 convolution of an ONNX graph with a matrix product or with a float convolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tts.onnx_graph import Message, array_of, message, node, tensor

MICROSOFT = "com.microsoft"  # the domain of onnxruntime's own operators
_UNSIGNED_TO_SIGNED = 128


@dataclass(frozen=True)
class Convolution:
    """An int8 convolution along one axis: the group of nodes that onnxruntime's dynamic quantisation writes for it.

    In ONNX, a name identifies the value that one node computes and other nodes read.

    ``conv``: the node ``ConvInteger`` of the group.
    ``nodes``: all nodes of the group. Nodes outside the group may also read some of their results.
    ``source``: the name of the input, float32 (batch, channels, length).
    ``rounded``: the names of the quantised input, of its scale and of its zero point.
    ``weights``: the constant with the quantised weights, uint8 (outputs, channels, taps).
    ``weight_scale``: the name of the weights' scale.
    ``weight_zero``: the constant with the weights' zero point, uint8.
    ``scale``: the name of the scale of the integer result, which is the input's scale times the weights' scale.
    ``bias``: the name of the bias, float32 (outputs,), or None.
    ``rounded_bias``: the name of the bias divided by ``scale`` and rounded, float32 (outputs,), or None.
    ``result``: the name of the result, float32 (batch, outputs, length).
    """

    conv: Message
    nodes: list[Message]
    source: str
    rounded: tuple[str, str, str]
    weights: Message
    weight_scale: str
    weight_zero: Message
    scale: str
    bias: str | None
    rounded_bias: str | None
    result: str


@dataclass
class Replacement:
    """The nodes and the new constants that replace a convolution or another operator."""

    nodes: list[Message] = field(default_factory=list)
    constants: list[Message] = field(default_factory=list)

    def add(self, operator: str, inputs: list[str], output: str, **attributes: int | Sequence[int]) -> str:
        """Add a node and return the name of its output."""
        self.nodes.append(node(operator, inputs, output, **attributes))
        return output

    def constant(self, name: str, values: object, dtype: type = np.int64) -> str:
        """Add a constant and return its name."""
        self.constants.append(tensor(name, np.asarray(values, dtype)))
        return name

    def windows(self, rows: str, prefix: str, *, taps: int, dilation: int = 1, stride: int = 1) -> str:
        """Add nodes that gather the sliding windows of an array along its axis 1. Return the name of the result.

        ``rows``: the name of the array, with the axes (batch, length, ...).
        ``prefix``: what the names of the new nodes and constants begin with.

        The result has the axes (batch, windows, taps, ...). The length, and so the number of windows, is known only
        when the model runs.
        """
        reach = self.constant(f"{prefix}_reach", dilation * (taps - 1))
        first, every = self.constant(f"{prefix}_first", 0), self.constant(f"{prefix}_every", stride)
        offsets = self.constant(f"{prefix}_offsets", np.arange(taps) * dilation)
        axis = self.constant(f"{prefix}_axis", 1)
        size = self.add("Shape", [rows], f"{prefix}_size")
        length = self.add("Gather", [size, axis], f"{prefix}_length")
        end = self.add("Sub", [length, reach], f"{prefix}_end")
        starts = self.add("Range", [first, end, every], f"{prefix}_starts")
        column = self.add("Unsqueeze", [starts, axis], f"{prefix}_column")
        indices = self.add("Add", [column, offsets], f"{prefix}_indices")
        return self.add("Gather", [rows, indices], f"{prefix}_windows", axis=1)


def as_float(found: Convolution) -> Replacement:
    """Return the convolution as a float32 convolution, whose input is not rounded.

    onnxruntime converts the weights to float32 once, when it loads the model.
    """
    name = found.conv.name
    made = Replacement()
    weights = made.add(
        "DequantizeLinear", [found.weights.name, found.weight_scale, found.weight_zero.name], f"{name}_weights"
    )
    inputs = [found.source, weights, *([found.bias] if found.bias else [])]
    made.nodes.append(
        message("Node")(
            name=f"{name}_float", op_type="Conv", input=inputs, output=[found.result], attribute=found.conv.attribute
        )
    )
    return made


def as_matrix_product(found: Convolution, *, is_16_bit: bool) -> Replacement | None:
    """Return the convolution as the product of a matrix of its input's sliding windows and a matrix of its weights.

    ``is_16_bit``: whether the input has 16 bits instead of 8. The error of the 8-bit rounding is then itself rounded to
    8 bits and multiplied by the same weights, and the two products are added.

    With 8 bits, the result equals that of the convolution, except for rounding errors of float32.

    Return None if the convolution has groups, two axes or automatic padding, or if its weights are not uint8 with a
    single zero point.
    """
    shape = _Shape.of(found.conv)
    weights, zero = array_of(found.weights), array_of(found.weight_zero)
    if shape is None or weights is None or zero is None or weights.dtype != np.uint8 or zero.size != 1:
        return None
    signed = (weights.astype(np.int16) - _UNSIGNED_TO_SIGNED).astype(np.int8)
    products = _Products(found, shape, signed, int(zero.item()) - _UNSIGNED_TO_SIGNED)
    made, name = products.made, found.conv.name
    bias = found.bias
    if found.rounded_bias is not None and not is_16_bit:
        bias = made.add("Mul", [found.rounded_bias, found.scale], f"{name}_rounded_bias")
    total = products.add(found.rounded, f"{name}_1", bias)
    if is_16_bit:
        coarse = made.add("DequantizeLinear", list(found.rounded), f"{name}_coarse")
        rest = made.add("Sub", [found.source, coarse], f"{name}_rest")
        rounded = (f"{name}_rest_rounded", f"{name}_rest_scale", f"{name}_rest_zero")
        made.nodes.append(
            message("Node")(name=rounded[0], op_type="DynamicQuantizeLinear", input=[rest], output=rounded)
        )
        total = made.add("Add", [total, products.add(rounded, f"{name}_2", None)], f"{name}_total")
    made.add("Transpose", [total], found.result, perm=[0, 2, 1])
    return made


class _Products:
    """Builds the matrix products that replace a convolution.

    ``made``: the ``Replacement`` to which the nodes and constants are added.
    ``weights``: the quantised weights, int8 (outputs, channels, taps).
    ``zero``: the weights' zero point.
    """

    def __init__(self, found: Convolution, shape: _Shape, weights: npt.NDArray[np.int8], zero: int) -> None:
        self.made = Replacement()
        self._found = found
        self._shape = shape
        name = found.conv.name
        matrix = weights.transpose(2, 1, 0).reshape(-1, len(weights))  # (taps × channels, outputs)
        self._matrix = self.made.constant(f"{name}_matrix", matrix, np.int8)
        self._zero = self.made.constant(f"{name}_zero", zero, np.int8)
        self._pads = self.made.constant(f"{name}_pads", [0, shape.pads[0], 0, 0, shape.pads[1], 0])
        self._rows_shape = self.made.constant(f"{name}_shape", [0, -1, len(matrix)])

    def add(self, rounded: tuple[str, str, str], prefix: str, bias: str | None) -> str:
        """Add the product of an input and the weights. Return its name: float32 (batch, length, outputs).

        ``rounded``: the names of a quantised input, of its scale and of its zero point.
        ``prefix``: what the names of the new nodes begin with.
        ``bias``: the name of a bias to add, or None.
        """
        made, shape = self.made, self._shape
        values, scale, zero = rounded
        rows = made.add("Transpose", [values], f"{prefix}_rows", perm=[0, 2, 1])
        if any(shape.pads):
            rows = made.add("Pad", [rows, self._pads, zero], f"{prefix}_padded")
        if shape.taps > 1 or shape.stride > 1:
            windows = made.windows(rows, prefix, taps=shape.taps, dilation=shape.dilation, stride=shape.stride)
            rows = made.add("Reshape", [windows, self._rows_shape], f"{prefix}_flat")
        inputs = [rows, self._matrix, scale, self._found.weight_scale, zero, self._zero, *([bias] if bias else [])]
        made.nodes.append(node("MatMulIntegerToFloat", inputs, f"{prefix}_product", MICROSOFT))
        return f"{prefix}_product"


@dataclass(frozen=True)
class _Shape:
    """The shape of a convolution along one axis.

    ``taps``: length of the kernel.
    ``pads``: number of zeros added before and after the input.
    """

    taps: int
    dilation: int
    stride: int
    pads: tuple[int, int]

    @classmethod
    def of(cls, conv: Message) -> _Shape | None:
        """Return the shape of a convolution node, or None if it has groups, two axes or automatic padding."""
        attributes = {one.name: one for one in conv.attribute}

        def values(name: str, default: list[int]) -> list[int]:
            return list(attributes[name].ints) if name in attributes else default

        taps = values("kernel_shape", [])
        groups = attributes["group"].i if "group" in attributes else 1
        padding = attributes["auto_pad"].s if "auto_pad" in attributes else b"NOTSET"
        if len(taps) != 1 or groups != 1 or padding != b"NOTSET":
            return None
        before, after = values("pads", [0, 0])
        (dilation,), (stride,) = values("dilations", [1]), values("strides", [1])
        return cls(taps[0], dilation, stride, (before, after))
