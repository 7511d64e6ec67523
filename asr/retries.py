"""Judge the text of a single attempt to decode a unit (a speech segment), and decide whether to decode it again.

The result of one attempt is called a draft:

- A draft is **implausible** if the unit is too short for anybody to say its text, or if the decoder reached the token
  limit.
- A draft is **doubtful** if the unit should be decoded again with a longer encoder context. Two kinds of implausible
  draft are not doubtful, because they can be corrected without decoding. A draft that only repeats one phrase is cut
  after the first occurrence of the phrase. The text of a unit that is too short to contain a word is removed.

``asr.whisper_engine`` decodes a doubtful unit again in the full context of 30 s. If the text is still implausible,
``asr.decoding`` decodes the unit once more, at a higher temperature.

A text that begins with a timestamp should end with one. If it does not, the decoder has stopped too early. The draft is
then doubtful if its text is short for the unit's length, or repeats itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_compression_ratio

from asr import repetition
from asr.requests import Generated
from asr.units import Phrase

LOGPROB_OF_NOTHING = -10.0  # ``avg_logprob`` of a draft without tokens
SECONDS_PER_TIMESTAMP = 0.02
REPLACEMENT = "\ufffd"
#: Limits on the number of tokens per second of speech. The limits ``…_IN_BYTES`` apply to languages in which a letter
#: takes several tokens. The limits ``FIRST_…`` apply to the first try. They are enough for all but the fastest
#: speakers: 74 clips of real speech needed at most 7 tokens a second.
TOKENS_PER_SECOND = 14
TOKENS_PER_SECOND_IN_BYTES = 32
FIRST_TOKENS_PER_SECOND = 9
FIRST_TOKENS_PER_SECOND_IN_BYTES = 21
SPARE_TOKENS = 16
FIRST_SPARE_TOKENS = 24
SLOWEST_PACE = 6.0  # letters a second; slow speech has 9, including pauses for breath
#: A unit shorter than this, including its padding, contains no word. In a test with 234 short words, each spoken alone,
#: the units were 0.53 s or longer, and all drafts were plausible.
BRIEF_S = 0.5
_WORD_TOKENS = frozenset(("ms", "en", "zh", "id", "jw", "de", "fr", "es", "it", "pt", "nl", "tl", "yue", "ja", "ko"))


def max_tokens(language: str, seconds: float, *, is_last_try: bool = True) -> int:
    """Return the maximum number of tokens that the decoder may write.

    In the last try, the limit is higher than the fastest speech needs. In an earlier try, it is lower, because a unit
    in an endless repetition delays the other units of its batch. If the text reaches the lower limit, the unit is
    decoded again.

    ``language``: code of the language in which the unit is decoded.
    ``seconds``: length of the unit.
    """
    in_bytes = language not in _WORD_TOKENS
    most = SPARE_TOKENS + round((TOKENS_PER_SECOND_IN_BYTES if in_bytes else TOKENS_PER_SECOND) * seconds)
    if is_last_try:
        return most
    rate = FIRST_TOKENS_PER_SECOND_IN_BYTES if in_bytes else FIRST_TOKENS_PER_SECOND
    return min(most, FIRST_SPARE_TOKENS + round(rate * seconds))


def decoded(tokenizer: Tokenizer, tokens: list[int]) -> str:
    """Return the text of the tokens, without timestamps and without incomplete characters."""
    return str(tokenizer.decode([token for token in tokens if token < tokenizer.eot])).replace(REPLACEMENT, "").strip()


@dataclass(frozen=True)
class Draft:
    """The result of one attempt to decode a unit.

    ``tokens``: token ids, including timestamps.
    ``avg_logprob``: mean log probability of the tokens.
    ``compression_ratio``: size of the text in UTF-8 divided by its compressed size; high if the text repeats itself.
    ``no_speech_prob``: the model's own probability that the unit has no speech.
    ``seconds``: length of the unit in seconds.
    ``is_cut_off``: whether the decoder was stopped at the token limit.
    ``is_broken_off``: whether the text begins with a timestamp but does not end with one.
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
    def of(cls, generated: Generated, tokenizer: Tokenizer, temperature: float, seconds: float, limit: int) -> Draft:
        """Create a draft from the model's answer for a unit.

        ``seconds``: length of the unit.
        ``limit``: token limit that the decoder had for this unit.
        """
        tokens = generated.tokens
        text = decoded(tokenizer, tokens)
        # The score is divided by the length without the end token; Whisper counts that token.
        logprob = generated.score * len(tokens) / (len(tokens) + 1) if tokens else LOGPROB_OF_NOTHING
        ratio = get_compression_ratio(text) if text else 0.0
        is_cut_off = len(tokens) >= limit
        timestamp_begin = tokenizer.timestamp_begin
        is_broken_off = bool(tokens) and tokens[0] >= timestamp_begin > tokens[-1]
        no_speech = generated.no_speech_prob
        return cls(tokens, text, logprob, ratio, no_speech, temperature, seconds, is_cut_off, is_broken_off)

    def text_tokens(self, eot: int) -> list[int]:
        """Return the tokens of the text, without special tokens and timestamps.

        ``eot``: id of the end-of-text token; all special tokens and timestamps have higher ids.
        """
        return [token for token in self.tokens if token < eot]

    @cached_property
    def repetition(self) -> repetition.Repetition | None:
        """The repetition that covers the most words of the text; None if no repetition is long enough to matter."""
        return repetition.repetition(self.text)

    @cached_property
    def is_implausible(self) -> bool:
        """Whether nobody can say this text in the unit's time, or the decoder was stopped at the token limit."""
        most = repetition.MAX_PACE if self.repetition is None else repetition.MAX_REPEATED_PACE
        return self.is_cut_off or repetition.pace(self.text, self.seconds) > most

    @property
    def is_invented(self) -> bool:
        """Whether the text is implausible and the unit is too short to contain a word, as with a click or a cough.

        The unit is not decoded again, because the full context takes far more work, and would find no word either.
        """
        return self.seconds < BRIEF_S and self.repetition is None and self.is_implausible

    @property
    def is_clear_loop(self) -> bool:
        """Whether the draft consists of one plausible text that is repeated implausibly often."""
        again = self.repetition
        if again is None or not self.is_implausible or not again.is_whole or again.start:
            return False
        return repetition.pace(self.text, self.seconds) / again.count <= repetition.MAX_REPEATED_PACE

    @property
    def is_doubtful(self) -> bool:
        """Whether the unit should be decoded again with a longer encoder context."""
        if self.is_clear_loop or self.is_invented:
            return False
        again = self.repetition
        if self.is_implausible or (again is not None and again.period >= repetition.LONG_REPETITION):
            return True
        if again is not None and (self.is_broken_off or (again.start and again.count >= repetition.STUCK)):
            return True
        return self.is_broken_off and repetition.pace(self.text, self.seconds) < SLOWEST_PACE

    def cleaned(self, tokenizer: Tokenizer) -> Draft:
        """Return the draft without text that nobody can have said.

        If ``is_invented`` is True, remove all of the text. If an implausible text repeats a phrase, cut the text after
        the first occurrence of the phrase.
        """
        if self.is_invented:
            return replace(self, tokens=[], text="", compression_ratio=0.0, is_cut_off=False)
        again = self.repetition
        if again is None or not self.is_implausible:
            return self
        kept = _tokens_of_words(self.tokens, again.start + again.period, tokenizer)
        text = decoded(tokenizer, kept)
        return replace(self, tokens=kept, text=text, compression_ratio=get_compression_ratio(text), is_cut_off=False)


