"""Edits of an int8 model's graph: in graphs of one or two operators, and in Kokoro (fixture ``kokoro``)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from inference import processor
from tts import kokoro as model
from tts.kokoro_graph import edited, has_exact_products
from tts.onnx_graph import read_model

FLOAT, UINT8, INT32, INT64 = 1, 2, 6, 7  # onnx.proto's numbers of the types
NUMPY = {FLOAT: np.float32, UINT8: np.uint8, INT64: np.int64}
RNG = np.random.default_rng(7)
WEIGHTS = RNG.integers(0, 255, (3, 2, 3))
ZERO, SCALE = 120, 0.01
BIAS = np.array([0.5, -0.25, 3], np.float32)
SOUND = RNG.standard_normal((1, 2, 40)).astype(np.float32) * np.float32(4)


def field(number: int, value: int | str | bytes) -> bytes:
    """Return an encoded field of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def node(kind: str, inputs: str, outputs: str, *, name: str = "", **attributes: int | list[int]) -> bytes:
    """Return an encoded node (an ONNX ``NodeProto``) of the operator ``kind``."""
    parts = [field(1, one) for one in inputs.split()] + [field(2, one) for one in outputs.split()]
    parts += [field(3, name), field(4, kind)]
    for key, value in attributes.items():
        if isinstance(value, int):
            parts.append(field(5, field(1, key) + field(3, value) + field(20, 2)))
        else:
            parts.append(field(5, field(1, key) + b"".join(field(8, one) for one in value) + field(20, 7)))
    return b"".join(parts)


def constant(name: str, kind: int, values: object) -> bytes:
    array = np.asarray(values, NUMPY[kind])
    dimensions = b"".join(field(1, size) for size in array.shape)
    return dimensions + field(2, kind) + field(8, name) + field(9, array.tobytes())


def small_constant(name: str, value: int) -> bytes:
    """Return an encoded uint8 scalar, in the form in which onnxruntime's quantisation writes a zero point."""
    return field(2, UINT8) + field(5, varint(value)) + field(8, name)


def value(name: str) -> bytes:
    """Return the encoded description of a graph's input or output, which is float and of any shape."""
    return field(1, name) + field(2, field(1, field(1, FLOAT)))


def convolution(name: str, result: str, scale: str = "w_scale", **attributes: int | list[int]) -> list[bytes]:
    """Return the nodes that onnxruntime's quantisation writes for a convolution, except ``DynamicQuantizeLinear``."""
    return [
        node("Mul", f"x_scale {scale}", f"{result}_scale"),
        node("Div", f"bias {result}_scale", f"{result}_divided"),
        node("Floor", f"{result}_divided", f"{result}_floor"),
        node("Cast", f"{result}_floor", f"{result}_whole", to=INT32),
        node("Reshape", f"{result}_whole shape", f"{result}_bias"),
        node(
            "ConvInteger", "x_rounded w x_zero w_zero", f"{result}_sum", name=name, **{"kernel_shape": [3]} | attributes
        ),
        node("Add", f"{result}_sum {result}_bias", f"{result}_biased"),
        node("Cast", f"{result}_biased", f"{result}_float", to=FLOAT),
        node("Mul", f"{result}_float {result}_scale", result),
    ]


def write(path: Path, nodes: list[bytes], results: list[str], weights: np.ndarray = WEIGHTS) -> Path:
    """Write a model that quantises its input ``x`` and then runs ``nodes``; return its path."""
    first = node("DynamicQuantizeLinear", "x", "x_rounded x_scale x_zero")
    constants = [
        constant("w", UINT8, weights),
        constant("w_scale", FLOAT, SCALE),
        small_constant("w_zero", ZERO),
        constant("bias", FLOAT, BIAS[: len(weights)]),
        constant("shape", INT64, [1, -1, 1]),
        constant("one", INT64, [1]),
        constant("two", FLOAT, 2),
        constant("three", FLOAT, 3),
        constant("hop", INT64, 4),
        constant("window", FLOAT, np.hanning(10)),
        constant("ten", INT64, 10),
    ]
    graph = b"".join(field(1, one) for one in [first, *nodes]) + field(2, "graph")
    graph += b"".join(field(5, one) for one in constants) + field(11, value("x"))
    graph += b"".join(field(12, value(one)) for one in results)
    operators = field(8, field(2, 20)) + field(8, field(1, "com.microsoft") + field(2, 1))
    path.write_bytes(field(1, 8) + field(7, graph) + operators)
    return path


def run(source: Path | bytes, sound: np.ndarray = SOUND) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(source) if isinstance(source, Path) else source)
    return session.run(None, {"x": sound})


