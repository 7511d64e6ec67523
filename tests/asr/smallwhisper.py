"""Make a Whisper checkpoint with random weights, small enough for a test. It loads, but its output has no meaning."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from ctranslate2.specs import WhisperSpec
from ctranslate2.specs.model_spec import LayerSpec
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

WIDTH = 64
MELS = 80
LAYERS = 1
HEADS = 1
LANGUAGES = ["en", "zh", "ms", "ta", "id", "jw"]


def make(directory: Path) -> Path:
    """Write a multilingual checkpoint and return its directory.

    It has the files that ``ct2-transformers-converter`` writes, and ``tokenizer.json``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    pieces = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["", "<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in LANGUAGES)]
    special += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"]
    special += ["<|notimestamps|>", *(f"<|{index * 0.02:.2f}|>" for index in range(1501))]
    vocabulary = pieces + special
    _weights(vocabulary).save(str(directory))
    _tokenizer(directory / "tokenizer.json", pieces, special)
    return directory


def _weights(vocabulary: list[str]) -> WhisperSpec:
    generator = np.random.default_rng(5)
    spec = WhisperSpec(LAYERS, HEADS, LAYERS, HEADS)

    def random(*shape: int) -> np.ndarray:
        return (0.1 * generator.standard_normal(shape)).astype(np.float32)

    def linear(layer: LayerSpec, outputs: int, inputs: int) -> None:
        layer.weight = random(outputs, inputs)
        layer.bias = random(outputs)

    def norm(layer: LayerSpec) -> None:
        layer.gamma = np.ones(WIDTH, np.float32)
        layer.beta = np.zeros(WIDTH, np.float32)

    def feed_forward(layer: LayerSpec) -> None:
        norm(layer.layer_norm)
        linear(layer.linear_0, 4 * WIDTH, WIDTH)
        linear(layer.linear_1, WIDTH, 4 * WIDTH)

    encoder = spec.encoder
    decoder = spec.decoder
    encoder.conv1.weight = random(WIDTH, MELS, 3)
    encoder.conv1.bias = random(WIDTH)
    encoder.conv2.weight = random(WIDTH, WIDTH, 3)
    encoder.conv2.bias = random(WIDTH)
    encoder.position_encodings.encodings = random(1500, WIDTH)
    decoder.position_encodings.encodings = random(448, WIDTH)
    decoder.embeddings.weight = random(len(vocabulary), WIDTH)
    decoder.projection.weight = decoder.embeddings.weight
    decoder.scale_embeddings = False
    norm(encoder.layer_norm)
    norm(decoder.layer_norm)
    for layer in [*encoder.layer, *decoder.layer]:
        norm(layer.self_attention.layer_norm)
        linear(layer.self_attention.linear[0], 3 * WIDTH, WIDTH)
        linear(layer.self_attention.linear[1], WIDTH, WIDTH)
        feed_forward(layer.ffn)
    for layer in decoder.layer:
        norm(layer.attention.layer_norm)
        linear(layer.attention.linear[0], WIDTH, WIDTH)
        linear(layer.attention.linear[1], 2 * WIDTH, WIDTH)
        linear(layer.attention.linear[2], WIDTH, WIDTH)
    spec.register_vocabulary(vocabulary)
    spec.config.suppress_ids = spec.config.suppress_ids_begin = []
    spec.config.lang_ids = [vocabulary.index(f"<|{code}|>") for code in LANGUAGES]
    spec.config.alignment_heads = [[0, 0]]
    spec.validate()
    spec.optimize(quantization=None)
    return spec


def _tokenizer(path: Path, pieces: list[str], special: list[str]) -> None:
    tokenizer = Tokenizer(models.BPE({piece: index for index, piece in enumerate(pieces)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    raw = json.loads(tokenizer.to_str())
    raw["model"]["vocab"][""] = len(pieces)
    raw["added_tokens"] = [
        {
            "id": len(pieces) + index,
            "content": name,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for index, name in enumerate(special)
        if name
    ]
    path.write_text(json.dumps(raw, ensure_ascii=False), encoding="utf-8")
