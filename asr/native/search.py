"""Find the likeliest text of a unit (speech segment) by beam search, under Whisper's rules.

The rules for timestamps are those of OpenAI's ``ApplyTimestampRules``: they come in pairs, except before the end of the
text; they never decrease; and if all timestamps together are likelier than every word, the next token is a timestamp.

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

NEVER = -1e9  # what to add to the logit of a word that the text must not contain
SPARE_TOKENS = 64  # tokens of each hypothesis for which there is room at first
SAMPLED_FROM = 48  # at a temperature above 0, each token is drawn from this many candidates


class Query(NamedTuple):
    """Tokens of one unit to decode, and how many continuations to find for each row with ``allowed``."""

    rows: list[Row]
    k: int


Steps = Generator[Query, list[Candidates], R]


class Rules:
    """The rules for the tokens of a text.

    ``end``: id of the end-of-text token. All words have lower ids.
    ``start``: id of the start-of-transcript token.
    ``no_speech``: id of the token whose probability after ``start`` says how likely there is no speech.
    ``first_stamp``: id of the timestamp 0. ``stamps``: number of timestamps.
    ``latest_first_stamp``: a text begins at most this many steps of 20 ms after 0.
    ``suppressed``: ids that a text must not contain.
    ``suppressed_first``: ids with which it must not begin.
    """

    def __init__(
        self,
        *,
        end: int,
        start: int,
        no_speech: int,
        first_stamp: int,
        stamps: int,
        latest_first_stamp: int,
        suppressed: Sequence[int],
        suppressed_first: Sequence[int],
    ) -> None:
        self.end = end
        self.start = start
        self.no_speech = no_speech
        self.first_stamp = first_stamp
        self.stamps = stamps
        self._latest_first_stamp = min(latest_first_stamp, stamps - 1)
        self._biases = np.zeros((2, end), np.float32)
        self._biases[:, [token for token in suppressed if token < end]] = NEVER
        self._biases[1, [token for token in suppressed_first if 0 <= token < end]] = NEVER
        self._later, self._first = (row.ctypes.data for row in self._biases)

    def allowed(self, text: list[int], last_stamp: int, *, timestamps: bool) -> Allowed:
        """Return which tokens may follow a text. ``last_stamp``: id of its last timestamp; 0 if it has none."""
        if not timestamps:
            return Allowed(self._later) if text else Allowed(self._first, end=False)
        if not text:
            return Allowed(self._first, words=False, end=False, end_stamp=self._latest_first_stamp + 1)
        if text[-1] < self.first_stamp:  # the text between two timestamps takes time
            return Allowed(self._later, first_stamp=last_stamp - self.first_stamp + 1, end_stamp=self.stamps)
        if len(text) == 1 or text[-2] >= self.first_stamp:
            return Allowed(self._later)
        return Allowed(self._later, words=False, first_stamp=last_stamp - self.first_stamp, end_stamp=self.stamps)


@dataclass(slots=True)
class _Hypothesis:
    """``total``: sum of the log probabilities of its tokens."""

    tokens: list[int]
    total: float
    last_stamp: int = 0

    def followed_by(self, token: int, total: float, first_stamp: int) -> _Hypothesis:
        return _Hypothesis([*self.tokens, token], total, token if token >= first_stamp else self.last_stamp)

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
        self._chance = np.random.default_rng(0)
        self._k = SAMPLED_FROM if temperature > 0 else 2 * width
        self._going = [_Hypothesis([], 0.0)]
        self._ended: list[_Hypothesis] = []

    def run(self, prompt: Sequence[int]) -> Steps[Generated]:
        """Yield the tokens to decode, get their best continuations, and return the likeliest text.

        ``prompt``: the token ids before the text, with the start-of-transcript token among them.
        """
        most = len(prompt) + self._limit + 1
        histories = np.zeros((self._width, most), np.int32)
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
        best = max(self._ended, key=lambda hypothesis: hypothesis.score)
        no_speech = float(np.exp(special[self._rules.no_speech - self._rules.end]))
        return Generated(best.tokens, best.score, no_speech)

    def _prompt_rows(self, prompt: Sequence[int], histories: Ints) -> tuple[list[Row], Floats]:
        """Return the rows of the prompt, and where the log probabilities after the start token will be."""
        special = np.empty(self._rules.first_stamp + self._rules.stamps - self._rules.end, np.float32)
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
                self._rules.allowed(hypothesis.tokens, hypothesis.last_stamp, timestamps=self._timestamps),
            )
            for number, hypothesis in enumerate(self._going)
        ]

    def _extend(self, candidates: list[Candidates]) -> list[int] | None:
        """Replace the hypotheses by their best continuations.

        Return the numbers of the hypotheses that they continue, or None if the search has ended.
        """
        chosen = self._sampled(candidates) if self._temperature > 0 else self._best(candidates)
        going: list[_Hypothesis] = []
        parents: list[int] = []
        for place, (total, number, token) in enumerate(chosen):
            if token == self._rules.end:
                if place >= self._width:  # likelier continuations fill the beam, as in CTranslate2
                    continue
                self._ended.append(_Hypothesis(self._going[number].tokens, total))
            elif len(going) < self._width:
                going.append(self._going[number].followed_by(token, total, self._rules.first_stamp))
                parents.append(number)
        is_done = not going or (self._temperature == 0 and len(self._ended) >= self._width)
        if not is_done and len(going[0].tokens) >= self._limit:
            self._ended += going
            is_done = True
        self._going = going
        if is_done and not self._ended:  # no token was allowed
            self._ended = [_Hypothesis([], 0.0)]
        return None if is_done else parents

    def _best(self, candidates: list[Candidates]) -> list[tuple[float, int, int]]:
        """Return the best continuations: total, number of the hypothesis, and token. At most half of them are ends."""
        continued = [
            (hypothesis.total + score, number, token)
            for number, (hypothesis, found) in enumerate(zip(self._going, candidates, strict=True))
            for token, score in zip(found.ids, found.scores, strict=True)
            if score > NEVER / 2
        ]
        continued.sort(key=lambda continuation: -continuation[0])
        return continued[: 2 * self._width]

    def _sampled(self, candidates: list[Candidates]) -> list[tuple[float, int, int]]:
        """Return one continuation of each hypothesis, drawn by the candidates' probabilities at the temperature."""
        numbers = range(len(self._going)) if self._going[0].tokens else [0] * self._width
        drawn = []
        for number in numbers:
            found = candidates[number]
            noise = self._chance.gumbel(size=len(found.scores))
            place = int(np.argmax(np.array(found.scores) / self._temperature + noise))
            if found.ids[place] >= 0:
                drawn.append((self._going[number].total + found.scores[place], number, found.ids[place]))
        return drawn