def exact() -> np.ndarray:
    """Return the convolution of ``SOUND`` without rounding the input to 8 bits."""
    weights = ((WEIGHTS - ZERO) * SCALE).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(SOUND[0], 3, axis=1)
    return np.einsum("oik,itk->ot", weights, windows)[np.newaxis] + BIAS[:, np.newaxis]


needs_exact_products = pytest.mark.skipif(not has_exact_products(), reason="this processor has no VNNI")
NONE = re.compile("nothing")


def test_a_convolution_gets_its_input_as_float(tmp_path: Path) -> None:
    path = write(tmp_path / "model.onnx", convolution("/late/conv", "y"), ["y"])
    (rounded,) = run(path)
    assert np.abs(rounded - exact()).max() > 0.01
    changed = edited(path, products=False, wide_inputs=re.compile("/late/"))
    assert changed is not None
    (result,) = run(changed)
    np.testing.assert_allclose(result, exact(), atol=1e-4)
    assert b"ConvInteger" not in changed
    assert b"DynamicQuantizeLinear" not in changed
    assert b"Floor" not in changed


@needs_exact_products
def test_a_product_gets_its_input_in_sixteen_bits(tmp_path: Path) -> None:
    path = write(tmp_path / "model.onnx", convolution("/late/conv", "y"), ["y"])
    (rounded,) = run(path)
    assert np.abs(rounded - exact()).max() > 0.01
    changed = edited(path, products=True, wide_inputs=re.compile("/late/"))
    assert changed is not None
    (result,) = run(changed)
    np.testing.assert_allclose(result, exact(), atol=0.0005)
    assert b"ConvInteger" not in changed


@needs_exact_products
@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"pads": [2, 1]},
        {"strides": [3]},
        {"dilations": [5], "pads": [5, 5]},
        {"dilations": [2], "strides": [2], "pads": [0, 3], "group": 1},
    ],
)
def test_a_product_has_the_result_of_the_convolution(tmp_path: Path, attributes: dict[str, list[int]]) -> None:
    path = write(tmp_path / "model.onnx", convolution("/conv", "y", **attributes), ["y"])
    (expected,) = run(path)
    changed = edited(path, products=True, wide_inputs=NONE)
    assert changed is not None
    assert b"ConvInteger" not in changed
    (result,) = run(changed)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, atol=1e-4)


@needs_exact_products
def test_large_products_do_not_overflow(tmp_path: Path) -> None:
    """The sum of two neighbouring products needs more bits than the 16 that processors without VNNI have for it."""
    weights = np.full((1, 2, 3), 255)
    sound = np.tile(np.array([0, 1], np.float32), (1, 2, 20))
    nodes = convolution("/conv", "y")
    path = write(tmp_path / "model.onnx", nodes, ["y"], weights)
    changed = edited(path, products=True, wide_inputs=NONE)
    assert changed is not None
    np.testing.assert_allclose(run(changed, sound)[0], run(path, sound)[0], atol=1e-4)


@needs_exact_products
def test_a_convolution_of_one_tap_needs_no_windows(tmp_path: Path) -> None:
    nodes = convolution("/conv", "y", kernel_shape=[1])
    path = write(tmp_path / "model.onnx", nodes, ["y"], WEIGHTS[:, :, :1])
    changed = edited(path, products=True, wide_inputs=NONE)
    assert changed is not None
    assert b"Range" not in changed
    np.testing.assert_allclose(run(changed)[0], run(path)[0], atol=1e-4)


@pytest.mark.parametrize("attributes", [{"group": 2}, {"auto_pad": 1}])
def test_groups_and_automatic_padding_are_left_alone(tmp_path: Path, attributes: dict[str, int]) -> None:
    path = write(tmp_path / "model.onnx", convolution("/conv", "y", **attributes), ["y"])
    assert edited(path, products=True, wide_inputs=NONE) is None


def test_other_convolutions_of_the_same_input_stay_as_they_are(tmp_path: Path) -> None:
    nodes = convolution("/early/conv", "y") + convolution("/late/conv", "z")
    path = write(tmp_path / "model.onnx", nodes, ["y", "z"])
    before = run(path)
    changed = edited(path, products=False, wide_inputs=re.compile("/late/"))
    assert changed is not None
    after = run(changed)
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_allclose(after[1], exact(), atol=1e-4)


def test_slow_operators_are_replaced_with_the_same_results(tmp_path: Path) -> None:
    nodes = [
        *convolution("/late/conv", "y"),
        node("Pow", "x two", "square"),
        node("Pow", "x three", "cube"),
        node("Reshape", "x shape", "signal"),
        node("STFT", "signal hop window ten", "spectrum", onesided=1),
    ]
    path = write(tmp_path / "model.onnx", nodes, ["square", "cube", "spectrum", "y"])
    before = run(path)
    changed = edited(path, products=False, wide_inputs=re.compile("/late/"))
    assert changed is not None
    assert changed.count(b"Pow") == 1
    assert b"STFT" not in changed
    after = run(changed)
    for result, expected in zip(after[:3], before[:3], strict=True):
        np.testing.assert_allclose(result, expected, atol=1e-4)


