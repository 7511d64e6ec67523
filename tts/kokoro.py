"""Run the speech model Kokoro-82M on onnxruntime: read its files and its voices, and speak sentences.

- Each voice is a style pack: a table of style vectors for sentences of different lengths.
- Threads: several threads may use a ``KokoroModel`` at once. An onnxruntime session is thread-safe, and packs are
  read-only.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from inference.errors import EngineUnavailable
from tts.kokoro_graph import TRANSPOSE_OPTIMIZERS, edited, has_exact_products
from tts.kokoro_symbols import MAX_SYMBOLS, pieces, symbols, tokens
from tts.loudness import trim

logger = logging.getLogger(__name__)

Audio = npt.NDArray[np.float32]
Pack = npt.NDArray[np.float32]

SAMPLE_RATE = 24_000
STYLE_VALUES = 256
FULL_ROWS = 510  # rows of a published pack: one for each possible number of symbols in a sentence
MODEL_FILE = "model.onnx"
VOCABULARY_FILE = "vocab.json"
PACKS = Path(__file__).with_name("packs")

MIN_SPEED = 0.7  # beyond these limits the model slurs words, so a tempo filter makes the rest of the change
MAX_SPEED = 1.4
NOTHING_S = 0.2  # silence for a text with nothing to pronounce
_JOIN_S = 0.12  # silence between the pieces of a sentence that was too long for the model

_QUIET = 3  # onnxruntime's log level for errors only
SPIN_US = "300"  # the longest time that a thread spins, in microseconds


@dataclass(frozen=True)
class Files:
    """A directory that should hold the model's files."""

    directory: Path

    @property
    def missing(self) -> str:
        """A message that names the missing files, or "" if no file is missing."""
        if not self.directory.is_dir():
            return f"there is no directory {self.directory}"
        absent = [name for name in (MODEL_FILE, VOCABULARY_FILE) if not (self.directory / name).is_file()]
        return f"{self.directory} has no {' and no '.join(absent)}" if absent else ""


