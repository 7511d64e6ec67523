"""Weights are read from CTranslate2's file, and a file that is damaged or foreign is refused with a reason."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.checkpoint import Checkpoint
from asr.native.audio_encoder import AudioEncoder
from asr.native.model import NativeModel, Unsupported
from asr.native.text_decoder import TextDecoder
from asr.native.weights import UnreadableWeights, Weights, read
from inference.errors import EngineUnavailable
from tests.asr import smallwhisper
from tests.asr.native.conftest import ALIGNMENT_HEADS

HEADER = struct.pack("<IH12sIB", 6, 12, b"WhisperSpec\0", 3, 0)


def test_it_works(weights: Weights, tmp_path: Path) -> None:
    """The int8 weights are those that were saved as float32, but for the rounding."""
    exact = read(smallwhisper.make(tmp_path / "exact", layers=2, heads=2) / "model.bin")
    assert (weights.layers("encoder"), weights.layers("decoder"), weights.count("decoder/num_heads")) == (2, 2, 2)
    assert set(exact.variables) <= set(weights.variables)
    for name in ("decoder/layer_1/attention/linear_1/weight", "decoder/projection/weight"):
        assert weights.variables[name].dtype == np.int8
        rounding = np.abs(exact.floats(name)).max(1, keepdims=True) / 127
        assert (np.abs(weights.floats(name) - exact.floats(name)) <= 0.51 * rounding).all()
        for numbers, scales in (weights.quantised(name), exact.quantised(name)):
            assert numbers.dtype == np.int8
            assert (np.abs(numbers * scales[:, None] - exact.floats(name)) <= 0.51 * rounding).all()
    assert np.array_equal(weights.floats("decoder/layer_norm/gamma"), exact.floats("decoder/layer_norm/gamma"))


def test_a_file_that_ends_too_early_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    whole = (checkpoint / "model.bin").read_bytes()
    for length in (1, 3, 10, 25, 60, 1000, len(whole) // 2, len(whole) - 200, len(whole) - 20, len(whole) - 1):
        (tmp_path / "model.bin").write_bytes(whole[:length])
        with pytest.raises(UnreadableWeights, match=r"model\.bin is no Whisper model that can be read here"):
            read(tmp_path / "model.bin")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"RIFF....WAVEfmt and so on, but never a Whisper model", "no Whisper model"),
        (HEADER.replace(b"WhisperSpec", b"WhisperBlue"), "WhisperBlue"),
        (b"\x07" + HEADER[1:], "version 7"),
    ],
    ids=["empty", "a recording", "another specification", "another version"],
)
def test_a_foreign_file_is_refused_with_a_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(UnreadableWeights, match=reason):
        read(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableWeights, match="No such file"):
        read(tmp_path / "model.bin")


@pytest.mark.parametrize("name", ["model.bin", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", [None, "{}"], ids=["missing", "damaged"])
def test_a_checkpoint_without_one_of_its_files_is_unsupported(
    checkpoint: Path, native_library: Path, tmp_path: Path, name: str, content: str | None
) -> None:
    directory = tmp_path / "whisper"
    shutil.copytree(checkpoint, directory)
    (directory / name).unlink()
    if content is not None:
        (directory / name).write_text(content)
    with pytest.raises(Unsupported, match="checkpoint of another kind"):
        NativeModel(directory, Checkpoint(str(directory), "small"), native_library)


def test_a_tokenizer_without_special_tokens_is_unsupported(
    checkpoint: Path, native_library: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "whisper"
    shutil.copytree(checkpoint, directory)
    tokenizer = directory / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text("utf-8").replace("<|notimestamps|>", "<|timestamps|>"), "utf-8")
    with pytest.raises(Unsupported, match="notimestamps"):
        NativeModel(directory, Checkpoint(str(directory), "small"), native_library)


def test_weights_of_another_shape_are_refused(weights: Weights, native_library: Path) -> None:
    """Otherwise, the functions in C would read or write outside their arrays."""

    def load(changed: Weights, part: str) -> None:
        if part == "encoder":
            AudioEncoder(changed, native_library)
        else:
            TextDecoder(
                changed,
                text_tokens=smallwhisper.END,
                timestamp_begin=smallwhisper.TIMESTAMP_BEGIN,
                alignment_heads=ALIGNMENT_HEADS,
                library=native_library,
            )

    tried = 0
    for name, values in weights.variables.items():
        if name == "decoder/embeddings/weight_scale":  # not used, because the output layer has the same weights
            continue
        for axis in range(values.ndim):
            shorter = values.take(range(values.shape[axis] - 1), axis)
            with pytest.raises(ValueError, match=r"shape|size|attention heads"):
                load(Weights({**weights.variables, name: shorter}), name.split("/")[0])
            tried += 1
    assert tried > 80


def with_settings(checkpoint: Path, directory: Path, **settings: Any) -> Path:
    """Copy a checkpoint into ``directory``, change its ``config.json``, and return the directory."""
    shutil.copytree(checkpoint, directory)
    about = json.loads((checkpoint / "config.json").read_text("utf-8"))
    (directory / "config.json").write_text(json.dumps(about | settings), "utf-8")
    return directory


@pytest.mark.parametrize(
    "settings",
    [
        {"alignment_heads": []},
        {"alignment_heads": [[0, 9]]},
        {"alignment_heads": [[-1, 0]]},
        {"alignment_heads": [[0.5, 0]]},
        {"lang_ids": []},
        {"lang_ids": [5]},
        {"lang_ids": [99_999]},
        {"lang_ids": ["<|en|>"]},
        {"suppress_ids_begin": ["a"]},
    ],
    ids=str,
)
def test_a_checkpoint_with_wrong_settings_is_unsupported(
    checkpoint: Path, native_library: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    directory = with_settings(checkpoint, tmp_path / "whisper", **settings)
    with pytest.raises(Unsupported, match="checkpoint of another kind"):
        NativeModel(directory, Checkpoint(str(directory), "small"), native_library)


def test_a_vocabulary_that_is_larger_than_the_weights_is_unsupported(
    checkpoint: Path, native_library: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "whisper"
    shutil.copytree(checkpoint, directory)
    tokenizer = directory / "tokenizer.json"
    about = json.loads(tokenizer.read_text("utf-8"))
    about["model"]["vocab"] |= {f"word{number}": 10_000 + number for number in range(2_000)}
    tokenizer.write_text(json.dumps(about), "utf-8")
    with pytest.raises(Unsupported, match="more tokens than its weights"):
        NativeModel(directory, Checkpoint(str(directory), "small"), native_library)


def test_a_model_that_was_damaged_while_it_was_unloaded_is_unavailable(
    checkpoint: Path, native_library: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "whisper"
    shutil.copytree(checkpoint, directory)
    model = NativeModel(directory, Checkpoint(str(directory), "small"), native_library)
    model.unload()
    weights = directory / "model.bin"
    whole = weights.read_bytes()
    weights.unlink()
    with pytest.raises(EngineUnavailable, match="again"):
        model._loaded()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EngineUnavailable, match="again"):
        model._loaded()
    weights.write_bytes(whole)
    assert model._loaded()