def test_a_window_of_another_length_is_left_alone(tmp_path: Path) -> None:
    nodes = [
        *convolution("/late/conv", "y"),
        node("Reshape", "x shape", "signal"),
        node("STFT", "signal hop window hop", "spectrum", onesided=1),
    ]
    path = write(tmp_path / "model.onnx", nodes, ["y"])
    changed = edited(path, products=False, wide_inputs=re.compile("/late/"))
    assert changed is not None
    assert b"STFT" in changed


def test_weights_in_another_file_are_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "model.onnx", convolution("/conv", "y"), ["y"])
    found = read_model(path)
    assert found is not None
    next(one for one in found.graph.initializer if one.name == "w").ClearField("raw_data")
    path.write_bytes(found.SerializeToString())
    assert edited(path, products=True, wide_inputs=NONE) is None


@pytest.mark.parametrize(
    "nodes",
    [
        convolution("/early/conv", "y"),  # another name
        [node("Reshape", "w_scale one", "of_channels"), *convolution("/late/conv", "y", "of_channels")],
        [*convolution("/late/conv", "z")[:-1], node("Sub", "z_float z_scale", "y")],
        [node("Conv", "x x", "y", name="/late/conv")],
        [node("Pow", "x two", "y")],
        [],
    ],
)
def test_what_is_not_such_a_convolution_is_left_alone(tmp_path: Path, nodes: list[bytes]) -> None:
    assert (
        edited(write(tmp_path / "model.onnx", nodes, ["y"]), products=False, wide_inputs=re.compile("/late/")) is None
    )


def test_a_file_that_is_no_model_is_left_to_onnxruntime(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"half a file")
    assert edited(tmp_path / "model.onnx", products=True) is None


@pytest.mark.parametrize(
    ("described", "exact_products"),
    [
        ("model name : any\nflags : fpu avx2 avx512_vnni\nflags : fpu\n", True),
        ("flags : avx2 avx_vnni\n", True),
        ("flags : avx2 avx512f\n", False),
        ("Features : asimddp\n", False),
    ],
)
def test_products_are_exact_only_with_instructions_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, described: str, exact_products: bool
) -> None:
    (tmp_path / "cpuinfo").write_text(described)
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "cpuinfo")
    assert has_exact_products() == exact_products


@pytest.mark.parametrize(("products", "count"), [(False, 18), (True, 87)])
def test_kokoro_takes_as_long_with_its_convolutions_edited(
    kokoro: Path, monkeypatch: pytest.MonkeyPatch, products: bool, count: int
) -> None:
    if products and not has_exact_products():
        pytest.skip("this processor has no VNNI")
    path = kokoro / model.MODEL_FILE
    changed = edited(path, products=products)
    assert changed is not None
    assert path.read_bytes().count(b"ConvInteger") - changed.count(b"ConvInteger") == count
    assert b"STFT\x12" not in changed
    pack = model.first_pack()
    monkeypatch.setattr(model, "has_exact_products", lambda: products)
    clear = model.load(kokoro).speak("sˈatu dˈua.", pack)
    monkeypatch.setattr(model, "edited", lambda path, *, products: None)
    rough = model.load(kokoro).speak("sˈatu dˈua.", pack)
    assert abs(len(clear) - len(rough)) < 0.02 * model.SAMPLE_RATE  # only the trimming of silence differs
    assert not np.array_equal(clear, rough)


def test_kokoro_loads_as_it_is_if_the_graph_cannot_be_edited(
    kokoro: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(path: Path, *, products: bool) -> bytes:
        raise ValueError("another export")

    monkeypatch.setattr(model, "edited", fail)
    session = model._session(kokoro / model.MODEL_FILE, onnxruntime.SessionOptions(), ["CPUExecutionProvider"])
    assert {one.name for one in session.get_inputs()} == {"tokens", "style", "speed"}
    assert "its file as it is" in caplog.text


def test_kokoro_loads_as_it_is_if_the_edited_model_does_not(
    kokoro: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(model, "edited", lambda path, *, products: b"not a model")
    session = model._session(kokoro / model.MODEL_FILE, onnxruntime.SessionOptions(), ["CPUExecutionProvider"])
    assert {one.name for one in session.get_inputs()} == {"tokens", "style", "speed"}
    assert "its file as it is" in caplog.text
