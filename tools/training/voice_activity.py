"""Write ``asr/silero/voice_activity.onnx``: faster-whisper's copy of Silero VAD, rewritten to be faster.

    python -m tools.training.voice_activity

The published graph is a chain of convolutions along the four steps of one frame of 32 ms. ONNX Runtime computes each
frame separately, with matrices that are too small to be fast. The rewritten graph has the same weights, but each layer
is one matrix product whose rows are the frames of a whole recording. A test compares the results of both graphs.
"""

from __future__ import annotations

from pathlib import Path

import faster_whisper.vad
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TARGET = Path(__file__).parents[2] / "asr/silero/voice_activity.onnx"
SAMPLES = 576  # samples of a frame, including the last 64 of the previous frame
# The short-time Fourier transform of a frame: hop and window in samples, frequency bins, windows in a frame.
STEP = 128
WINDOW = 256
BINS = 129
STEPS = 4


class Graph:
    """An ONNX graph under construction. Each method adds nodes and returns the name of their output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: object, kind: type = np.int64) -> str:
        """Add a constant of the numpy type ``kind``."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value, kind), name))
        return name

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: object) -> str:
        """Add a node of the ONNX operator ``kind``.

        ``output``: the name of the output; by default a new name.
        """
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def columns(self, source: str, start: int, end: int) -> str:
        """Take the columns from ``start`` to ``end`` (exclusive)."""
        return self.add("Slice", source, self.constant([start]), self.constant([end]), self.constant([1]))

    def rows(self, source: str, width: int) -> str:
        """Reshape to rows of ``width`` values."""
        return self.add("Reshape", source, self.constant([-1, width]))

    def windows(self, source: str, starts: list[int], width: int) -> str:
        """Cut overlapping windows of ``width`` values out of each row. Each window becomes a row."""
        parts = [self.columns(source, start, start + width) for start in starts]
        return self.rows(self.add("Concat", *parts, axis=1), width)

    def pad(self, source: str, before: int, after: int, mode: str = "constant") -> str:
        """Pad each row with ``before`` values at its beginning and ``after`` values at its end."""
        return self.add("Pad", source, self.constant([0, before, 0, after]), mode=mode)

    def layer(self, source: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """Add a convolution with ReLU as one matrix product.

        ``source``: the input. Each row holds the values that all taps of the convolution see, one tap after the other.
        ``weight``: the weight of the convolution, shape (out, in, taps).
        ``bias``: the bias of the convolution, shape (out,).
        """
        matrix = weight.transpose(2, 1, 0).reshape(-1, len(weight))
        product = self.add("Gemm", source, self.constant(matrix, np.float32), self.constant(bias, np.float32))
        return self.add("Relu", product)


def rewritten(published: onnx.ModelProto) -> onnx.ModelProto:
    """Return the published Silero VAD model as a graph that computes all frames of a recording at once."""
    weights = {one.name: numpy_helper.to_array(one) for one in published.graph.initializer}
    convolution = [
        (weights[f"encoder.conv_layers.{n}.weight"], weights[f"encoder.conv_layers.{n}.bias"]) for n in range(4)
    ]
    graph = Graph()
    seen = graph.pad("input", 0, STEPS * STEP + STEP - SAMPLES, mode="reflect")
    frames = graph.windows(seen, [STEP * step for step in range(STEPS)], WINDOW)
    basis = weights["encoder.feature_extractor.forward_basis_buffer"][:, 0, :].T
    spectrum = graph.add("MatMul", frames, graph.constant(basis, np.float32))
    parts = [graph.columns(spectrum, 0, BINS), graph.columns(spectrum, BINS, 2 * BINS)]
    power = graph.add("Add", *(graph.add("Mul", part, part) for part in parts))
    padded = graph.pad(graph.rows(graph.add("Sqrt", power), STEPS * BINS), BINS, BINS)
    hidden = graph.layer(graph.windows(padded, [BINS * step for step in range(STEPS)], 3 * BINS), *convolution[0])
    channels = len(convolution[0][0])
    padded = graph.pad(graph.rows(hidden, STEPS * channels), channels, 0)
    hidden = graph.layer(graph.windows(padded, [0, 2 * channels], 3 * channels), *convolution[1])
    # In the last two layers, taps that see only padding are left out.
    weight, bias = convolution[2]
    hidden = graph.layer(graph.rows(hidden, 2 * weight.shape[1]), weight[:, :, 1:], bias)
    weight, bias = convolution[3]
    hidden = graph.layer(hidden, weight[:, :, 1:2], bias)
    sequence = graph.add("Unsqueeze", hidden, graph.constant([1]))
    recurrent = [graph.constant(weights[f"onnx::LSTM_{number}"], np.float32) for number in (209, 210, 211)]
    outputs = ["states", "hn", "cn"]
    inputs = [sequence, *recurrent, "", "h", "c"]
    graph.nodes.append(helper.make_node("LSTM", inputs, outputs, hidden_size=channels))
    states = graph.add("Relu", graph.rows("states", channels))
    last = weights["decoder.conv1d.weight"][:, :, 0].T
    score = graph.add(
        "Gemm", states, graph.constant(last, np.float32), graph.constant(weights["decoder.conv1d.bias"], np.float32)
    )
    probability = graph.add("Sigmoid", score)
    graph.add("Reshape", probability, graph.constant([-1]), output="speech_probs")

    def described(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    state: list[int | str] = [1, 1, channels]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "silero_vad",
            [described("input", ["frames", SAMPLES]), described("h", state), described("c", state)],
            [described("speech_probs", ["frames"]), described("hn", state), described("cn", state)],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    return model


def main() -> None:
    assets = Path(faster_whisper.vad.__file__).parent / "assets"
    TARGET.parent.mkdir(exist_ok=True)
    onnx.save(rewritten(onnx.load(next(assets.glob("silero_vad_v6.onnx")))), TARGET)


if __name__ == "__main__":
    main()