def best_draft(drafts: list[Draft]) -> Draft:
    """Return the first draft that has text and is not doubtful.

    If there is none, prefer drafts with text to empty drafts, then plausible drafts to implausible ones, and return the
    likeliest of the preferred drafts.
    """
    for draft in drafts:
        if draft.text and not draft.is_doubtful:
            return draft
    return min(drafts, key=lambda draft: (not draft.text, draft.is_implausible, -draft.avg_logprob))


def _tokens_of_words(tokens: list[int], count: int, tokenizer: Tokenizer) -> list[int]:
    """Return the leading tokens that make up the first ``count`` words."""
    for end in range(1, len(tokens) + 1):
        if len(repetition.words_of(decoded(tokenizer, tokens[:end]))) > count:
            return tokens[: end - 1]
    return tokens


def phrases(tokens: list[int], tokenizer: Tokenizer, duration_s: float) -> list[Phrase]:
    """Split the tokens into phrases at the timestamps.

    Without timestamps, the whole unit is one phrase. If a timestamp splits a character's bytes, the character belongs
    to the later phrase.

    ``duration_s``: length of the unit in seconds; no phrase ends later.
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
    """Split the tokens into those of complete characters and those of an incomplete last character.

    The second list has at most three tokens. It is empty if the last character is complete.
    """
    for kept in range(len(tokens), max(-1, len(tokens) - 4), -1):
        if not str(tokenizer.decode(tokens[:kept])).endswith(REPLACEMENT):
            return tokens[:kept], tokens[kept:]
    return tokens, []
