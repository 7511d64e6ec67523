"""Decode a batch of units (speech segments) to text, by Whisper's own rules.

The rules (suppressed tokens, first timestamp, scores) are those of faster-whisper's ``WhisperModel.transcribe``, and a
test checks that the words are the same. But implausible text is handled differently, because each unit shares its batch
with other units:

- Each unit is encoded once per context, that is, per length of audio that the encoder processes. A second try at a
  higher temperature uses the same encoder output.
- The length of the audio limits the number of tokens. This stops an endless repetition early.
- A text that only repeats one phrase is cut after the first occurrence of the phrase (``asr.retries``).
- If a text is doubtful for another reason, the engine decodes the unit again in the full context of 30 s. If the text
  is still implausible, it is decoded once more, at a higher temperature.
- A low log probability alone does not make a text doubtful, because it is normal in languages that the model knows
  badly. But if the choice of language was also a close call, the unit is decoded in the second likeliest language too,
  and the likelier text is kept.
- A model that is told the wrong language may also repeat itself. So if a text is doubtful even in the full context, the
  second language is tried in the same way, before the higher temperature.

Threads: several threads may call a ``Decoder``. It keeps no state between calls except caches, which the GIL protects.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import ctranslate2
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from asr.alignment import Aligned, align, whole_characters
from asr.checkpoint import FULL_CONTEXT_S, Checkpoint
from asr.encoding import FRAMES_PER_SECOND, Encoder, Prepared, rows_of
from asr.languages import RELATIVES
from asr.lexicon import Lexicon, retimed
from asr.retries import Draft, best_draft, max_tokens, phrases
from asr.simplified_chinese import simplified
from asr.units import Hypothesis, SpeechUnit, Task

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

COMPRESSION_RATIO_THRESHOLD = 2.4
LOGPROB_THRESHOLD = -1.0
NO_SPEECH_THRESHOLD = 0.6
BEST_OF = 2
WEAK_LOGPROB = -0.7  # a text with a lower mean log probability is weak; frequent in Malay, so no proof of an error
CLOSE_CALL = 0.25  # the choice is a close call if the second language's probability is above this share of the first's
CLOSE_CALL_IF_DOUBTFUL = 0.1  # the same if the text is doubtful even in the full context
LATEST_FIRST_TIMESTAMP = 50  # maximum of the first timestamp, in steps of 20 ms


@dataclass(frozen=True)
class _Languages:
    """The language chosen for a unit, and the languages that were considered.

    ``code``: the language to decode in.
    ``probability``: the model's probability of that language.
    ``ranked``: pairs of a language and its probability, likeliest first; empty if detection was not needed.
    """

    code: str
    probability: float = 1.0
    ranked: tuple[tuple[str, float], ...] = ()

    @property
    def rivalry(self) -> float:
        """The second language's probability as a share of the first's; 0 if the likeliest language was not chosen."""
        if len(self.ranked) < 2 or self.code != self.ranked[0][0]:
            return 0.0
        return self.ranked[1][1] / self.ranked[0][1]

    def swapped(self) -> _Languages:
        """Exchange the first two languages, so that the second one is chosen."""
        (first, likelier), (second, unlikelier), *rest = self.ranked
        return _Languages(second, likelier, ((second, likelier), (first, unlikelier), *rest))


@dataclass(frozen=True)
class Decoded:
    """The result of decoding one unit.

    ``is_doubtful``: whether the unit should be decoded again in the full encoder context of 30 s.
    """

    hypothesis: Hypothesis
    is_doubtful: bool = False


class Decoder:
    """Decodes batches of units with one Whisper model."""

    def __init__(self, model: WhisperModel, checkpoint: Checkpoint, *, languages: list[str]) -> None:
        self._model = model
        self._checkpoint = checkpoint
        self._encoder = Encoder(model, checkpoint)
        # A stock model sometimes mistakes Malay for Indonesian or Javanese, so only the offered languages are
        # candidates.
        self._languages = [code for code in languages if not checkpoint.languages or code in checkpoint.languages]
        self._lexicon = Lexicon.read(checkpoint.lexicon) if checkpoint.lexicon else None
        self.tokenizer = lru_cache(maxsize=64)(self._tokenizer)
        self._suppressed = lru_cache(maxsize=64)(self._suppressed_tokens)

    def decode(self, batch: list[Prepared], beam_size: int) -> list[Decoded]:
        """Return one result for each item of the batch. All items must have the same key (``asr.batching``).

        ``beam_size``: width of the beam search. If all items request greedy decoding, a width of 1 is used instead.
        """
        encoded = self._encoder.encode(batch)
        languages = self._languages_of(batch, encoded)
        drafts = self._generate(batch, languages, encoded, beam_size, batch[0].unit.options.temperatures[0])
        self._try_runners_up(batch, languages, encoded, beam_size, drafts)
        self._try_hotter(batch, languages, encoded, beam_size, drafts)
        wants_tokens = any(item.unit.options.words or item.unit.options.logprobs for item in batch)
        kept = [
            draft.cleaned(self.tokenizer(language.code, item.unit.options.task))
            for item, draft, language in zip(batch, drafts, languages, strict=True)
        ]
        aligned = self._align(batch, languages, encoded, kept) if wants_tokens else [Aligned()] * len(batch)
        return [
            Decoded(simplified(self._spaced(self._hypothesis(item, language, draft, timed))), first.is_doubtful)
            for item, language, first, draft, timed in zip(batch, languages, drafts, kept, aligned, strict=True)
        ]

    def prompt(self, unit: SpeechUnit) -> tuple[int, ...]:
        """Return the token ids of the unit's keywords and prompt; () if the unit has neither.

        If there are more tokens than the model's ``prompt_tokens``, the beginning of the prompt is left out first.
        """
        options = unit.options
        hints = self._as_written(", ".join(options.keywords))
        earlier = self._as_written(options.prompt)
        if not hints and not earlier:
            return ()
        tokenizer = self.tokenizer(options.language or "en", options.task)
        most = self._checkpoint.prompt_tokens
        # Keywords come first, as in faster-whisper, so a long prompt loses its own beginning before any keyword.
        named = tokenizer.encode(" " + hints)[:most] if hints else []
        previous = tokenizer.encode(" " + earlier) if earlier else []
        return (tokenizer.sot_prev, *named, *previous[max(0, len(previous) + len(named) - most) :])

    def _as_written(self, text: str) -> str:
        """Return the text in the style of the model. A ``plain`` model writes lower-case words without punctuation."""
        if not self._checkpoint.plain:
            return text.strip()
        return " ".join("".join(c if c.isalnum() or c in "-'" else " " for c in text.lower()).split())

    def _tokenizer(self, language: str, task: Task) -> Tokenizer:
        return Tokenizer(self._model.hf_tokenizer, self._model.model.is_multilingual, task=task, language=language)

    def _suppressed_tokens(self, language: str, task: Task) -> tuple[int, ...]:
        return tuple(get_suppressed_tokens(self.tokenizer(language, task), [-1]) or ())

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
        """Choose the likeliest of the allowed languages. Weight each language by ``Options.language_priors``.

        The allowed languages are those that the request names as candidates, or else all that the service offers. The
        probability of a language that is not allowed is added to that of its relative in ``RELATIVES``. For example,
        Indonesian counts as Malay. If the model detects no allowed language, choose among all languages.
        """
        codes = [(token.strip("<|>"), probability) for token, probability in candidates]
        summed = dict.fromkeys(item.unit.options.candidates or self._languages, 0.0)
        for code, probability in codes:
            meant = code if code in summed else RELATIVES.get(code, code)
            if meant in summed:
                summed[meant] += probability
        offered = [(code, probability) for code, probability in summed.items() if probability > 0] or codes
        weights = dict(item.unit.options.language_priors)
        code, probability = max(offered, key=lambda candidate: candidate[1] * weights.get(candidate[0], 1.0))
        return _Languages(code, probability, tuple(sorted(offered, key=lambda candidate: -candidate[1])))

    def _try_runners_up(
        self,
        batch: list[Prepared],
        languages: list[_Languages],
        encoded: ctranslate2.StorageView,
        beam_size: int,
        drafts: list[Draft],
    ) -> None:
        """Decode units with a weak or doubtful text again in the second likeliest language, and keep the better text.

        The first language may be wrong. A model that is told the wrong language translates the speech badly, or repeats
        itself. Do this only if the choice of language was a close call. Change ``languages`` and ``drafts`` in place.
        """
        unsure = [
            index
            for index, (item, language, draft) in enumerate(zip(batch, languages, drafts, strict=True))
            if not item.unit.options.greedy and _may_be_wrong(item, language, draft)
        ]
        if not unsure:
            return
        others = [languages[index].swapped() for index in unsure]
        temperature = batch[0].unit.options.temperatures[0]
        units = [batch[index] for index in unsure]
        found = self._generate(units, others, rows_of(encoded, unsure), beam_size, temperature)
        for index, language, draft in zip(unsure, others, found, strict=True):
            is_usable = bool(draft.text) and not draft.is_doubtful and not draft.is_invented
            lowest = drafts[index].avg_logprob
            if _stays_doubtful(batch[index], drafts[index]):  # a text that repeats itself has a high log probability
                lowest = min(lowest, WEAK_LOGPROB)
            if is_usable and draft.avg_logprob > lowest:
                languages[index] = language
                drafts[index] = draft

    def _try_hotter(
        self,
        batch: list[Prepared],
        languages: list[_Languages],
        encoded: ctranslate2.StorageView,
        beam_size: int,
        drafts: list[Draft],
    ) -> None:
        """Decode units with a stuck text once more, at a higher temperature. Change ``drafts`` in place."""
        temperatures = batch[0].unit.options.temperatures
        stuck = [
            index for index, draft in enumerate(drafts) if _stays_doubtful(batch[index], draft) and draft.is_implausible
        ]
        if not stuck or len(temperatures) == 1:
            return
        units = [batch[index] for index in stuck]
        spoken = [languages[index] for index in stuck]
        found = self._generate(units, spoken, rows_of(encoded, stuck), beam_size, temperatures[-1])
        for index, draft in zip(stuck, found, strict=True):
            drafts[index] = best_draft([drafts[index], draft])

    def _generate(
        self,
        batch: list[Prepared],
        languages: list[_Languages],
        encoded: ctranslate2.StorageView,
        beam_size: int,
        temperature: float,
    ) -> list[Draft]:
        task = batch[0].unit.options.task
        # CTranslate2 needs prompts of equal length, so either all items or none get timestamps.
        timestamps = any(item.unit.options.timestamps for item in batch)
        tokenizers = [self.tokenizer(language.code, task) for language in languages]
        prompts = [
            [*item.prompt, *tokenizer.sot_sequence, *([] if timestamps else [tokenizer.no_timestamps])]
            for item, tokenizer in zip(batch, tokenizers, strict=True)
        ]
        limits = [
            min(
                max_tokens(language.code, item.unit.duration_s, is_last_try=_is_last_try(item)),
                self._model.max_length - len(prompt),
            )
            for item, language, prompt in zip(batch, languages, prompts, strict=True)
        ]
        is_greedy = all(item.unit.options.greedy for item in batch)
        search: dict[str, Any] = {"beam_size": 1 if is_greedy else beam_size}
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
            max_length=len(prompts[0]) + max(limits),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=list(self._suppressed(languages[0].code, task)),
            max_initial_timestamp_index=LATEST_FIRST_TIMESTAMP,
            **search,
        )
        return [
            Draft.of(result, tokenizer, temperature, item.unit.duration_s, limit)
            for result, tokenizer, item, limit in zip(results, tokenizers, batch, limits, strict=True)
        ]

    def _align(
        self,
        batch: list[Prepared],
        languages: list[_Languages],
        encoded: ctranslate2.StorageView,
        drafts: list[Draft],
    ) -> list[Aligned]:
        """Align the items that request word times or log probabilities. Other items get an empty result.

        The items are aligned in groups by language, because ``align`` takes the texts of only one language.
        """
        aligned = [Aligned()] * len(batch)
        rows_by_language: dict[str, list[int]] = {}
        tokenizer = self.tokenizer("en", "transcribe")  # text tokens are the same in all languages
        texts = [whole_characters(draft.text_tokens(tokenizer.eot), tokenizer) for draft in drafts]
        for index, item in enumerate(batch):
            if texts[index] and (item.unit.options.words or item.unit.options.logprobs):
                rows_by_language.setdefault(languages[index].code, []).append(index)
        for code, rows in rows_by_language.items():
            found = align(
                self._model.model,
                encoded if len(rows) == len(batch) else rows_of(encoded, rows),
                self.tokenizer(code, batch[0].unit.options.task),
                [texts[index] for index in rows],
                [min(batch[index].features.shape[1], batch[index].context_s * FRAMES_PER_SECOND) for index in rows],
                [batch[index].unit.duration_s for index in rows],
            )
            for index, one in zip(rows, found, strict=True):
                aligned[index] = one
        return aligned

    def _hypothesis(self, item: Prepared, language: _Languages, draft: Draft, aligned: Aligned) -> Hypothesis:
        tokenizer = self.tokenizer(language.code, item.unit.options.task)
        cut = tuple(phrases(draft.tokens, tokenizer, item.unit.duration_s))
        closed = bool(draft.tokens) and draft.tokens[-1] >= tokenizer.timestamp_begin
        return Hypothesis(
            text=draft.text,
            language=language.code,
            language_probability=language.probability,
            phrases=cut,
            words=aligned.words if item.unit.options.words else (),
            avg_logprob=draft.avg_logprob,
            compression_ratio=draft.compression_ratio,
            no_speech_prob=draft.no_speech_prob,
            temperature=draft.temperature,
            queued_ms=item.queued_ms,
            tokens=aligned.tokens if item.unit.options.logprobs else (),
            tries=1 + item.is_second_try,
            languages=language.ranked or ((language.code, language.probability),),
            text_end=cut[-1].end if cut and closed else None,
        )

    def _spaced(self, hypothesis: Hypothesis) -> Hypothesis:
        if self._lexicon is None or not hypothesis.text:
            return hypothesis
        text = self._lexicon.spaced(hypothesis.text)
        spaced = [replace(phrase, text=self._lexicon.spaced(phrase.text)) for phrase in hypothesis.phrases]
        return replace(hypothesis, text=text, phrases=tuple(spaced), words=retimed(hypothesis.words, text))


def _stays_doubtful(item: Prepared, draft: Draft) -> bool:
    """Return True if the text is doubtful although the item was decoded in the full context."""
    return item.context_s >= FULL_CONTEXT_S and draft.is_doubtful


def _may_be_wrong(item: Prepared, language: _Languages, draft: Draft) -> bool:
    """Return True if the language in which the item was decoded may be wrong: the text and the choice are uncertain."""
    if _stays_doubtful(item, draft):
        return language.rivalry > CLOSE_CALL_IF_DOUBTFUL
    return draft.avg_logprob < WEAK_LOGPROB and language.rivalry > CLOSE_CALL


def _is_last_try(item: Prepared) -> bool:
    """Return True if the item will not be decoded again, so that its text must be complete.

    In an earlier try, the token limit is lower. If the text reaches it, the item is decoded again in the full context,
    unless the request allows only one temperature. A partial result need not be complete, because it is soon replaced.
    """
    options = item.unit.options
    return item.context_s >= FULL_CONTEXT_S or (len(options.temperatures) == 1 and not options.greedy)
