"""Run a Whisper model on a CPU with AVX-512 VNNI, and answer the requests of units (speech segments).

Each unit keeps its own length and goes its own way, so units with different contexts, prompts and options are decoded
together without padding.

Threads:

- Several threads may call a ``NativeModel``. Each needs a session of its own.
- ``_loading`` guards ``_networks``, so only one thread loads the weights.
- ``unload`` may be called while units are decoded. Their next step loads the weights again. The memory of the earlier
  weights is freed when these units have ended.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import index
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from asr.checkpoint import FULL_CONTEXT_S, Checkpoint
from asr.encoding import Prepared, padded
from asr.model_files import ModelFiles
from asr.native.alignment import timing
from asr.native.audio_encoder import AudioEncoder
from asr.native.search import Query, Rules, Search, Steps
from asr.native.session import DecodingSession, run_together
from asr.native.text_decoder import DecoderState, Row, TextDecoder
from asr.native.weights import Weights, read
from asr.requests import BEST_OF, MAX_INITIAL_TIMESTAMP, Align, Dialogue, Generate, Request
from inference.errors import EngineUnavailable

R = TypeVar("R")

STEP_S = 0.2  # contexts are multiples of this


class _Networks(NamedTuple):
    encoder: AudioEncoder
    decoder: TextDecoder


class Unsupported(ValueError):
    """Raised for a checkpoint that cannot run here. The message says why."""


class NativeModel:
    """A Whisper model on a CPU with AVX-512 VNNI. Several threads may call it at the same time.

    ``directory``: the directory of the checkpoint in CTranslate2's format.
    ``library``: the compiled functions.

    Raise ``Unsupported`` if the checkpoint cannot run here.
    """

    compute_type = "int8"

    def __init__(self, directory: Path, checkpoint: Checkpoint, library: Path) -> None:
        self._directory = directory
        self._checkpoint = checkpoint
        self._library = library
        self._loading = threading.Lock()
        self._rules = lru_cache(maxsize=64)(self._rules_for)
        try:
            about = json.loads((directory / "config.json").read_text("utf-8"))
            weights = read(directory / "model.bin")
            self.files = ModelFiles.read(directory, mels=weights.variables["encoder/conv1/weight"].shape[1])
            self._suppressed_first = tuple(map(index, about["suppress_ids_begin"]))
            # CTranslate2 knows without this list which English-only models need no language.
            languages = list(map(index, about["lang_ids"]))
            self._languages = [(token, str(self.files.tokenizer.id_to_token(token))) for token in languages]
            self._alignment_heads = [(index(layer), index(head)) for layer, head in about["alignment_heads"]]
            self._end = self._id_of("<|endoftext|>")
            self._start = self._id_of("<|startoftranscript|>")
            self._no_timestamps = self._id_of("<|notimestamps|>")
            self._no_speech = self._id_of("<|nospeech|>", "<|nocaptions|>")
            self._networks: _Networks | None = self._load(weights)
        except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
            raise Unsupported(f"{directory} has a checkpoint of another kind: {error}") from error

    def _id_of(self, *names: str) -> int:
        """Return the id of a special token. ``names``: its names in different versions of Whisper."""
        for name in names:
            token = self.files.tokenizer.token_to_id(name)
            if token is not None:
                return token
        raise ValueError(f"its tokenizer has no {names[0]}")

    def unload(self) -> None:
        """Free the memory of the weights. They are loaded again when they are needed."""
        with self._loading:
            self._networks = None

    def open_session(self, recognise: Callable[[Prepared], Dialogue[R]]) -> DecodingSession[Prepared, R]:
        """Return a session for one thread. ``recognise``: starts the dialogue about a unit."""
        return DecodingSession(lambda: self._loaded().decoder, lambda item: self._run(item, recognise(item)))

    def run(self, batch: Sequence[Prepared], recognise: Callable[[Prepared], Dialogue[R]]) -> list[R]:
        """Run units together, from their beginning to their end."""
        return run_together(self.open_session(recognise), batch)

    def _run(self, item: Prepared, dialogue: Dialogue[R]) -> Steps[R]:
        """Encode a unit, and answer all requests of its dialogue."""
        networks = self._loaded()
        state = networks.decoder.start(networks.encoder(padded(item, self._context_s(item), self._checkpoint)))
        answer: Any = None
        while True:
            try:
                request = dialogue.send(answer)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            answer = yield from self._answer(networks.decoder, state, request)

    def _context_s(self, item: Prepared) -> float:
        """Return the encoder context for an item in seconds: just what the item and its margin of silence need.

        Contexts need not be alike here, because each unit keeps its own length.
        """
        if item.context_s >= FULL_CONTEXT_S or not self._checkpoint.margin_s:
            return item.context_s
        needed = item.unit.duration_s + self._checkpoint.margin_s
        return min(item.context_s, max(self._checkpoint.contexts_s[0], math.ceil(needed / STEP_S) * STEP_S))

    def _loaded(self) -> _Networks:
        with self._loading:
            if self._networks is None:
                try:
                    self._networks = self._load(read(self._directory / "model.bin"))
                except (ValueError, KeyError, IndexError) as error:  # the file has changed since the start
                    raise EngineUnavailable(f"cannot load the ASR model {self._directory} again: {error}") from error
            return self._networks

    def _load(self, weights: Weights) -> _Networks:
        decoder = TextDecoder(
            weights,
            text_tokens=self._end,
            timestamp_begin=self._no_timestamps + 1,
            alignment_heads=self._alignment_heads,
            library=self._library,
        )
        encoder = AudioEncoder(weights, self._library)
        if encoder.width != decoder.width:
            raise ValueError("its encoder and its decoder do not have the same width")
        special = (self._start, self._no_speech, *(token for token, _ in self._languages))
        if not self._alignment_heads:
            raise ValueError("it has no alignment heads")
        if not self._languages or not all(self._end < token < decoder.vocabulary for token in special):
            raise ValueError("its special tokens are missing, or its weights do not have them")
        return _Networks(encoder, decoder)

    def _answer(self, decoder: TextDecoder, state: DecoderState, request: Request) -> Steps[Any]:
        if isinstance(request, Generate):
            rules = self._rules(decoder.timestamp_begin, decoder.timestamp_count, request.suppressed)
            width = BEST_OF if request.temperature > 0 else request.beam_size
            search = Search(
                state,
                rules,
                limit=request.limit,
                timestamps=request.timestamps,
                width=width,
                temperature=request.temperature,
            )
            prompt = [*request.prompt, *([] if request.timestamps else [self._no_timestamps])]
            return (yield from search.run(prompt))
        if isinstance(request, Align):
            start = [*request.start, self._no_timestamps]
            return timing(decoder, state, start, request.text, request.frames // 2)
        return (yield from self._languages_of(decoder, state))

    def _languages_of(self, decoder: TextDecoder, state: DecoderState) -> Steps[list[tuple[str, float]]]:
        """Return all languages and their probabilities, likeliest first."""
        state.make_room(1)
        history = np.zeros(1, np.int32)
        special = np.empty(decoder.vocabulary - self._end, np.float32)
        rules = self._rules(decoder.timestamp_begin, decoder.timestamp_count, ())  # must live as long as the query
        any_token = rules.allowed([0], 0, timestamps=False)
        yield Query([Row(state, history.ctypes.data, 1, self._start, 0, any_token, special)], 1)
        shares = np.exp([special[token - self._end] for token, _ in self._languages])
        shares /= shares.sum()
        named = [(name, float(share)) for (_, name), share in zip(self._languages, shares, strict=True)]
        return sorted(named, key=lambda pair: -pair[1])

    def _rules_for(self, timestamp_begin: int, timestamp_count: int, suppressed: tuple[int, ...]) -> Rules:
        return Rules(
            end=self._end,
            start=self._start,
            no_speech=self._no_speech,
            timestamp_begin=timestamp_begin,
            timestamp_count=timestamp_count,
            max_initial_timestamp=MAX_INITIAL_TIMESTAMP,
            suppressed=suppressed,
            suppressed_first=self._suppressed_first,
        )
