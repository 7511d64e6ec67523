"""Whisper's text decoder on a CPU with AVX-512 VNNI, by the functions in ``text_decoder.c``.

A ``TextDecoder`` decodes one token at a time for many hypotheses. The hypotheses of different units (speech segments)
share each reading of the weights, but nothing else: units may have different lengths, and may be at different tokens.

Threads: several threads may call a ``TextDecoder``. A ``DecoderState`` (the state of one unit) belongs to one thread.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from asr.model_files import MAX_LENGTH
from asr.native.layers import HEAD_SIZE, OUTPUTS, Layers, Linear, Norm, argument
from asr.native.weights import Weights

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

BLOCK = 64  # frames in a block of keys

_ROW = np.dtype([(name, "i8") for name in ("unit", "history", "length", "token", "position", "allowed", "special")])
_ALLOWED = np.dtype([(name, "i8") for name in ("bias", "text_tokens", "end", "from", "to")])


class _Layer(ctypes.Structure):
    _fields_ = (
        *((name, Norm) for name in ("self_norm", "cross_norm", "feed_norm")),
        *((name, Linear) for name in ("qkv", "self_out", "query", "key_value", "cross_out", "feed_in", "feed_out")),
    )


class _Model(ctypes.Structure):
    _fields_ = (
        *(
            (name, ctypes.c_int64)
            for name in ("layers", "heads", "width", "ffn_size", "vocabulary", "alignment_head_count")
        ),
        ("layer", ctypes.POINTER(_Layer)),
        ("norm", Norm),
        ("projection", Linear),
        ("positions", ctypes.c_void_p),
        ("alignment_heads", ctypes.c_void_p),
    )


class _Unit(ctypes.Structure):
    _fields_ = (
        ("cache", ctypes.c_void_p),
        ("slots", ctypes.c_int64),
        ("keys", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("frames", ctypes.c_int64),
    )


class Allowed(NamedTuple):
    """Which tokens may come next.

    The array behind the address must live as long as the query.

    ``bias``: address of float32 (text tokens), what to add to the text tokens' logits.
    ``text_tokens``, ``end``: whether text tokens, and the end of the text, are allowed.
    ``first_timestamp``, ``end_timestamp``: the allowed timestamps, in steps of 20 ms; ``end_timestamp`` is excluded.
    """

    bias: int
    text_tokens: bool = True
    end: bool = True
    first_timestamp: int = 0
    end_timestamp: int = 0


class Row(NamedTuple):
    """A token to decode.

    The array behind the address must live as long as the query.

    ``history``: address of the numbers (int32) of the slots in the state's cache that hold the tokens before this
    one, and last the slot for this one.
    ``length``: number of slots in the history.
    ``position``: place of the token in the text, prompt included.
    ``allowed``: which tokens may come next; None if nobody wants to know the next token.
    ``special``: where to write the log probabilities of all tokens that are not text tokens; None for nowhere.
    """

    state: DecoderState
    history: int
    length: int
    token: int
    position: int
    allowed: Allowed | None = None
    special: Floats | None = None


class Candidates(NamedTuple):
    """The likeliest next tokens of a row and their log probabilities among the allowed tokens, likeliest first.

    If fewer tokens are allowed, the list ends with ids of -1 and probabilities of minus infinity.
    """

    ids: list[int]
    scores: list[float]


class DecoderState:
    """What the decoder keeps of one unit: the keys and values of its frames and of its tokens.

    It takes layers * width * 4 bytes for each frame, and layers * width * 8 bytes for each slot. With Whisper base (6
    layers, width 512) these are 12 KB and 24 KB.

    ``frames``: number of frames of the encoder's output.
    ``slots``: number of tokens for which there is room.
    """

    def __init__(self, frames: int, layers: int, width: int) -> None:
        self.frames = frames
        self.slots = 0
        self.keys = np.zeros(layers * width * -(-frames // BLOCK) * BLOCK, np.uint16)
        self.values = np.empty(layers * width * frames, np.uint16)
        self._cache = np.empty((layers, 2, 0, width), np.float32)
        self._unit = _Unit(None, 0, self.keys.ctypes.data, self.values.ctypes.data, frames)
        self.address = ctypes.addressof(self._unit)

    def make_room(self, slots: int) -> None:
        """Make room for at least ``slots`` tokens. Those before stay where they are."""
        if slots <= self.slots:
            return
        layers, pair, kept, width = self._cache.shape
        larger = np.empty((layers, pair, max(slots, 2 * kept), width), np.float32)
        larger[:, :, :kept] = self._cache
        self._cache = larger
        self.slots = larger.shape[2]
        self._unit.cache = larger.ctypes.data
        self._unit.slots = self.slots


class TextDecoder:
    """The text decoder of one Whisper model.

    ``text_tokens``: number of text tokens, which have the lowest ids. The next id is that of the end-of-text token, and
    then come other special tokens and the timestamps.
    ``timestamp_begin``: id of the timestamp 0.
    ``alignment_heads``: pairs of a layer and a head, whose attention tells when a token was spoken.
    """

    def __init__(
        self,
        weights: Weights,
        *,
        text_tokens: int,
        timestamp_begin: int,
        alignment_heads: Sequence[tuple[int, int]],
        library: Path,
    ) -> None:
        self.text_tokens = text_tokens
        self.timestamp_begin = timestamp_begin
        self._layers = Layers(weights)
        self._library = ctypes.CDLL(str(library))
        embeddings = weights.variables["decoder/embeddings/weight"]
        self.vocabulary, self.width = embeddings.shape
        self.layers = weights.layers("decoder")
        self.timestamp_count = self.vocabulary - timestamp_begin
        self._ffn_size = len(weights.variables["decoder/layer_0/ffn/linear_0/bias"])
        self.alignment_head_count = len(alignment_heads)
        heads = weights.count("decoder/num_heads")
        if self.width != HEAD_SIZE * heads:
            raise ValueError(f"its attention heads do not have {HEAD_SIZE} numbers")
        if self._ffn_size % OUTPUTS or self._ffn_size < self.width:
            raise ValueError("the size of its decoder's feed-forward layers does not suit the functions in C")
        if not 0 < text_tokens < timestamp_begin < self.vocabulary:
            raise ValueError("its tokenizer has more tokens than its weights")
        if not all(0 <= layer < self.layers and 0 <= head < heads for layer, head in alignment_heads):
            raise ValueError("its alignment heads do not exist")
        layers = (_Layer * self.layers)(*(self._layer(f"decoder/layer_{i}") for i in range(self.layers)))
        self._model = _Model(
            layers=self.layers,
            heads=heads,
            width=self.width,
            ffn_size=self._ffn_size,
            vocabulary=self.vocabulary,
            alignment_head_count=self.alignment_head_count,
            layer=layers,
            norm=self._layers.norm("decoder/layer_norm", self.width),
            projection=self._layers.linear("decoder/projection", self.vocabulary, self.width),
            positions=self._layers.positions("decoder", MAX_LENGTH, self.width),
            alignment_heads=self._layers.pointer(np.ascontiguousarray(alignment_heads, np.int32)),
        )

    def start(self, encoded: Floats) -> DecoderState:
        """Prepare the decoder for a unit. ``encoded``: the encoder's output, float32 (frames, width)."""
        encoded = np.ascontiguousarray(encoded, np.float32)
        state = DecoderState(len(encoded), self.layers, self.width)
        self._call("start", encoded, state.frames, state.keys, state.values)
        return state

    def next(self, rows: Sequence[Row], k: int) -> list[Candidates]:
        """Decode one token of each row. Return the ``k`` best continuations of each row with ``allowed``.

        The rows of a unit must be neighbours. A row may follow an earlier row of the same unit.

        Raise ``ValueError`` if the model does not know a token or a position, and ``MemoryError`` if there is not
        enough memory.
        """
        wanted = [row.allowed for row in rows if row.allowed is not None]
        allowed = np.array(wanted, _ALLOWED)
        at = allowed.ctypes.data
        table = np.empty(len(rows), _ROW)
        for number, row in enumerate(rows):
            here = 0
            if row.allowed is not None:
                here = at
                at += _ALLOWED.itemsize
            special = 0 if row.special is None else row.special.ctypes.data
            table[number] = (row.state.address, row.history, row.length, row.token, row.position, here, special)
        self._check(table["token"], int(table["position"].max()))
        ids = np.empty((len(wanted), k), np.int32)
        scores = np.empty((len(wanted), k), np.float32)
        self._call("next", len(rows), table, self.text_tokens, self.timestamp_begin, k, ids, scores)
        return [Candidates(*both) for both in zip(ids.tolist(), scores.tolist(), strict=True)]

    def score_text(self, state: DecoderState, start: Sequence[int], text: Sequence[int]) -> tuple[Floats, Floats]:
        """Decode a known text of a unit.

        Return the attention of the alignment heads, float32 (heads, tokens, frames), and the log probability of each
        token of the text among all text tokens, float32 (tokens of the text).

        ``start``: the tokens before the text; they count as tokens too.
        """
        tokens = np.array([*start, *text], np.int32)
        self._check(tokens, len(tokens) - 1)
        state.make_room(len(tokens))
        attention = np.empty((self.alignment_head_count, len(tokens), state.frames), np.float32)
        scores = np.empty(len(text), np.float32)
        unit = ctypes.c_void_p(state.address)
        self._call("score_text", unit, len(tokens), tokens, len(start), self.text_tokens, attention, scores)
        return attention, scores

    def first_frames(self, costs: Floats) -> list[int]:
        """Return the first frame of each token, by dynamic time warping. ``costs``: float32 (tokens, frames)."""
        costs = np.ascontiguousarray(costs, np.float32)
        starts = np.empty(len(costs), np.int32)
        if self._library.text_decoder_dtw(*map(argument, (costs, *costs.shape, starts))):
            raise MemoryError
        return starts.tolist()

    def _check(self, tokens: npt.NDArray[Any], last_position: int) -> None:
        """Raise ``ValueError`` for tokens that would make the functions in C read outside their arrays."""
        if tokens.min() < 0 or tokens.max() >= self.vocabulary or last_position >= MAX_LENGTH:
            raise ValueError("the model does not know these tokens, or they are too many")

    def _call(self, name: str, *arguments: Any) -> None:
        if getattr(self._library, f"text_decoder_{name}")(ctypes.byref(self._model), *map(argument, arguments)):
            raise MemoryError

    def _layer(self, name: str) -> _Layer:
        norm, linear, width = self._layers.norm, self._layers.linear, self.width
        scale = HEAD_SIZE**-0.5
        return _Layer(
            self_norm=norm(f"{name}/self_attention/layer_norm", width),
            cross_norm=norm(f"{name}/attention/layer_norm", width),
            feed_norm=norm(f"{name}/ffn/layer_norm", width),
            qkv=linear(f"{name}/self_attention/linear_0", 3 * width, width, scaled=width, scale=scale),
            self_out=linear(f"{name}/self_attention/linear_1", width, width),
            query=linear(f"{name}/attention/linear_0", width, width, scaled=width, scale=scale),
            key_value=linear(f"{name}/attention/linear_1", 2 * width, width),
            cross_out=linear(f"{name}/attention/linear_2", width, width),
            feed_in=linear(f"{name}/ffn/linear_0", self._ffn_size, width),
            feed_out=linear(f"{name}/ffn/linear_1", width, self._ffn_size),
        )
