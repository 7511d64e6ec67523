"""One attempt at the words of a unit, and the reasons to doubt it.

A draft is **implausible** if nobody can have said it in that time. It is **doubtful** if it should be tried again with
more context. An implausible draft that only repeats itself needs no second try: cut to its first turn, it is as good as
any.

A text that begins with a timestamp should end with one. If it does not, the decoder broke off. This makes the draft
doubtful if the text is short for its time, or repeats itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_compression_ratio

from asr import repetition
from asr.units import Phrase

LOGPROB_OF_NOTHING = -10.0  # without tokens there is no mean
SECONDS_PER_TIMESTAMP = 0.02
REPLACEMENT = "\ufffd"
#: The most tokens that a second of speech needs, in a language whose letters are mostly whole tokens and in one that is
#: written in bytes. The lower ones suffice for all but the fastest speakers: 74 clips of real speech needed 7 at most.
TOKENS_PER_SECOND = 14
TOKENS_PER_SECOND_IN_BYTES = 32
FIRST_TOKENS_PER_SECOND = 9
FIRST_TOKENS_PER_SECOND_IN_BYTES = 21
SPARE_TOKENS = 16
FIRST_SPARE_TOKENS = 24
SLOWEST_PACE = 6.0  # letters a second; slow speech has 9, pauses for breath included
_WORD_TOKENS = frozenset(("ms", "en", "zh", "id", "jw", "de", "fr", "es", "it", "pt", "nl", "tl", "yue", "ja", "ko"))


def max_tokens(language: str, seconds: float, *, is_last_try: bool = True) -> int:
    """Return the number of tokens at which a stuck decoder is stopped.

    In the last try it is more than the fastest speech of that length needs. In an earlier one a batch of other units
    waits for a stuck unit, so the limit is lower, and a text that reaches it is tried again.
    """
    in_bytes = language not in _WORD_TOKENS
    most = SPARE_TOKENS + round((TOKENS_PER_SECOND_IN_BYTES if in_bytes else TOKENS_PER_SECOND) * seconds)
    if is_last_try:
        return most
    rate = FIRST_TOKENS_PER_SECOND_IN_BYTES if in_bytes else FIRST_TOKENS_PER_SECOND
    return min(most, FIRST_SPARE_TOKENS + round(rate * seconds))


def decoded(tokenizer: Tokenizer, tokens: list[int]) -> str:
    """Return the text of the tokens. A character that lacks some of its bytes is dropped."""
    return str(tokenizer.decode([token for token in tokens if token < tokenizer.eot])).replace(REPLACEMENT, "").strip()


@dataclass(frozen=True)
class Draft:
    """One attempt at a unit's words.

    ``tokens``: includes timestamps.
    ``avg_logprob``: mean log probability of the tokens.
    ``compression_ratio``: UTF-8 bytes over deflated bytes; high for loops.
    ``no_speech_prob``: the model's own probability that nothing was said.
    ``seconds``: the unit's length.
    ``is_cut_off``: the decoder was stopped at the most tokens allowed.
    ``is_broken_off``: the text begins with a timestamp and does not end with one.
    """

    tokens: list[int]
    text: str
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    temperature: float
    seconds: float
    is_cut_off: bool = False
    is_broken_off: bool = False

    @classmethod
    def of(cls, result: Any, tokenizer: Tokenizer, temperature: float, seconds: float, limit: int) -> Draft:
        """Make a draft from a result of CTranslate2. ``limit``: the most tokens that it could have."""
        tokens = result.sequences_ids[0]
        text = decoded(tokenizer, tokens)
        # CTranslate2 divides the score by the length without the end token; Whisper counts that token.
        logprob = result.scores[0] * len(tokens) / (len(tokens) + 1) if tokens else LOGPROB_OF_NOTHING
        ratio = get_compression_ratio(text) if text else 0.0
        is_cut_off = len(tokens) >= limit
        first_stamp = tokenizer.timestamp_begin
        is_broken_off = bool(tokens) and tokens[0] >= first_stamp > tokens[-1]
        no_speech = result.no_speech_prob
        return cls(tokens, text, logprob, ratio, no_speech, temperature, seconds, is_cut_off, is_broken_off)

    def text_tokens(self, eot: int) -> list[int]:
        return [token for token in self.tokens if token < eot]

    @cached_property
    def repetition(self) -> repetition.Repetition | None:
        return repetition.repetition(self.text)

    @cached_property
    def is_implausible(self) -> bool:
        most = repetition.MAX_PACE if self.repetition is None else repetition.MAX_REPEATED_PACE
        return self.is_cut_off or repetition.pace(self.text, self.seconds) > most

    @property
    def is_clear_loop(self) -> bool:
        """Whether the draft is a plausible text several times, and nothing else."""
        again = self.repetition
        if again is None or not self.is_implausible or not again.is_whole or again.start:
            return False
        return repetition.pace(self.text, self.seconds) / again.count <= repetition.MAX_REPEATED_PACE

    @property
    def is_doubtful(self) -> bool:
        if self.is_clear_loop:
            return False
        again = self.repetition
        if self.is_implausible or (again is not None and again.period >= repetition.LONG_REPETITION):
            return True
        if again is not None and (self.is_broken_off or (again.start and again.count >= repetition.STUCK)):
            return True
        return self.is_broken_off and repetition.pace(self.text, self.seconds) < SLOWEST_PACE

    def once(self, tokenizer: Tokenizer) -> Draft:
        """Return the draft cut after the first turn of its loop, if it is implausible and has a loop."""
        again = self.repetition
        if again is None or not self.is_implausible:
            return self
        kept = _tokens_of_words(self.tokens, again.start + again.period, tokenizer)
        text = decoded(tokenizer, kept)
        return replace(self, tokens=kept, text=text, compression_ratio=get_compression_ratio(text), is_cut_off=False)


def least_doubtful(drafts: list[Draft]) -> Draft:
    """Return the first draft that is not doubtful, or else the likeliest one.

    Plausible drafts are preferred to implausible ones, and any text to none.
    """
    for draft in drafts:
        if draft.text and not draft.is_doubtful:
            return draft
    return min(drafts, key=lambda draft: (not draft.text, draft.is_implausible, -draft.avg_logprob))


def _tokens_of_words(tokens: list[int], count: int, tokenizer: Tokenizer) -> list[int]:
    """Return the tokens of the first ``count`` words."""
    for end in range(1, len(tokens) + 1):
        if len(repetition.words_of(decoded(tokenizer, tokens[:end]))) > count:
            return tokens[: end - 1]
    return tokens


def phrases(tokens: list[int], tokenizer: Tokenizer, duration_s: float) -> list[Phrase]:
    """Cut the tokens at the timestamps into phrases; without timestamps, the whole unit is one phrase.

    A character that a timestamp splits goes to the phrase in which it ends.
    """
    found: list[Phrase] = []
    start = 0.0
    current = list[int]()
    for token in tokens:
        if token < tokenizer.timestamp_begin:
            current.append(token)
            continue
        seconds = min((token - tokenizer.timestamp_begin) * SECONDS_PER_TIMESTAMP, duration_s)
        whole, current = _whole_characters(current, tokenizer)
        if whole:
            found.append(Phrase(decoded(tokenizer, whole), start, max(start, seconds), tuple(whole)))
        start = seconds
    if current:
        found.append(Phrase(decoded(tokenizer, current), min(start, duration_s), duration_s, tuple(current)))
    return [phrase for phrase in found if phrase.text]


def _whole_characters(tokens: list[int], tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Split off the tokens at the end (at most three) that begin a character without completing it."""
    for kept in range(len(tokens), max(-1, len(tokens) - 4), -1):
        if not str(tokenizer.decode(tokens[:kept])).endswith(REPLACEMENT):
            return tokens[:kept], tokens[kept:]
    return tokens, []
