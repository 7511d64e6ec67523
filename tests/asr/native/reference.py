"""Whisper in plain numpy and float32, to compare the native functions with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from asr.native.weights import Weights

Floats = npt.NDArray[np.float32]

HEAD_SIZE = 64


class Reference:
    """The networks of one checkpoint."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def encode(self, features: Floats) -> Floats:
        """Return the encoder's output, float32 (frames / 2, width). ``features``: float32 (mels, frames)."""
        x = _gelu(self._convolved("encoder/conv1", features.T, 1))
        x = _gelu(self._convolved("encoder/conv2", x, 2))
        x += self._weights.floats("encoder/position_encodings/encodings")[: len(x)]
        for number in range(self._weights.layers("encoder")):
            name = f"encoder/layer_{number}"
            x += self._attended(f"{name}/self_attention", self._norm(f"{name}/self_attention/layer_norm", x))[0]
            x += self._fed(f"{name}/ffn", x)
        return self._norm("encoder/layer_norm", x)

    def decode(self, encoded: Floats, tokens: Sequence[int]) -> tuple[Floats, Floats]:
        """Decode known tokens.

        Return the logits after each token, float32 (tokens, vocabulary), and the attention to the frames, float32
        (layers, heads, tokens, frames).
        """
        embeddings = self._weights.floats("decoder/embeddings/weight")
        x = embeddings[list(tokens)] + self._weights.floats("decoder/position_encodings/encodings")[: len(tokens)]
        attention = []
        for number in range(self._weights.layers("decoder")):
            name = f"decoder/layer_{number}"
            x += self._attended(f"{name}/self_attention", self._norm(f"{name}/self_attention/layer_norm", x), True)[0]
            queries = self._linear(f"{name}/attention/linear_0", self._norm(f"{name}/attention/layer_norm", x))
            keys, values = np.split(self._linear(f"{name}/attention/linear_1", encoded), 2, axis=1)
            out, shares = _attention(queries, keys, values)
            attention.append(shares)
            x += self._linear(f"{name}/attention/linear_2", out)
            x += self._fed(f"{name}/ffn", x)
        return self._norm("decoder/layer_norm", x) @ embeddings.T, np.stack(attention)

    def _attended(self, name: str, x: Floats, is_causal: bool = False) -> tuple[Floats, Floats]:
        queries, keys, values = np.split(self._linear(f"{name}/linear_0", x), 3, axis=1)
        out, shares = _attention(queries, keys, values, is_causal)
        return self._linear(f"{name}/linear_1", out), shares

    def _fed(self, name: str, x: Floats) -> Floats:
        inner = _gelu(self._linear(f"{name}/linear_0", self._norm(f"{name}/layer_norm", x)))
        return self._linear(f"{name}/linear_1", inner)

    def _convolved(self, name: str, x: Floats, stride: int) -> Floats:
        padded = np.pad(x, ((1, 1), (0, 0)))
        windows = np.stack([padded[at : at + 3] for at in range(0, len(x), stride)])
        weight = self._weights.floats(f"{name}/weight")
        return np.einsum("tki,oik->to", windows, weight) + self._weights.floats(f"{name}/bias")

    def _linear(self, name: str, x: Floats) -> Floats:
        out: Floats = x @ self._weights.floats(f"{name}/weight").T + self._weights.floats(f"{name}/bias")
        return out

    def _norm(self, name: str, x: Floats) -> Floats:
        spread = np.sqrt(x.var(1, keepdims=True) + 1e-5)
        gamma, beta = (self._weights.floats(f"{name}/{part}") for part in ("gamma", "beta"))
        out: Floats = (x - x.mean(1, keepdims=True)) / spread * gamma + beta
        return out


def log_softmax(logits: Floats) -> Floats:
    """Return the log probabilities along the last axis."""
    shifted = logits - logits.max(-1, keepdims=True)
    out: Floats = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return out


def _attention(queries: Floats, keys: Floats, values: Floats, is_causal: bool = False) -> tuple[Floats, Floats]:
    outs, shares = [], []
    for at in range(0, queries.shape[1], HEAD_SIZE):
        scores = queries[:, at : at + HEAD_SIZE] @ keys[:, at : at + HEAD_SIZE].T / math.sqrt(HEAD_SIZE)
        if is_causal:
            scores += np.triu(np.full(scores.shape, -np.inf, np.float32), 1)
        shares.append(np.exp(log_softmax(scores)))
        outs.append(shares[-1] @ values[:, at : at + HEAD_SIZE])
    return np.concatenate(outs, axis=1), np.stack(shares)


def _gelu(x: Floats) -> Floats:
    return np.asarray(x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))), np.float32)