def read_vocabulary(path: Path) -> dict[str, int]:
    """Read the model's symbol table. Return the token number of each symbol.

    Raise ``EngineUnavailable`` if the file cannot be read or is not Kokoro's table.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        table = table.get("vocab", table)
        vocabulary = {str(symbol): int(number) for symbol, number in table.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise EngineUnavailable(f"{path} is not a symbol table ({error})") from error
    if not {" ", "a", "ˈ"} <= vocabulary.keys():
        raise EngineUnavailable(f"{path} is not Kokoro's symbol table")
    return vocabulary


def read_pack(path: Path) -> Pack:
    """Read a voice's style pack: float32, shape (rows, 256).

    A published pack (``.bin``) has 510 rows of float32. This project's packs (``.f16``) have fewer rows, of float16.
    Raise ``EngineUnavailable`` if the file cannot be read or is not a pack.
    """
    kind, expected = (np.float16, None) if path.suffix == ".f16" else (np.float32, FULL_ROWS)
    try:
        values = np.frombuffer(path.read_bytes(), kind)
    except (OSError, ValueError) as error:
        raise EngineUnavailable(f"the voice pack {path} cannot be read ({error})") from error
    rows, rest = divmod(len(values), STYLE_VALUES)
    if rest or not rows or (expected and rows != expected):
        size = f"{values.nbytes:,} bytes"
        wanted = f"{FULL_ROWS * STYLE_VALUES * 4:,}" if expected else f"a multiple of {STYLE_VALUES * 2}"
        raise EngineUnavailable(f"the voice pack {path} has {size}, not {wanted}")
    pack = values.reshape(rows, STYLE_VALUES).astype(np.float32)
    if not np.isfinite(pack).all():
        raise EngineUnavailable(f"the voice pack {path} holds values that are not finite numbers")
    return pack


def style(pack: Pack, count: int) -> Pack:
    """Return the style vector for a sentence of ``count`` symbols: float32, shape (1, 256).

    If the pack has fewer than 510 rows, the vector is interpolated between two rows.
    """
    if len(pack) == 1:
        return pack
    place = min(count, FULL_ROWS - 1) / (FULL_ROWS - 1) * (len(pack) - 1)
    below = min(int(place), len(pack) - 2)
    share = np.float32(place - below)
    row: Pack = pack[below : below + 1] * (1 - share) + pack[below + 1 : below + 2] * share
    return row


@cache
def pack_of(name: str) -> Pack:
    """Return a style pack, float32, shape (rows, 256). Packs are read from disk once, and then cached.

    ``name``: name of a bundled pack, or absolute path of a pack that the operator has added.

    Raise ``EngineUnavailable`` if the pack cannot be read.
    """
    path = Path(name)
    return read_pack(path if path.is_absolute() else PACKS / f"{name}.f16")


def first_pack() -> Pack:
    """Return the alphabetically first of the bundled packs. The warm-up uses it, because any voice will do."""
    return pack_of(min(path.stem for path in PACKS.glob("*.f16")))


class KokoroModel:
    """A loaded Kokoro model. It can speak in any voice, because the style pack is an argument of ``speak``."""

    def __init__(self, session: onnxruntime.InferenceSession, vocabulary: Mapping[str, int]) -> None:
        self._session = session
        self.vocabulary = vocabulary

    def speak(self, ipa: str, pack: Pack, speed: float = 1.0) -> Audio:
        """Speak phonemes. Return float32 mono samples at ``SAMPLE_RATE``, shape (n,), trimmed of silence.

        ``ipa``: the phonemes in IPA, with punctuation.
        ``pack``: the voice's style pack, float32, shape (rows, 256).
        ``speed``: from ``MIN_SPEED`` to ``MAX_SPEED``; 1 is normal.

        If nothing can be pronounced, the result is ``NOTHING_S`` seconds of silence.
        """
        said = symbols(ipa, self.vocabulary)
        if not said:
            return np.zeros(int(NOTHING_S * SAMPLE_RATE), np.float32)
        parts: list[Audio] = []
        for piece in pieces(said, MAX_SYMBOLS):
            if parts:
                parts.append(np.zeros(int(_JOIN_S * SAMPLE_RATE / speed), np.float32))
            parts.append(trim(self._run(piece, pack, speed), SAMPLE_RATE))
        return np.concatenate(parts)

    def _run(self, piece: str, pack: Pack, speed: float) -> Audio:
        inputs = {
            "tokens": np.array([tokens(piece, self.vocabulary)], np.int64),
            "style": style(pack, len(piece)),
            "speed": np.array([speed], np.float32),
        }
        (audio,) = self._session.run(None, inputs, _returning_memory())
        return np.asarray(audio, np.float32).reshape(-1)


def _returning_memory() -> onnxruntime.RunOptions:
    """Return run options that free a sentence's working memory after the run. By default onnxruntime keeps it."""
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def load(directory: Path, *, device: str = "auto", threads: int = 1) -> KokoroModel:
    """Load the model from a directory.

    ``device``: "auto", "cpu" or "cuda".
    ``threads``: number of CPU threads for one sentence.

    Raise ``EngineUnavailable``, with the reason, if the model cannot be loaded.
    """
    files = Files(directory)
    if files.missing:
        raise EngineUnavailable(f"Kokoro is not installed: {files.missing}")
    vocabulary = read_vocabulary(directory / VOCABULARY_FILE)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _QUIET
    options.enable_mem_pattern = False  # onnxruntime would keep a memory pattern for every input length
    # A thread that waits for the next operator spins, because sleeping and waking up takes longer than many operators.
    # After a while it does sleep, so that it does not take CPU time from the recogniser and the event loop.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.intra_op.spin_duration_us", SPIN_US)
    options.add_session_config_entry("session.force_spinning_stop", "1")  # at the end of each sentence
    try:
        session = _session(directory / MODEL_FILE, options, _providers(device))
    except Exception as error:  # onnxruntime's errors share no base class but Exception
        raise EngineUnavailable(f"{directory / MODEL_FILE} does not load: {error}") from error
    names = {one.name for one in session.get_inputs()}
    if names != {"tokens", "style", "speed"}:
        raise EngineUnavailable(f"{directory / MODEL_FILE} is not Kokoro: its inputs are {', '.join(sorted(names))}")
    return KokoroModel(session, vocabulary)


def _session(
    path: Path, options: onnxruntime.SessionOptions, providers: list[str | tuple[str, dict[str, str]]]
) -> onnxruntime.InferenceSession:
    """Create a session with the edited model (``tts.kokoro_graph``), or else with the file as it is."""
    products = len(providers) == 1 and has_exact_products()
    try:
        changed = edited(path, products=products)
    except Exception:
        logger.warning("Kokoro uses its file as it is, because the graph cannot be edited", exc_info=True)
        changed = None
    if changed is not None:
        # Without this entry, the float weights would be computed again for each sentence.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        disabled = TRANSPOSE_OPTIMIZERS if products else None
        try:
            session = onnxruntime.InferenceSession(changed, options, providers=providers, disabled_optimizers=disabled)
        except Exception:
            logger.warning("Kokoro uses its file as it is, because the edited model does not load", exc_info=True)
        else:
            session.disable_fallback()  # it would need the model's bytes
            session._model_bytes = None  # 92 MB
            return session
    return onnxruntime.InferenceSession(str(path), options, providers=providers)


def _providers(device: str) -> list[str | tuple[str, dict[str, str]]]:
    """Return the onnxruntime execution providers for a device, the preferred one first.

    Raise ``EngineUnavailable`` if ``device`` is "cuda" and onnxruntime has no CUDA provider.
    """
    has_gpu = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if device == "cuda" and not has_gpu:
        raise EngineUnavailable("this onnxruntime has no CUDA: install onnxruntime-gpu, or VOICE_TTS_DEVICE=cpu")
    wants_gpu = has_gpu and device in ("auto", "cuda")
    cpu = ("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})
    return ["CUDAExecutionProvider", cpu] if wants_gpu else [cpu]
