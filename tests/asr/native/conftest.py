from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from asr.native import build
from asr.native.audio_encoder import AudioEncoder
from asr.native.text_decoder import TextDecoder
from asr.native.weights import Weights, read
from tests.asr import smallwhisper
from tests.asr.native.reference import Reference

ALIGNMENT_HEADS = [(0, 1), (1, 0)]

#: A source that compiles fast, with the function from which a library's version is read.
SMALL_SOURCE = "const char *text_decoder_source(void) { return SOURCE_ID; }\n"


@pytest.fixture(scope="session")
def compiler() -> str:
    """Return the path of a C compiler. `make test` installs gcc. Without a compiler, skip the test, except in CI."""
    if not build.is_supported_platform():
        pytest.skip("the native library needs Linux on x86-64")
    found = next(filter(None, map(shutil.which, build.COMPILERS)), None)
    if found is None:
        reason = "there is no C compiler (make test installs gcc as root)"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a C file that is alone in its folder."""
    source = tmp_path / "small.c"
    source.write_text(SMALL_SOURCE)
    return source


@pytest.fixture
def library(source: Path, compiler: str) -> Path:
    """Return a library that was compiled from ``source``, in the same folder."""
    library = source.with_name(build.LIBRARY.name)
    build.build(source.parent, library)
    return library


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with two layers and two heads, whose weights are int8 as in a real one."""
    return smallwhisper.make(tmp_path_factory.mktemp("small") / "whisper", layers=2, heads=2, quantization="int8")


@pytest.fixture(scope="session")
def weights(checkpoint: Path) -> Weights:
    return read(checkpoint / "model.bin")


@pytest.fixture(scope="session")
def reference(weights: Weights) -> Reference:
    return Reference(weights)


@pytest.fixture(scope="session")
def decoder(weights: Weights, native_library: Path) -> TextDecoder:
    return TextDecoder(
        weights,
        text_tokens=smallwhisper.END,
        timestamp_begin=smallwhisper.TIMESTAMP_BEGIN,
        alignment_heads=ALIGNMENT_HEADS,
        library=native_library,
    )


@pytest.fixture(scope="session")
def encoder(weights: Weights, native_library: Path) -> AudioEncoder:
    return AudioEncoder(weights, native_library)
