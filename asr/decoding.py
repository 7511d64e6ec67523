"""From a batch of features to hypotheses, with Whisper's own rules, in as few calls of CTranslate2 as possible.

The rules (temperature ladder, compression-ratio and log-probability thresholds, suppressed tokens, first timestamp)
are those of faster-whisper's ``WhisperModel.transcribe``; a test compares the words. Here they run on batches: only
the items whose text looks wrong are decoded again, hotter.

Threads: a ``Decoder`` holds no state between calls except caches filled under the GIL; several threads may call it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import ctranslate2
import numpy as np
import numpy.typing as npt
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_compression_ratio, get_suppressed_tokens, merge_punctuations

from asr.checkpoint import Checkpoint
from asr.lexicon import Lexicon, retimed
from asr.units import Hypothesis, Phrase, SpeechUnit, Task, Word
from inference.engine import Unit

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

COMPRESSION_RATIO_THRESHOLD = 2.4
LOGPROB_THRESHOLD = -1.0
LOGPROB_OF_NOTHING = -10.0  # no tokens, no mean: as bad as can be, so that a hotter try may find something
NO_SPEECH_THRESHOLD = 0.6
BEST_OF = 5
FRAMES_PER_SECOND = 100
SECONDS_PER_TIMESTAMP = 0.02
LATEST_FIRST_TIMESTAMP = 50  # the first timestamp is within the first second
_PREPENDED, _APPENDED = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"


@dataclass(kw_only=True)
class Prepared(Unit):
    """A unit with its features: float32 (mels, frames), and the context in seconds that it will be encoded in."""

    unit: SpeechUnit
    features: npt.NDArray[np.float32]
    context_s: int
    prompt: tuple[int, ...] = ()

    @property
    def cost(self) -> float:
        return float(self.context_s)

    @property
    def key(self) -> tuple[object, ...]:
        """Units with equal keys may share a batch: CTranslate2 wants equal shapes and equally long prompts."""
        options = self.unit.options
        return self.context_s, options.task, options.timestamps, options.temperatures, len(self.prompt)


@dataclass(frozen=True)
class _Languages:
    """``code``: the language to decode in. ``ranked``: the candidates with their probabilities, likeliest first."""

    code: str
    probability: float = 1.0
    ranked: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class _Aligned:
    """What a second look at a text, with the audio, tells of it."""

    words: tuple[Word, ...] = ()
    probabilities: tuple[float, ...] = ()


@dataclass(frozen=True)
class _Draft:
    tokens: list[int]
    text: str
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    temperature: float

    def text_tokens(self, eot: int) -> list[int]:
        return [token for token in self.tokens if token < eot]

    @property
    def good(self) -> bool:
        if self.no_speech_prob > NO_SPEECH_THRESHOLD and self.avg_logprob < LOGPROB_THRESHOLD:
            return True  # silence: trying harder only invents words
        return self.compression_ratio <= COMPRESSION_RATIO_THRESHOLD and self.avg_logprob >= LOGPROB_THRESHOLD


class Decoder:
    def __init__(self, model: WhisperModel, checkpoint: Checkpoint, *, beam_size: int, languages: list[str]) -> None:
        self._model, self._checkpoint, self._beam_size = model, checkpoint, beam_size
        # A stock model hears Malay as Indonesian or Javanese now and then: only languages on offer are candidates.
        self._languages = [code for code in languages if not checkpoint.languages or code in checkpoint.languages]
        self._lexicon = Lexicon.read(checkpoint.lexicon) if checkpoint.lexicon else None
        self.tokenizer = lru_cache(maxsize=64)(self._tokenizer)
        self._suppressed = lru_cache(maxsize=64)(self._suppressed_tokens)

    def decode(self, batch: list[Prepared]) -> list[Hypothesis]:
        """One hypothesis per item. All items have the same ``key``."""
        encoded = self._encode(batch)
        languages = self._languages_of(batch, encoded)
        drafts = self._drafts(batch, languages, encoded)
        wants_tokens = any(item.unit.options.words or item.unit.options.logprobs for item in batch)
        aligned = self._align(batch, languages, encoded, drafts) if wants_tokens else [_Aligned()] * len(batch)
        return [
            self._spaced(self._hypothesis(item, language, draft, timed))
            for item, language, draft, timed in zip(batch, languages, drafts, aligned, strict=True)
        ]

    def prompt(self, unit: SpeechUnit) -> tuple[int, ...]:
        """Token ids of prompt and keywords, as many as the model takes, without the start token."""
        options = unit.options
        hints = self._as_written(", ".join(options.keywords))
        earlier = self._as_written(options.prompt)
        if not hints and not earlier:
            return ()
        tokenizer = self.tokenizer(options.language or "en", options.task)
        previous = tokenizer.encode(" " + earlier) if earlier else []
        tokens = self._model.get_prompt(tokenizer, previous, hotwords=hints or None)
        earliest, *hint = tokens[: tokens.index(tokenizer.sot)]
        return (earliest, *hint[-self._checkpoint.prompt_tokens :])

    def _as_written(self, text: str) -> str:
        """Text as the model would write it: a plain model has never seen capitals or commas."""
        if not self._checkpoint.plain:
            return text.strip()
        return " ".join("".join(c if c.isalnum() or c in "-'" else " " for c in text.lower()).split())

    def _tokenizer(self, language: str, task: Task) -> Tokenizer:
        return Tokenizer(self._model.hf_tokenizer, self._model.model.is_multilingual, task=task, language=language)

    def _suppressed_tokens(self, language: str, task: Task) -> tuple[int, ...]:
        return tuple(get_suppressed_tokens(self.tokenizer(language, task), [-1]) or ())

    def _encode(self, batch: list[Prepared]) -> ctranslate2.StorageView:
        frames = batch[0].context_s * FRAMES_PER_SECOND
        features = np.zeros((len(batch), batch[0].features.shape[0], frames), np.float32)
        for row, item in enumerate(batch):
            width = min(frames, item.features.shape[1])
            features[row, :, :width] = item.features[:, :width]
        return self._model.encode(features)

    def _languages_of(self, batch: list[Prepared], encoded: ctranslate2.StorageView) -> list[_Languages]:
        wanted = [item.unit.options.language for item in batch]
        if not self._model.model.is_multilingual:
            return [_Languages("en")] * len(batch)
        if self._checkpoint.languages and len(self._checkpoint.languages) == 1:
            return [_Languages(self._checkpoint.languages[0])] * len(batch)
        if all(wanted):
            return [_Languages(language or "") for language in wanted]
        found = self._model.model.detect_language(encoded)
        return [
            _Languages(language) if (language := item.unit.options.language) else self._likeliest(item, candidates)
            for item, candidates in zip(batch, found, strict=True)
        ]

    def _likeliest(self, item: Prepared, candidates: list[tuple[str, float]]) -> _Languages:
        """The best candidate among the languages on offer; the best of all if none of them is a candidate."""
        codes = [(token.strip("<|>"), probability) for token, probability in candidates]
        offered = [(code, probability) for code, probability in codes if code in self._languages] or codes
        weights = dict(item.unit.options.language_priors)
        code, probability = max(offered, key=lambda candidate: candidate[1] * weights.get(candidate[0], 1.0))
        return _Languages(code, probability, tuple(sorted(offered, key=lambda candidate: -candidate[1])))

    def _drafts(
        self, batch: list[Prepared], languages: list[_Languages], encoded: ctranslate2.StorageView
    ) -> list[_Draft]:
        first, *hotter = batch[0].unit.options.temperatures
        tried = [[draft] for draft in self._generate(batch, languages, encoded, first)]
        open_items = [index for index, drafts in enumerate(tried) if not drafts[-1].good]
        for temperature in hotter:
            if not open_items:
                break
            again = [batch[index] for index in open_items]
            drafts = self._generate(again, [languages[i] for i in open_items], self._encode(again), temperature)
            for index, draft in zip(open_items, drafts, strict=True):
                tried[index].append(draft)
            open_items = [index for index in open_items if not tried[index][-1].good]
        return [drafts[-1] if drafts[-1].good else _least_bad(drafts) for drafts in tried]

    def _generate(
        self,
        batch: list[Prepared],
        languages: list[_Languages],
        encoded: ctranslate2.StorageView,
        temperature: float,
    ) -> list[_Draft]:
        options = batch[0].unit.options
        tokenizers = [self.tokenizer(language.code, options.task) for language in languages]
        prompts = [
            [*item.prompt, *tokenizer.sot_sequence, *([] if options.timestamps else [tokenizer.no_timestamps])]
            for item, tokenizer in zip(batch, tokenizers, strict=True)
        ]
        search: dict[str, Any] = {"beam_size": self._beam_size}
        if temperature > 0:
            search = {
                "beam_size": 1,
                "num_hypotheses": BEST_OF,
                "sampling_topk": 0,
                "sampling_temperature": temperature,
            }
        results = self._model.model.generate(
            encoded,
            prompts,
            max_length=self._model.max_length,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=list(self._suppressed(languages[0].code, options.task)),
            max_initial_timestamp_index=LATEST_FIRST_TIMESTAMP,
            **search,
        )
        return [_draft(result, tokenizer, temperature) for result, tokenizer in zip(results, tokenizers, strict=True)]

    def _align(
        self,
        batch: list[Prepared],
        languages: list[_Languages],
        encoded: ctranslate2.StorageView,
        drafts: list[_Draft],
    ) -> list[_Aligned]:
        """When each word was said, by the attention of the alignment heads, and how likely each token is. ``align``
        takes one start sequence."""
        aligned = [_Aligned()] * len(batch)
        task = batch[0].unit.options.task
        frames = [item.features.shape[1] for item in batch]
        texts = [draft.text_tokens(self.tokenizer("en", task).eot) for draft in drafts]
        for code in {language.code for language in languages}:
            tokenizer = self.tokenizer(code, task)
            alignments = self._model.find_alignment(tokenizer, texts, encoded, frames)
            for index, alignment in enumerate(alignments):
                if languages[index].code == code:
                    merge_punctuations(alignment, _PREPENDED, _APPENDED)
                    aligned[index] = _Aligned(_words(alignment, batch[index].unit.duration_s))
        return aligned

    def _hypothesis(self, item: Prepared, language: _Languages, draft: _Draft, aligned: _Aligned) -> Hypothesis:
        tokenizer = self.tokenizer(language.code, item.unit.options.task)
        phrases = tuple(_phrases(draft.tokens, tokenizer, item.unit.duration_s))
        closed = bool(draft.tokens) and draft.tokens[-1] >= tokenizer.timestamp_begin
        return Hypothesis(
            text=draft.text,
            language=language.code,
            language_probability=language.probability,
            phrases=phrases,
            words=aligned.words if item.unit.options.words else (),
            avg_logprob=draft.avg_logprob,
            compression_ratio=draft.compression_ratio,
            no_speech_prob=draft.no_speech_prob,
            temperature=draft.temperature,
            queued_ms=item.queued_ms,
            languages=language.ranked or ((language.code, language.probability),),
            text_end=phrases[-1].end if phrases and closed else None,
        )

    def _spaced(self, hypothesis: Hypothesis) -> Hypothesis:
        if self._lexicon is None or not hypothesis.text:
            return hypothesis
        text = self._lexicon.spaced(hypothesis.text)
        phrases = [replace(phrase, text=self._lexicon.spaced(phrase.text)) for phrase in hypothesis.phrases]
        return replace(hypothesis, text=text, phrases=tuple(phrases), words=retimed(hypothesis.words, text))


def _draft(result: Any, tokenizer: Tokenizer, temperature: float) -> _Draft:
    tokens = result.sequences_ids[0]
    text = tokenizer.decode([token for token in tokens if token < tokenizer.eot]).strip()
    # CTranslate2 divides the score by the length without the end token, Whisper counts it.
    avg_logprob = result.scores[0] * len(tokens) / (len(tokens) + 1) if tokens else LOGPROB_OF_NOTHING
    return _Draft(tokens, text, avg_logprob, get_compression_ratio(text), result.no_speech_prob, temperature)


def _least_bad(drafts: list[_Draft]) -> _Draft:
    unrepetitive = [draft for draft in drafts if draft.compression_ratio <= COMPRESSION_RATIO_THRESHOLD]
    best = max(unrepetitive or drafts, key=lambda draft: draft.avg_logprob)
    return replace(best, temperature=drafts[-1].temperature)


def _phrases(tokens: list[int], tokenizer: Tokenizer, duration_s: float) -> list[Phrase]:
    """Cut at the timestamp tokens; one phrase for the whole unit where there are none."""
    phrases: list[Phrase] = []
    start, current = 0.0, []
    for token in tokens:
        if token < tokenizer.timestamp_begin:
            current.append(token)
            continue
        seconds = min((token - tokenizer.timestamp_begin) * SECONDS_PER_TIMESTAMP, duration_s)
        if current:
            phrases.append(Phrase(tokenizer.decode(current).strip(), start, max(start, seconds), tuple(current)))
            current = []
        start = seconds
    if current:
        phrases.append(Phrase(tokenizer.decode(current).strip(), min(start, duration_s), duration_s, tuple(current)))
    return [phrase for phrase in phrases if phrase.text]


def _words(alignment: list[dict[str, Any]], duration_s: float) -> tuple[Word, ...]:
    return tuple(
        Word(
            text=timing["word"].strip(),
            start=min(float(timing["start"]), duration_s),
            end=min(float(timing["end"]), duration_s),
            probability=float(timing["probability"]),
        )
        for timing in alignment
        if timing["word"].strip()
    )
