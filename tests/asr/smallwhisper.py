"""Make a Whisper checkpoint with random weights, small enough for a test. It loads, but its output has no meaning."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from ctranslate2.specs import WhisperSpec
from ctranslate2.specs.model_spec import LayerSpec
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

HEAD = 64
MELS = 80
LANGUAGES = ["en", "zh", "ms", "ta", "id", "jw"]
PIECES = sorted(pre_tokenizers.ByteLevel.alphabet())
SPECIAL = [
    "",
    "<|endoftext|>",
    "<|startoftranscript|>",
    *(f"<|{code}|>" for code in LANGUAGES),
    *("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
    *(f"<|{index * 0.02:.2f}|>" for index in range(1501)),
]
VOCABULARY = PIECES + SPECIAL
END = VOCABULARY.index("<|endoftext|>")  # all words have lower ids
START = VOCABULARY.index("<|startoftranscript|>")
NO_SPEECH = VOCABULARY.index("<|nospeech|>")
TIMESTAMP_BEGIN = VOCABULARY.index("<|0.00|>")


def make(directory: Path, *, layers: int = 1, heads: int = 1, quantization: str | None = None) -> Path:
    """Write a multilingual checkpoint and return its directory.

    It has the files that ``ct2-transformers-converter`` writes, and ``tokenizer.json``.

    ``layers``, ``heads``: of the encoder and of the decoder.
    ``quantization``: the number format of the weights, such as ``int8``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    spec = _weights(VOCABULARY, layers, heads)
    spec.optimize(quantization=quantization)
    spec.save(str(directory))
    _tokenizer(directory / "tokenizer.json", PIECES, SPECIAL)
    return directory


def _weights(vocabulary: list[str], layers: int, heads: int) -> WhisperSpec:
    generator = np.random.default_rng(5)
    spec = WhisperSpec(layers, heads, layers, heads)
    width = HEAD * heads

    def random(*shape: int) -> np.ndarray:
        return (0.1 * generator.standard_normal(shape)).astype(np.float32)

    def linear(layer: LayerSpec, outputs: int, inputs: int) -> None:
        layer.weight = random(outputs, inputs)
        layer.bias = random(outputs)

    def norm(layer: LayerSpec) -> None:
        layer.gamma = 1 + random(width)
        layer.beta = random(width)

    def feed_forward(layer: LayerSpec) -> None:
        norm(layer.layer_norm)
        linear(layer.linear_0, 4 * width, width)
        linear(layer.linear_1, width, 4 * width)

    encoder = spec.encoder
    decoder = spec.decoder
    encoder.conv1.weight = random(width, MELS, 3)
    encoder.conv1.bias = random(width)
    encoder.conv2.weight = random(width, width, 3)
    encoder.conv2.bias = random(width)
    encoder.position_encodings.encodings = random(1500, width)
    decoder.position_encodings.encodings = random(448, width)
    decoder.embeddings.weight = random(len(vocabulary), width)
    decoder.projection.weight = decoder.embeddings.weight
    decoder.scale_embeddings = False
    norm(encoder.layer_norm)
    norm(decoder.layer_norm)
    for layer in [*encoder.layer, *decoder.layer]:
        norm(layer.self_attention.layer_norm)
        linear(layer.self_attention.linear[0], 3 * width, width)
        linear(layer.self_attention.linear[1], width, width)
        feed_forward(layer.ffn)
    for layer in decoder.layer:
        norm(layer.attention.layer_norm)
        linear(layer.attention.linear[0], width, width)
        linear(layer.attention.linear[1], 2 * width, width)
        linear(layer.attention.linear[2], width, width)
    spec.register_vocabulary(vocabulary)
    spec.config.suppress_ids = spec.config.suppress_ids_begin = []
    spec.config.lang_ids = [vocabulary.index(f"<|{code}|>") for code in LANGUAGES]
    spec.config.alignment_heads = sorted({(0, heads - 1), (layers - 1, 0)})
    spec.validate()
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
