"""Float inputs for int8 convolutions: in graphs of one or two of them, and in Kokoro (fixture ``kokoro``)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tts import kokoro as model
from tts.kokoro_graph import with_float_inputs

FLOAT, UINT8, INT32, INT64 = 1, 2, 6, 7  # onnx.proto's numbers of the types
NUMPY = {FLOAT: np.float32, UINT8: np.uint8, INT64: np.int64}
RNG = np.random.default_rng(7)
WEIGHTS = RNG.integers(0, 255, (3, 2, 3))
ZERO, SCALE = 120, 0.01
BIAS = np.array([0.5, -0.25, 3], np.float32)
SOUND = RNG.standard_normal((1, 2, 40)).astype(np.float32) * np.float32(4)


def field(number: int, value: int | str | bytes) -> bytes:
    """Return a field of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def node(kind: str, inputs: str, outputs: str, *, name: str = "", to: int | None = None) -> bytes:
    """Return a node of a graph. ``to``: the attribute of a ``Cast``."""
    parts = [field(1, one) for one in inputs.split()] + [field(2, one) for one in outputs.split()]
    parts += [field(3, name), field(4, kind)]
    if to is not None:
        parts.append(field(5, field(1, "to") + field(3, to) + field(20, 2)))
    return b"".join(parts)


def constant(name: str, kind: int, values: object) -> bytes:
    array = np.asarray(values, NUMPY[kind])
    dimensions = b"".join(field(1, size) for size in array.shape)
    return dimensions + field(2, kind) + field(8, name) + field(9, array.tobytes())


def value(name: str) -> bytes:
    """Return the description of a graph's input or output: float, with three axes of any size."""
    shape = field(1, field(2, "one")) + field(1, field(2, "channels")) + field(1, field(2, "length"))
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, shape)))


def convolution(name: str, result: str, scale: str = "w_scale") -> list[bytes]:
    """Return the nodes of an int8 convolution as onnxruntime's quantisation writes them, all but the first."""
    return [
        node("Mul", f"x_scale {scale}", f"{result}_scale"),
        node("Div", f"bias {result}_scale", f"{result}_divided"),
        node("Floor", f"{result}_divided", f"{result}_floor"),
        node("Cast", f"{result}_floor", f"{result}_whole", to=INT32),
        node("Reshape", f"{result}_whole shape", f"{result}_bias"),
        node("ConvInteger", "x_rounded w x_zero w_zero", f"{result}_sum", name=name),
        node("Add", f"{result}_sum {result}_bias", f"{result}_biased"),
        node("Cast", f"{result}_biased", f"{result}_float", to=FLOAT),
        node("Mul", f"{result}_float {result}_scale", result),
    ]


def write(path: Path, nodes: list[bytes], results: list[str]) -> Path:
    """Write a model whose input is ``x``."""
    first = node("DynamicQuantizeLinear", "x", "x_rounded x_scale x_zero")
    constants = [
        constant("w", UINT8, WEIGHTS),
        constant("w_scale", FLOAT, SCALE),
        constant("w_zero", UINT8, ZERO),
        constant("bias", FLOAT, BIAS),
        constant("shape", INT64, [1, -1, 1]),
        constant("one", INT64, [1]),
    ]
    graph = b"".join(field(1, one) for one in [first, *nodes]) + field(2, "graph")
    graph += b"".join(field(5, one) for one in constants) + field(11, value("x"))
    graph += b"".join(field(12, value(one)) for one in results)
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 20)))
    return path


def run(source: Path | bytes) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(source) if isinstance(source, Path) else source)
    return session.run(None, {"x": SOUND})


def exact() -> np.ndarray:
    """Return the convolution of the input as it is."""
    weights = ((WEIGHTS - ZERO) * SCALE).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(SOUND[0], 3, axis=1)
    return np.einsum("oik,itk->ot", weights, windows)[np.newaxis] + BIAS[:, np.newaxis]


def test_a_convolution_gets_its_input_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "model.onnx", convolution("/late/conv", "y"), ["y"])
    (rounded,) = run(path)
    assert np.abs(rounded - exact()).max() > 0.01
    edited = with_float_inputs(path, re.compile("/late/"))
    assert edited is not None
    (result,) = run(edited)
    np.testing.assert_allclose(result, exact(), atol=1e-4)
    assert b"ConvInteger" not in edited
    assert b"DynamicQuantizeLinear" not in edited
    assert b"Floor" not in edited


def test_other_convolutions_of_the_same_input_stay_as_they_are(tmp_path: Path) -> None:
    nodes = convolution("/early/conv", "y") + convolution("/late/conv", "z")
    path = write(tmp_path / "model.onnx", nodes, ["y", "z"])
    before = run(path)
    edited = with_float_inputs(path, re.compile("/late/"))
    assert edited is not None
    after = run(edited)
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_allclose(after[1], exact(), atol=1e-4)


@pytest.mark.parametrize(
    "nodes",
    [
        convolution("/early/conv", "y"),  # another name
        [node("Reshape", "w_scale one", "of_channels"), *convolution("/late/conv", "y", "of_channels")],
        [*convolution("/late/conv", "z")[:-1], node("Sub", "z_float z_scale", "y")],
        [node("Conv", "x x", "y", name="/late/conv")],
        [],
    ],
)
def test_what_is_not_such_a_convolution_is_left_alone(tmp_path: Path, nodes: list[bytes]) -> None:
    assert with_float_inputs(write(tmp_path / "model.onnx", nodes, ["y"]), re.compile("/late/")) is None


def test_a_file_that_is_no_model_is_left_to_onnxruntime(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"half a file")
    assert with_float_inputs(tmp_path / "model.onnx") is None


def test_kokoro_takes_as_long_with_eighteen_convolutions_edited(kokoro: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = kokoro / model.MODEL_FILE
    edited = with_float_inputs(path)
    assert edited is not None
    assert path.read_bytes().count(b"ConvInteger") - edited.count(b"ConvInteger") == 18
    pack = model.first_pack()
    clear = model.load(kokoro).speak("sˈatu dˈua.", pack)
    monkeypatch.setattr(model, "with_float_inputs", lambda path: None)
    rough = model.load(kokoro).speak("sˈatu dˈua.", pack)
    assert abs(len(clear) - len(rough)) < 0.02 * model.SAMPLE_RATE  # only the trimming of silence differs
    assert not np.array_equal(clear, rough)


def test_kokoro_loads_as_it_is_if_the_edited_model_does_not(
    kokoro: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(model, "with_float_inputs", lambda path: b"not a model")
    session = model._session(kokoro / model.MODEL_FILE, onnxruntime.SessionOptions(), ["CPUExecutionProvider"])
    assert {one.name for one in session.get_inputs()} == {"tokens", "style", "speed"}
    assert "without float inputs" in caplog.text
