"""Edit Kokoro's graph when it is loaded, so that the model speaks faster and with less noise.

The model file was exported with onnxruntime's dynamic int8 quantisation. Its weights are rounded to 8 bits. While the
model speaks, the graph also rounds the input of each convolution, to 256 levels between the lowest and the highest
value in the whole sentence. The following is changed (docs/voice-measurements.md gives the gains):

- **Convolutions.** onnxruntime computes ``ConvInteger`` without the processor's instructions for 8-bit products (VNNI,
  AMX), so an int8 convolution takes as long as a float convolution. A matrix product does use these instructions, so
  each convolution is replaced by a matrix product with signed weights (``tts.kokoro_convolutions``). On processors
  without these instructions, intermediate sums of such a product can overflow, so the convolutions stay as they are.
- **Rounding.** The rounding of the inputs is audible only in the convolutions that match ``WIDE_INPUTS``. Their inputs
  get 16 bits if the convolution becomes a matrix product, and stay float32 otherwise.
- **Slow operators** are replaced by faster ones (``tts.kokoro_operators``).

The graph is edited in memory, so the file and its hash stay the same.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from inference import processor
from tts.kokoro_convolutions import Convolution, Replacement, as_float, as_matrix_product
from tts.kokoro_operators import faster
from tts.onnx_graph import Message, read_model

logger = logging.getLogger(__name__)

# Names of the convolutions whose rounding is audible: the residual blocks of the vocoder's last stage. Their sum is
# nearly the waveform. Rounding in the earlier stages is inaudible.
WIDE_INPUTS = re.compile(r"/decoder/generator/resblocks\.[345]/")

EXACT_PRODUCTS = {"avx512_vnni", "avx_vnni"}  # processor flags
# onnxruntime's optimisers that are switched off for matrix products. They would move the products' transpositions, and
# onnxruntime would then compute means along another axis, which takes twenty times as long.
TRANSPOSE_OPTIMIZERS = ["TransposeOptimizer", "TransposeOptimizer_CPUExecutionProvider"]


def has_exact_products() -> bool:
    """Return True if this processor has fast instructions that multiply unsigned by signed bytes without overflow."""
    return not EXACT_PRODUCTS.isdisjoint(processor.flags())


def edited(path: Path, *, products: bool, wide_inputs: re.Pattern[str] = WIDE_INPUTS) -> bytes | None:
    """Read a model file. Return the edited model as the bytes of an ONNX file.

    ``products``: whether to replace the int8 convolutions with matrix products.
    ``wide_inputs``: matches the names of the convolutions whose input gets more than 8 bits.

    Return None if the file is not an ONNX model, or if it contains no int8 convolution that can be edited, for example
    because it is another export of Kokoro. The caller should then load the file as it is.
    """
    model = read_model(path)
    if model is None:
        return None
    changed = _edit(model.graph, products, wide_inputs)
    logger.debug("%d convolutions were edited", changed)
    return bytes(model.SerializeToString()) if changed else None


class _Graph:
    """Finds the int8 convolutions of a graph."""

    def __init__(self, graph: Message) -> None:
        self._maker = {name: node for node in graph.node for name in node.output}
        self.constants = {constant.name: constant for constant in graph.initializer}
        self._users: dict[str, list[Message]] = {}
        for node in graph.node:
            for name in node.input:
                self._users.setdefault(name, []).append(node)

    def convolution(self, conv: Message) -> Convolution | None:
        """Return the int8 convolution to which a node ``ConvInteger`` belongs.

        Return None if the nodes around it are not those that onnxruntime's dynamic quantisation writes.
        """
        rounding = self._maker.get(conv.input[0])
        if rounding is None or rounding.op_type != "DynamicQuantizeLinear" or len(conv.input) != 4:
            return None
        nodes = [rounding, conv]
        bias = rounded_bias = None
        after = self._only_user(conv)
        if after is not None and after.op_type == "Add":
            nodes.append(after)
            chain = list(self._bias_chain(after.input[1]))
            if not chain or chain[-1].op_type != "Div":
                return None
            nodes += chain
            bias = chain[-1].input[0]
            rounded_bias = next((one.output[0] for one in chain if one.op_type == "Floor"), None)
            after = self._only_user(after)
        if after is None or after.op_type != "Cast":
            return None
        result = self._only_user(after)
        if result is None or result.op_type != "Mul" or result.input[0] != after.output[0]:
            return None
        scale = self._maker.get(result.input[1])
        if scale is None or scale.op_type != "Mul" or scale.input[0] != rounding.output[1]:
            return None
        if not {conv.input[1], scale.input[1], conv.input[3]} <= self.constants.keys():
            return None
        return Convolution(
            conv=conv,
            nodes=[*nodes, after, scale, result],
            source=rounding.input[0],
            rounded=tuple(rounding.output),
            weights=self.constants[conv.input[1]],
            weight_scale=scale.input[1],
            weight_zero=self.constants[conv.input[3]],
            scale=scale.output[0],
            bias=bias,
            rounded_bias=rounded_bias,
            result=result.output[0],
        )

    def _only_user(self, node: Message) -> Message | None:
        users = self._users.get(node.output[0], [])
        return users[0] if len(users) == 1 else None

    def _bias_chain(self, name: str) -> Iterator[Message]:
        """Yield the nodes that round a bias, in reverse order. The last of them divides the bias by its scale.

        ``name``: the name of the rounded bias.
        """
        while (node := self._maker.get(name)) is not None and node.op_type in ("Reshape", "Cast", "Floor", "Div"):
            yield node
            if node.op_type == "Div":
                return
            name = node.input[0]


def _edit(graph: Message, products: bool, wide_inputs: re.Pattern[str]) -> int:
    """Replace int8 convolutions and slow operators. Return the number of convolutions; if 0, nothing is replaced."""
    finder = _Graph(graph)
    replacements: dict[str, Replacement] = {}
    candidates: set[str] = set()  # the outputs of nodes that may no longer be used
    for node in graph.node:
        found = finder.convolution(node) if node.op_type == "ConvInteger" else None
        if found is None:
            continue
        is_16_bit = wide_inputs.search(node.name) is not None
        replacement = as_matrix_product(found, is_16_bit=is_16_bit) if products else None
        if replacement is None and is_16_bit:
            replacement = as_float(found)
        if replacement is not None:
            replacements[found.result] = replacement
            candidates.update(name for one in found.nodes for name in one.output)
    count = len(replacements)
    if count:
        operators = ((node.output[0], faster(node, finder.constants)) for node in graph.node if node.output)
        replacements |= {name: replacement for name, replacement in operators if replacement is not None}
    new = [one for node in graph.node for one in _in_place_of(node, replacements)]
    kept = _without_unused(new, candidates - replacements.keys(), {value.name for value in graph.output})
    # Constants that only replaced nodes used are dropped, because they are large.
    used = {name for node in kept for name in node.input} | {value.name for value in graph.output}
    unused = {name for node in graph.node for name in node.input} - used
    added = [one for replacement in replacements.values() for one in replacement.constants if one.name in used]
    constants = [*(one for one in graph.initializer if one.name not in unused), *added]
    del graph.node[:]
    graph.node.extend(kept)
    del graph.initializer[:]
    graph.initializer.extend(constants)
    return count


def _in_place_of(node: Message, replacements: Mapping[str, Replacement]) -> list[Message]:
    replacement = replacements.get(node.output[0]) if node.output else None
    return replacement.nodes if replacement is not None else [node]


def _without_unused(nodes: list[Message], candidates: set[str], results: set[str]) -> list[Message]:
    """Return the nodes, without those whose outputs are no longer used.

    ``nodes``: in the order of computation.
    ``candidates``: names of the outputs of the nodes that may be left out.
    ``results``: names of the outputs of the graph.
    """
    used = set(results)
    kept: list[Message] = []
    for node in reversed(nodes):
        if candidates.issuperset(node.output) and used.isdisjoint(node.output):
            continue
        used.update(node.input)
        kept.append(node)
    return kept[::-1]
