"""Find the likeliest text of a unit (speech segment) by beam search, under Whisper's rules.

The rules for timestamps are those of OpenAI's ``ApplyTimestampRules``: they come in pairs, except before the end of the
text; they never decrease; and if all timestamps together are likelier than every text token, the next token is a
timestamp.

A search is a generator. It yields the tokens that it wants decoded, and gets their best continuations. So the searches
of many units can share each step of the decoder (``asr.native.session``).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from asr.native.text_decoder import Allowed, Candidates, DecoderState, Floats, Ints, Row
from asr.requests import Generated

R = TypeVar("R")

SUPPRESSED = -1e9  # what to add to the logit of a token that the text must not contain
SPARE_TOKENS = 64  # tokens of each hypothesis for which there is room at first
SAMPLED_FROM = 48  # at a temperature above 0, each token is drawn from this many candidates


class Query(NamedTuple):
    """Tokens of one unit to decode, and how many continuations to find for each row with ``allowed``."""

    rows: list[Row]
    k: int


Steps = Generator[Query, list[Candidates], R]


class Rules:
    """The rules for the tokens of a text.

    ``end``: id of the end-of-text token. All text tokens have lower ids.
    ``start``: id of the start-of-transcript token.
    ``no_speech``: id of the token whose probability after ``start`` says how likely there is no speech.
    ``timestamp_begin``: id of the timestamp 0. ``timestamp_count``: number of timestamps.
    ``max_initial_timestamp``: a text begins at most this many steps of 20 ms after 0.
    ``suppressed``: ids that a text must not contain.
    ``suppressed_first``: ids with which it must not begin.
    """

    def __init__(
        self,
        *,
        end: int,
        start: int,
        no_speech: int,
        timestamp_begin: int,
        timestamp_count: int,
        max_initial_timestamp: int,
        suppressed: Sequence[int],
        suppressed_first: Sequence[int],
    ) -> None:
        self.end = end
        self.start = start
        self.no_speech = no_speech
        self.timestamp_begin = timestamp_begin
        self.timestamp_count = timestamp_count
        self._max_initial_timestamp = min(max_initial_timestamp, timestamp_count - 1)
        self._biases = np.zeros((2, end), np.float32)
        self._biases[:, [token for token in suppressed if token < end]] = SUPPRESSED
        self._biases[1, [token for token in suppressed_first if 0 <= token < end]] = SUPPRESSED
        self._later, self._first = (row.ctypes.data for row in self._biases)

    def allowed(self, text: list[int], last_timestamp: int, *, timestamps: bool) -> Allowed:
        """Return which tokens may follow a text. ``last_timestamp``: id of its last timestamp; 0 if it has none."""
        if not timestamps:
            return Allowed(self._later) if text else Allowed(self._first, end=False)
        if not text:
            return Allowed(self._first, text_tokens=False, end=False, end_timestamp=self._max_initial_timestamp + 1)
        last = last_timestamp - self.timestamp_begin
        if text[-1] < self.timestamp_begin:  # the text between two timestamps takes time
            return Allowed(self._later, first_timestamp=last + 1, end_timestamp=self.timestamp_count)
        if len(text) == 1 or text[-2] >= self.timestamp_begin:
            return Allowed(self._later)
        return Allowed(self._later, text_tokens=False, first_timestamp=last, end_timestamp=self.timestamp_count)


@dataclass(slots=True)
class _Hypothesis:
    """``total``: sum of the log probabilities of its tokens."""

    tokens: list[int]
    total: float
    last_timestamp: int = 0

    def followed_by(self, token: int, total: float, timestamp_begin: int) -> _Hypothesis:
        return _Hypothesis([*self.tokens, token], total, token if token >= timestamp_begin else self.last_timestamp)

    @property
    def score(self) -> float:
        """The total divided by the number of tokens, not counting the end-of-text token."""
        return self.total / max(1, len(self.tokens))


class Search:
    """The search for the text of one unit.

    ``limit``: maximum number of tokens.
    ``timestamps``: whether the text has timestamps.
    ``width``: number of hypotheses to follow. The search ends as soon as this many have ended.
    ``temperature``: if it is above 0, ``width`` texts are sampled, each token among the candidates that the search
    gets.
    """

    def __init__(
        self, state: DecoderState, rules: Rules, *, limit: int, timestamps: bool, width: int, temperature: float = 0.0
    ) -> None:
        self._state = state
        self._rules = rules
        self._limit = limit
        self._timestamps = timestamps
        self._width = width
        self._temperature = temperature
        self._rng = np.random.default_rng(0)
        self._k = SAMPLED_FROM if temperature > 0 else 2 * width
        self._active = [_Hypothesis([], 0.0)]
        self._finished: list[_Hypothesis] = []

    def run(self, prompt: Sequence[int]) -> Steps[Generated]:
        """Yield the tokens to decode, get their best continuations, and return the likeliest text.

        ``prompt``: the token ids before the text, with the start-of-transcript token among them.
        """
        max_length = len(prompt) + self._limit + 1
        histories = np.zeros((self._width, max_length), np.int32)
        histories[:, : len(prompt)] = np.arange(len(prompt))
        self._state.make_room(len(prompt) + self._width * min(self._limit, SPARE_TOKENS))
        rows, special = self._prompt_rows(prompt, histories)
        candidates = (yield Query(rows, self._k))[-1:]
        used = length = len(prompt)
        while (parents := self._extend(candidates)) is not None:
            histories[: len(parents), :length] = histories[parents, :length]
            histories[: len(parents), length] = range(used, used + len(parents))
            used += len(parents)
            length += 1
            self._state.make_room(used)
            candidates = yield Query(self._rows(histories, length), self._k)
        best = max(self._finished, key=lambda hypothesis: hypothesis.score)
        no_speech = float(np.exp(special[self._rules.no_speech - self._rules.end]))
        return Generated(best.tokens, best.score, no_speech)

    def _prompt_rows(self, prompt: Sequence[int], histories: Ints) -> tuple[list[Row], Floats]:
        """Return the rows of the prompt, and where the log probabilities after the start token will be."""
        special = np.empty(self._rules.timestamp_begin + self._rules.timestamp_count - self._rules.end, np.float32)
        first = self._rules.allowed([], 0, timestamps=self._timestamps)
        start = list(prompt).index(self._rules.start)
        last = len(prompt) - 1
        rows = [
            Row(
                self._state,
                histories.ctypes.data,
                place + 1,
                token,
                place,
                first if place in (start, last) else None,
                special if place == start else None,
            )
            for place, token in enumerate(prompt)
        ]
        return rows, special

    def _rows(self, histories: Ints, length: int) -> list[Row]:
        address, stride = histories.ctypes.data, histories.strides[0]
        return [
            Row(
                self._state,
                address + number * stride,
                length,
                hypothesis.tokens[-1],
                length - 1,
                self._rules.allowed(hypothesis.tokens, hypothesis.last_timestamp, timestamps=self._timestamps),
            )
            for number, hypothesis in enumerate(self._active)
        ]

    def _extend(self, candidates: list[Candidates]) -> list[int] | None:
        """Replace the hypotheses by their best continuations.

        Return the numbers of the hypotheses that they continue, or None if the search has ended.
        """
        chosen = self._sampled(candidates) if self._temperature > 0 else self._best(candidates)
        active: list[_Hypothesis] = []
        parents: list[int] = []
        for place, (total, number, token) in enumerate(chosen):
            if token == self._rules.end:
                if place >= self._width:  # likelier continuations fill the beam, as in CTranslate2
                    continue
                self._finished.append(_Hypothesis(self._active[number].tokens, total))
            elif len(active) < self._width:
                active.append(self._active[number].followed_by(token, total, self._rules.timestamp_begin))
                parents.append(number)
        is_done = not active or (self._temperature == 0 and len(self._finished) >= self._width)
        if not is_done and len(active[0].tokens) >= self._limit:
            self._finished += active
            is_done = True
        self._active = active
        if is_done and not self._finished:  # no token was allowed
            self._finished = [_Hypothesis([], 0.0)]
        return None if is_done else parents

    def _best(self, candidates: list[Candidates]) -> list[tuple[float, int, int]]:
        """Return the best continuations: total, number of the hypothesis, and token.

        Each hypothesis can end once, so among 2 * width continuations at least width go on.
        """
        continued = [
            (hypothesis.total + score, number, token)
            for number, (hypothesis, found) in enumerate(zip(self._active, candidates, strict=True))
            for token, score in zip(found.ids, found.scores, strict=True)
            if score > SUPPRESSED / 2
        ]
        continued.sort(key=lambda continuation: -continuation[0])
        return continued[: 2 * self._width]

    def _sampled(self, candidates: list[Candidates]) -> list[tuple[float, int, int]]:
        """Return one continuation of each hypothesis, drawn by the candidates' probabilities at the temperature."""
        numbers = range(len(self._active)) if self._active[0].tokens else [0] * self._width
        drawn = []
        for number in numbers:
            found = candidates[number]
            noise = self._rng.gumbel(size=len(found.scores))
            place = int(np.argmax(np.array(found.scores) / self._temperature + noise))
            if found.ids[place] >= 0:
                drawn.append((self._active[number].total + found.scores[place], number, found.ids[place]))
        return drawn
