"""Give Kokoro's last convolutions their inputs as float32, instead of rounded to 8 bits.

The int8 export rounds not only its weights, but while it speaks also the input of each convolution: to 256 levels
between the lowest and the highest value of the whole sentence. The noise of this rounding is heard from the
convolutions that ``FLOAT_INPUTS`` names. Without it the predicted MOS is higher (docs/voices.md).

The graph is edited in memory when the model is loaded, so the file and its hash stay the same. onnxruntime cannot edit
a graph, and the package ``onnx`` is not installed with it. Therefore this module describes to protobuf the few fields
of a model file that it needs. Protobuf passes on all other fields, such as the weights, unchanged.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

logger = logging.getLogger(__name__)

# Names of the convolutions whose inputs are not rounded: the residual blocks of the vocoder's last stage. What they add
# up to is nearly the waveform. Rounding in the earlier stages is not heard.
FLOAT_INPUTS = re.compile(r"/decoder/generator/resblocks\.[345]/")

Message = Any  # an instance of a class that protobuf makes at run time

# Message → its fields: name, number and type in onnx.proto. A submessage of which nothing is read is given as bytes.
_FIELDS = {
    "Node": [
        ("input", 1, "string"),
        ("output", 2, "string"),
        ("name", 3, "string"),
        ("op_type", 4, "string"),
        ("attribute", 5, "bytes"),
    ],
    "Value": [("name", 1, "string")],
    "Graph": [("node", 1, "Node"), ("output", 12, "Value")],
    "Model": [("graph", 7, "Graph")],
}
_SINGLE = {"name", "op_type", "graph"}  # all other fields are repeated


def with_float_inputs(path: Path, names: re.Pattern[str] = FLOAT_INPUTS) -> bytes | None:
    """Return the model in a file, in which the convolutions with matching names have float inputs.

    Return None if the file is no ONNX model, or has no such int8 convolution, for example because it is another export
    of Kokoro. It should then be loaded as it is.
    """
    model = _message("Model")()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError:
        return None
    changed = _edit(model.graph, names)
    logger.debug("%d convolutions have float inputs", changed)
    return bytes(model.SerializeToString()) if changed else None


@dataclass(frozen=True)
class _Convolution:
    """An int8 convolution: the nodes that together compute what one node ``Conv`` can compute.

    ``nodes``: all of them. Some may also be used by other nodes.
    ``conv``: the node ``ConvInteger`` among them.
    ``result``: the node whose output is the result.
    ``source``: the name of the input, before it is rounded.
    ``weights``: the names of the int8 weights, of their scale and of their zero point.
    ``bias``: the name of the float bias, or None.
    """

    nodes: list[Message]
    conv: Message
    result: Message
    source: str
    weights: tuple[str, str, str]
    bias: str | None


class _Graph:
    """Finds the int8 convolutions of a graph."""

    def __init__(self, nodes: Iterable[Message]) -> None:
        self._maker = {name: node for node in nodes for name in node.output}
        self._users: dict[str, list[Message]] = {}
        for node in nodes:
            for name in node.input:
                self._users.setdefault(name, []).append(node)

    def convolution(self, conv: Message) -> _Convolution | None:
        """Return the int8 convolution that a node ``ConvInteger`` belongs to.

        Return None if its neighbours are not those that onnxruntime's dynamic quantisation writes.
        """
        rounding = self._maker.get(conv.input[0])
        if rounding is None or rounding.op_type != "DynamicQuantizeLinear" or len(conv.input) != 4:
            return None
        nodes = [rounding, conv]
        bias = None
        after = self._only_user(conv)
        if after is not None and after.op_type == "Add":
            nodes.append(after)
            chain = list(self._bias_chain(after.input[1]))
            if not chain or chain[-1].op_type != "Div":
                return None
            nodes += chain
            bias = chain[-1].input[0]
            after = self._only_user(after)
        if after is None or after.op_type != "Cast":
            return None
        result = self._only_user(after)
        if result is None or result.op_type != "Mul" or result.input[0] != after.output[0]:
            return None
        scale = self._maker.get(result.input[1])
        if scale is None or scale.op_type != "Mul" or scale.input[0] != rounding.output[1]:
            return None
        if scale.input[1] in self._maker:  # not a constant
            return None
        nodes += [after, scale, result]
        weights = (conv.input[1], scale.input[1], conv.input[3])
        return _Convolution(nodes, conv, result, rounding.input[0], weights, bias)

    def _only_user(self, node: Message) -> Message | None:
        users = self._users.get(node.output[0], [])
        return users[0] if len(users) == 1 else None

    def _bias_chain(self, name: str) -> Iterator[Message]:
        """Yield the nodes that round a bias, from the last to the first, which divides it by its scale."""
        while (node := self._maker.get(name)) is not None and node.op_type in ("Reshape", "Cast", "Floor", "Div"):
            yield node
            if node.op_type == "Div":
                return
            name = node.input[0]


def _edit(graph: Message, names: re.Pattern[str]) -> int:
    """Replace the int8 convolutions with matching names by float ones. Return their number."""
    nodes = list(graph.node)
    finder = _Graph(nodes)
    convolutions = [
        found
        for node in nodes
        if node.op_type == "ConvInteger" and names.search(node.name) and (found := finder.convolution(node))
    ]
    replaced = {found.result.output[0]: found for found in convolutions}
    edited: list[Message] = []
    for node in nodes:
        found = replaced.get(node.output[0]) if node.output else None
        edited.extend(_float_nodes(found) if found else [node])
    candidates = {name for found in convolutions for node in found.nodes for name in node.output}
    kept = _without_unused(edited, candidates, {value.name for value in graph.output})
    del graph.node[:]
    graph.node.extend(kept)
    return len(convolutions)


def _float_nodes(found: _Convolution) -> Iterator[Message]:
    """Yield the nodes of a float convolution.

    onnxruntime computes the float weights once, when it loads the model.
    """
    kind = _message("Node")
    name = found.conv.name
    weights = kind(name=f"{name}_weights", op_type="DequantizeLinear", input=found.weights, output=[f"{name}_weights"])
    yield weights
    inputs = [found.source, weights.output[0], *([found.bias] if found.bias else [])]
    yield kind(
        name=f"{name}_float",
        op_type="Conv",
        input=inputs,
        output=[found.result.output[0]],
        attribute=found.conv.attribute,
    )


def _without_unused(nodes: list[Message], candidates: set[str], results: set[str]) -> list[Message]:
    """Return the nodes without those of which no output is used.

    ``nodes``: in the order of computation.
    ``candidates``: the outputs of the nodes that may be left out.
    ``results``: the outputs of the graph.
    """
    used = set(results)
    kept: list[Message] = []
    for node in reversed(nodes):
        if candidates.issuperset(node.output) and used.isdisjoint(node.output):
            continue
        used.update(node.input)
        kept.append(node)
    return kept[::-1]


def _message(name: str) -> type[Message]:
    """Return protobuf's class for a message of ``_FIELDS``."""
    return _messages()[name]


@cache
def _messages() -> dict[str, type[Message]]:
    """Return protobuf's classes for the messages of ``_FIELDS``."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="kokoro_graph.proto", package="kokoro_graph")
    for message, fields in _FIELDS.items():
        described = file.message_type.add(name=message)
        for field, number, kind in fields:
            added = described.field.add(name=field, number=number)
            added.label = kinds.LABEL_OPTIONAL if field in _SINGLE else kinds.LABEL_REPEATED
            if kind in _FIELDS:
                added.type, added.type_name = kinds.TYPE_MESSAGE, f".{file.package}.{kind}"
            else:
                added.type = kinds.TYPE_STRING if kind == "string" else kinds.TYPE_BYTES
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.{name}")) for name in _FIELDS
    }
