"""Read and write ONNX models as protobuf messages, without the package ``onnx``.

onnxruntime cannot edit a graph, and the package ``onnx`` is not installed with it. Therefore this module gives protobuf
a description of the few fields of a model file that the service needs. Protobuf keeps all other fields unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

Message = Any  # an instance of a class that protobuf makes at run time

FLOAT, UINT8, INT8, INT64 = 1, 2, 3, 7  # onnx.proto's numbers of the element types
_NUMPY = {FLOAT: np.float32, UINT8: np.uint8, INT8: np.int8, INT64: np.int64}
_ELEMENT_TYPES = {np.dtype(numpy): number for number, numpy in _NUMPY.items()}
_INT, _INTS = 2, 7  # onnx.proto's numbers of the attribute types

# Message → its fields: name, number and type in onnx.proto.
_FIELDS = {
    "Tensor": [
        ("dims", 1, "int64"),
        ("data_type", 2, "int32"),
        ("int32_data", 5, "int32"),
        ("name", 8, "string"),
        ("raw_data", 9, "bytes"),
    ],
    "Attribute": [
        ("name", 1, "string"),
        ("i", 3, "int64"),
        ("s", 4, "bytes"),
        ("ints", 8, "int64"),
        ("type", 20, "int32"),
    ],
    "Node": [
        ("input", 1, "string"),
        ("output", 2, "string"),
        ("name", 3, "string"),
        ("op_type", 4, "string"),
        ("attribute", 5, "Attribute"),
        ("domain", 7, "string"),
    ],
    "Value": [("name", 1, "string")],
    "Graph": [("node", 1, "Node"), ("initializer", 5, "Tensor"), ("output", 12, "Value")],
    "Operators": [("domain", 1, "string"), ("version", 2, "int64")],
    "Model": [("graph", 7, "Graph"), ("opset_import", 8, "Operators")],
}
_REPEATED = {"dims", "int32_data", "ints", "input", "output", "attribute", "node", "initializer", "opset_import"}
_TYPES = {
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    "int32": descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "bytes": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
}


def read_model(path: Path) -> Message | None:
    """Return the model in a file, or None if the file is not an ONNX model."""
    model = message("Model")()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError:
        return None
    return model


def node(
    operator: str, inputs: Sequence[str], output: str, domain: str = "", /, **attributes: int | Sequence[int]
) -> Message:
    """Return a node of a graph. It is named after its output.

    ``domain``: the domain of the operator; "" for the standard's own.
    """
    made = message("Node")(name=output, op_type=operator, input=inputs, output=[output], domain=domain)
    for name, value in attributes.items():
        if isinstance(value, int):
            made.attribute.add(name=name, i=value, type=_INT)
        else:
            made.attribute.add(name=name, ints=value, type=_INTS)
    return made


def tensor(name: str, values: npt.ArrayLike) -> Message:
    """Return an array as a constant of a graph.

    ``values``: float32, uint8, int8 or int64.
    """
    array = np.asarray(values)
    return message("Tensor")(
        name=name,
        dims=array.shape,
        data_type=_ELEMENT_TYPES[array.dtype],
        raw_data=np.ascontiguousarray(array).tobytes(),
    )


def array_of(constant: Message) -> npt.NDArray[Any] | None:
    """Return a constant's values as an array of float32, uint8, int8 or int64.

    Return None if the values are of another type or are stored in another way, for example in another file.
    """
    dtype = _NUMPY.get(constant.data_type)
    if dtype is None:
        return None
    if constant.HasField("raw_data"):
        values = np.frombuffer(constant.raw_data, dtype)
    elif constant.data_type in (UINT8, INT8):
        values = np.array(constant.int32_data, dtype)
    else:
        return None
    return values.reshape(constant.dims) if values.size == math.prod(constant.dims) else None


def message(name: str) -> type[Message]:
    """Return protobuf's class for a message of ``_FIELDS``."""
    return _messages()[name]


@cache
def _messages() -> dict[str, type[Message]]:
    """Return protobuf's classes for the messages of ``_FIELDS``."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="onnx_graph.proto", package="onnx_graph")
    for name, fields in _FIELDS.items():
        described = file.message_type.add(name=name)
        for field, number, kind in fields:
            added = described.field.add(name=field, number=number)
            added.label = kinds.LABEL_REPEATED if field in _REPEATED else kinds.LABEL_OPTIONAL
            if kind in _FIELDS:
                added.type, added.type_name = kinds.TYPE_MESSAGE, f".{file.package}.{kind}"
            else:
                added.type = _TYPES[kind]
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.{name}")) for name in _FIELDS
    }
