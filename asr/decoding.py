"""Recognise a unit (speech segment), by Whisper's own rules.

The recognition of a unit is a dialogue with the model: a generator that yields requests and gets the model's answers
(``asr.requests``). So one model can answer a whole batch at once, and another each unit separately.

The rules (suppressed tokens, first timestamp, scores) are those of faster-whisper's ``WhisperModel.transcribe``, and a
test checks that the words are the same. Where a text may have timestamps is decided by what generates it: CTranslate2,
or ``Rules.allowed`` in ``asr.native.search`` and ``choose`` in ``text_decoder.c``. Implausible text is handled
differently from faster-whisper, because each unit is decoded together with other units:

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

Threads: several threads may call a ``Recogniser``. It keeps no state between calls except in ``lru_cache``, which is
thread-safe.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from asr.alignment import Aligned, aligned, whole_characters
from asr.checkpoint import FULL_CONTEXT_S, Checkpoint
from asr.encoding import FRAMES_PER_SECOND, Prepared
from asr.languages import RELATIVES
from asr.lexicon import Lexicon, retimed
from asr.model_files import MAX_LENGTH, ModelFiles
from asr.requests import Align, DetectLanguage, Dialogue, Generate, Generated, Timing
from asr.retries import Draft, best_draft, max_tokens, phrases
from asr.simplified_chinese import simplified
from asr.units import Hypothesis, SpeechUnit, Task

COMPRESSION_RATIO_THRESHOLD = 2.4
LOGPROB_THRESHOLD = -1.0
NO_SPEECH_THRESHOLD = 0.6
WEAK_LOGPROB = -0.7  # a text with a lower mean log probability is weak; frequent in Malay, so no proof of an error
CLOSE_CALL = 0.25  # the choice is a close call if the second language's probability is above this share of the first's
CLOSE_CALL_IF_DOUBTFUL = 0.1  # the same if the text is doubtful even in the full context


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
    """The result of recognising one unit.

    ``is_doubtful``: whether the unit should be decoded again in the full encoder context of 30 s.
    """

    hypothesis: Hypothesis
    is_doubtful: bool = False


class Recogniser:
    """Recognises units with one Whisper model."""

    def __init__(self, files: ModelFiles, checkpoint: Checkpoint, *, languages: list[str]) -> None:
        self._files = files
        self._checkpoint = checkpoint
        # A stock model sometimes mistakes Malay for Indonesian or Javanese, so only the offered languages are
        # candidates.
        self._languages = [code for code in languages if not checkpoint.languages or code in checkpoint.languages]
        self._lexicon = Lexicon.read(checkpoint.lexicon) if checkpoint.lexicon else None
        self.tokenizer = lru_cache(maxsize=64)(self._tokenizer)
        self._suppressed = lru_cache(maxsize=64)(self._suppressed_tokens)

    def recognise(self, item: Prepared, beam_size: int) -> Dialogue[Decoded]:
        """Yield the requests to the model, get its answers, and return the result.

        ``beam_size``: width of the beam search. If the item requests greedy decoding, a width of 1 is used instead.
        """
        options = item.unit.options
        if options.greedy:
            beam_size = 1
        language = yield from self._language_of(item)
        draft = yield from self._draft(item, language, beam_size, options.temperatures[0])
        if not options.greedy and _may_be_wrong(item, language, draft):
            language, draft = yield from self._try_second_language(item, language, beam_size, draft)
        if _stays_doubtful(item, draft) and draft.is_implausible and len(options.temperatures) > 1:
            hotter = yield from self._draft(item, language, beam_size, options.temperatures[-1])
            draft = best_draft([draft, hotter])
        is_doubtful = draft.is_doubtful
        draft = draft.cleaned(self.tokenizer(language.code, options.task))
        timed = Aligned()
        if options.words or options.logprobs:
            timed = yield from self._align(item, language, draft)
        return Decoded(simplified(self._spaced(self._hypothesis(item, language, draft, timed))), is_doubtful)

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
        max_prompt = self._checkpoint.prompt_tokens
        # Keywords come first, as in faster-whisper, so a long prompt loses its own beginning before any keyword.
        named = tokenizer.encode(" " + hints)[:max_prompt] if hints else []
        previous = tokenizer.encode(" " + earlier) if earlier else []
        return (tokenizer.sot_prev, *named, *previous[max(0, len(previous) + len(named) - max_prompt) :])

    def _as_written(self, text: str) -> str:
        """Return the text in the style of the model. A ``plain`` model writes lower-case words without punctuation."""
        if not self._checkpoint.plain:
            return text.strip()
        return " ".join("".join(c if c.isalnum() or c in "-'" else " " for c in text.lower()).split())

    def _tokenizer(self, language: str, task: Task) -> Tokenizer:
        return Tokenizer(self._files.tokenizer, self._files.is_multilingual, task=task, language=language)

    def _suppressed_tokens(self, language: str, task: Task) -> tuple[int, ...]:
        return tuple(get_suppressed_tokens(self.tokenizer(language, task), [-1]) or ())

    def _language_of(self, item: Prepared) -> Dialogue[_Languages]:
        if not self._files.is_multilingual:
            return _Languages("en")
        if self._checkpoint.languages and len(self._checkpoint.languages) == 1:
            return _Languages(self._checkpoint.languages[0])
        if item.unit.options.language:
            return _Languages(item.unit.options.language)
        return self._likeliest(item, (yield DetectLanguage()))

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

    def _try_second_language(
        self, item: Prepared, language: _Languages, beam_size: int, draft: Draft
    ) -> Dialogue[tuple[_Languages, Draft]]:
        """Decode a unit with a weak or doubtful text again in the second likeliest language, and keep the better text.

        The first language may be wrong. A model that is told the wrong language translates the speech badly, or repeats
        itself. Do this only if the choice of language was a close call.
        """
        second = language.swapped()
        other = yield from self._draft(item, second, beam_size, item.unit.options.temperatures[0])
        is_usable = bool(other.text) and not other.is_doubtful and not other.is_invented
        lowest = draft.avg_logprob
        if _stays_doubtful(item, draft):  # a text that repeats itself has a high log probability
            lowest = min(lowest, WEAK_LOGPROB)
        return (second, other) if is_usable and other.avg_logprob > lowest else (language, draft)

    def _draft(self, item: Prepared, language: _Languages, beam_size: int, temperature: float) -> Dialogue[Draft]:
        options = item.unit.options
        tokenizer = self.tokenizer(language.code, options.task)
        prompt = (*item.prompt, *tokenizer.sot_sequence)
        # The token for "no timestamps" may follow the prompt.
        room = MAX_LENGTH - len(prompt) - (not options.timestamps)
        wanted = max_tokens(language.code, item.unit.duration_s, is_last_try=_is_last_try(item))
        limit = min(wanted, room)
        suppressed = self._suppressed(language.code, options.task)
        text: Generated = yield Generate(prompt, limit, options.timestamps, suppressed, beam_size, temperature)
        return Draft.of(text, tokenizer, temperature, item.unit.duration_s, limit)

    def _align(self, item: Prepared, language: _Languages, draft: Draft) -> Dialogue[Aligned]:
        tokenizer = self.tokenizer(language.code, item.unit.options.task)
        text = whole_characters(draft.text_tokens(tokenizer.eot), tokenizer)
        if not text:
            return Aligned()
        frames = min(item.features.shape[1], item.context_s * FRAMES_PER_SECOND)
        timing: Timing = yield Align(tuple(tokenizer.sot_sequence), tuple(text), frames)
        return aligned(timing, tokenizer, text, item.unit.duration_s)

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
