"""Answer the requests of a batch of units (speech segments) with CTranslate2.

Requests of the same kind are answered together, so that the units share each reading of the model's weights.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import ctranslate2
import numpy as np

from asr.checkpoint import Checkpoint
from asr.encoding import Encoder, Prepared
from asr.model_files import ModelFiles
from asr.requests import BEST_OF, MAX_INITIAL_TIMESTAMP, Align, Dialogue, Generate, Generated, Request, Timing

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

R = TypeVar("R")


class BatchedModel:
    """A Whisper model in CTranslate2. Several threads may call it at the same time.

    ``model``: the checkpoint as faster-whisper has loaded it; also the attribute ``whisper``.
    ``checkpoint``: how to use it, such as the contexts in which it may encode units.
    """

    def __init__(self, model: WhisperModel, checkpoint: Checkpoint) -> None:
        self.files = ModelFiles.of(model)
        self.whisper = model
        self._encoder = Encoder(model, checkpoint)
        self._no_timestamps = self.files.tokenizer.token_to_id("<|notimestamps|>")

    @property
    def compute_type(self) -> str:
        return str(self.whisper.model.compute_type)

    def unload(self) -> None:
        """Free the memory of the weights. They are loaded again when they are needed."""
        self.whisper.model.unload_model()

    def run(self, batch: Sequence[Prepared], recognise: Callable[[Prepared], Dialogue[R]]) -> list[R]:
        """Run units together, from their beginning to their end. ``recognise``: starts the dialogue about a unit."""
        dialogues = [recognise(item) for item in batch]
        if not self.whisper.model.model_is_loaded:
            self.whisper.model.load_model()
        encoded = self._encoder.encode(batch)
        results: dict[int, R] = {}
        answers: dict[int, Any] = dict.fromkeys(range(len(batch)))
        while answers:
            groups: dict[Hashable, list[tuple[int, Request]]] = defaultdict(list)
            for row, answer in answers.items():
                try:
                    request = dialogues[row].send(answer)
                except StopIteration as end:
                    results[row] = end.value
                else:
                    groups[_kind(request)].append((row, request))
            answers = {}
            for group in groups.values():
                rows = [row for row, _ in group]
                answered = self._answer(_rows_of(encoded, rows, len(batch)), [request for _, request in group])
                answers.update(zip(rows, answered, strict=True))
        return [results[row] for row in range(len(batch))]

    def _answer(self, encoded: ctranslate2.StorageView, requests: Sequence[Any]) -> Sequence[Any]:
        if isinstance(requests[0], Generate):
            return self._generate(encoded, requests)
        if isinstance(requests[0], Align):
            return self._align(encoded, requests)
        detected: Sequence[Any] = self.whisper.model.detect_language(encoded)
        return detected

    def _generate(self, encoded: ctranslate2.StorageView, requests: Sequence[Generate]) -> list[Generated]:
        # CTranslate2 needs prompts of equal length, so either all units or none get timestamps.
        timestamps = any(request.timestamps for request in requests)
        prompts = [[*request.prompt, *([] if timestamps else [self._no_timestamps])] for request in requests]
        search: dict[str, Any] = {"beam_size": max(request.beam_size for request in requests)}
        if requests[0].temperature > 0:
            search = {
                "beam_size": 1,
                "num_hypotheses": BEST_OF,
                "sampling_topk": 0,
                "sampling_temperature": requests[0].temperature,
            }
        results = self.whisper.model.generate(
            encoded,
            prompts,
            max_length=len(prompts[0]) + max(request.limit for request in requests),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=list(requests[0].suppressed),  # the same in all: it depends on the tokenizer's file only
            max_initial_timestamp_index=MAX_INITIAL_TIMESTAMP,
            **search,
        )
        return [Generated(each.sequences_ids[0], each.scores[0], each.no_speech_prob) for each in results]

    def _align(self, encoded: ctranslate2.StorageView, requests: Sequence[Align]) -> list[Timing]:
        texts = [list(request.text) for request in requests]
        frames = [request.frames for request in requests]
        results = self.whisper.model.align(encoded, list(requests[0].start), texts, frames)
        return [Timing(tuple(each.alignments), tuple(each.text_token_probs)) for each in results]


def _kind(request: Request) -> Hashable:
    """Return what requests that are answered together have in common."""
    if isinstance(request, Generate):
        return Generate, request.temperature, len(request.prompt)
    if isinstance(request, Align):
        return Align, request.start
    return "detect language"


def _rows_of(encoded: ctranslate2.StorageView, rows: list[int], all_rows: int) -> ctranslate2.StorageView:
    """Return the given rows of the encoder's output. Unless these are all rows, it is a copy in the CPU's memory."""
    if len(rows) == all_rows:
        return encoded
    here = encoded if encoded.device == "cpu" else encoded.to_device(ctranslate2.Device.cpu)
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(np.array(here)[rows]))
