"""The native text decoder against numpy, with hypotheses of several units in each call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from asr.native.text_decoder import Allowed, Candidates, DecoderState, Floats, Ints, Row, TextDecoder
from tests.asr.native.conftest import ALIGNMENT_HEADS
from tests.asr.native.reference import Reference, log_softmax
from tests.asr.smallwhisper import END, NO_SPEECH, START, TIMESTAMP_BEGIN, VOCABULARY

#: The inputs of linear layers are rounded to int8, which changes log probabilities by 0.02 on average. The logits have
#: a standard deviation of 1.1, so a mistake changes them much more.
ROUNDING = 0.15
TIMESTAMPS = len(VOCABULARY) - TIMESTAMP_BEGIN
K = 5


def encoded(frames: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(size=(frames, 128)).astype(np.float32)


@dataclass
class Hypothesis:
    """A text, and the slots of the state's cache for its tokens."""

    state: DecoderState
    tokens: list[int]
    slots: Ints

    def row(self, place: int, allowed: Allowed | None = None, special: Floats | None = None) -> Row:
        history = self.slots.ctypes.data
        return Row(self.state, history, place + 1, self.tokens[place], place, allowed, special)


def hypothesis(state: DecoderState, tokens: Sequence[int], slots: Sequence[int] | None = None) -> Hypothesis:
    slots = range(len(tokens)) if slots is None else slots
    state.make_room(max(slots) + 1)
    return Hypothesis(state, list(tokens), np.array(slots, np.int32))


@pytest.fixture
def no_bias() -> Floats:
    return np.zeros(END, np.float32)


def assert_alike(found: Candidates, expected: Floats, ids: Sequence[int]) -> None:
    """Compare candidates with the reference's log probabilities of the tokens ``ids``, in the same order."""
    of_id = dict(zip(ids, expected.tolist(), strict=True))
    assert found.scores == sorted(found.scores, reverse=True)
    assert found.scores == pytest.approx([of_id[token] for token in found.ids], abs=ROUNDING)
    assert found.scores == pytest.approx(np.sort(expected)[::-1][: len(found.ids)].tolist(), abs=ROUNDING)


@pytest.mark.parametrize("frames", [1, 16, 63, 64, 65, 150])
def test_the_next_words_are_those_of_numpy(
    decoder: TextDecoder, reference: Reference, no_bias: Floats, frames: int
) -> None:
    audio = encoded(frames)
    tokens = [START, 262, 267, 40, 3, 77, 77, 120, 9, 200, 5]  # more rows than one multiplication takes
    text = hypothesis(decoder.start(audio), tokens)
    special = np.empty(len(VOCABULARY) - END, np.float32)
    allowed = Allowed(no_bias.ctypes.data)
    rows = [text.row(place, allowed, special if place == 0 else None) for place in range(len(tokens))]
    found = decoder.next(rows, K)
    logits, _ = reference.decode(audio, tokens)
    for candidates, of_row in zip(found, logits, strict=True):
        assert_alike(candidates, log_softmax(of_row[: END + 1]), range(END + 1))
    assert special == pytest.approx(log_softmax(logits[0])[END:], abs=ROUNDING)
    assert NO_SPEECH > END


def test_branches_of_several_units_in_one_call_are_those_of_each_alone(
    decoder: TextDecoder, reference: Reference, no_bias: Floats
) -> None:
    """Three units of different lengths: one has six hypotheses, one a prompt, one a single token."""
    audios = [encoded(97, 1), encoded(20, 2), encoded(150, 3)]
    allowed = Allowed(no_bias.ctypes.data)

    def queries(states: Sequence[DecoderState]) -> tuple[list[Row], list[Row], list[list[int]], list[Hypothesis]]:
        before = hypothesis(states[0], [START, 260])
        branches = [
            hypothesis(states[0], [START, 260, 10 + branch, 20 + branch], [0, 1, 2 + branch, 20 - branch])
            for branch in range(6)
        ]
        prompt = hypothesis(states[1], [START, 261, 33])
        single = hypothesis(states[2], [START])
        first = [before.row(0), before.row(1), *(branch.row(2) for branch in branches)]
        second = [branch.row(3, allowed) for branch in branches]
        second += [*(prompt.row(place) for place in range(2)), prompt.row(2, allowed), single.row(0, allowed)]
        texts = [each.tokens for each in (*branches, prompt, single)]
        return first, second, texts, [before, *branches, prompt, single]

    first, second, texts, kept = queries([decoder.start(audio) for audio in audios])
    assert decoder.next(first, K) == []
    together = decoder.next(second, K)
    first, second, _, kept_too = queries([decoder.start(audio) for audio in audios])
    decoder.next(first, K)
    alone = [each for part in (second[:6], second[6:9], second[9:]) for each in decoder.next(part, K)]
    assert together == alone
    assert len(kept) == len(kept_too) == 9
    for candidates, text, audio in zip(together, texts, [audios[0]] * 6 + audios[1:], strict=True):
        logits, _ = reference.decode(audio, text)
        assert_alike(candidates, log_softmax(logits[-1, : END + 1]), range(END + 1))


def test_only_allowed_tokens_come_next(decoder: TextDecoder, reference: Reference) -> None:
    audio = encoded(50)
    tokens = [START, 262, 40]
    bias = np.zeros(END, np.float32)
    bias[50:] = -1e9
    logits, _ = reference.decode(audio, tokens)
    last = logits[-1]
    timestamps = range(TIMESTAMP_BEGIN + 7, TIMESTAMP_BEGIN + 10)

    def after(allowed: Allowed, k: int = K) -> Candidates:
        text = hypothesis(decoder.start(audio), tokens)
        return decoder.next([text.row(0), text.row(1), text.row(2, allowed)], k)[0]

    some = after(Allowed(bias.ctypes.data, end=False), 60)
    words = [token for token, score in zip(some.ids, some.scores, strict=True) if score > -1e8]
    assert sorted(words) == list(range(50))
    assert_alike(Candidates(some.ids[:50], some.scores[:50]), log_softmax(last[:50]), range(50))
    found = after(Allowed(bias.ctypes.data, text_tokens=False, end=False, first_timestamp=7, end_timestamp=10))
    expected = log_softmax(last[timestamps.start : timestamps.stop])
    assert_alike(Candidates(found.ids[:3], found.scores[:3]), expected, timestamps)
    assert (found.ids[3:], found.scores[3:]) == ([-1, -1], [-np.inf, -np.inf])
    nothing = after(Allowed(bias.ctypes.data, text_tokens=False, end=False))
    assert nothing.ids == [-1] * K


def test_a_timestamp_comes_next_if_all_of_them_together_are_likelier_than_every_word(
    decoder: TextDecoder, reference: Reference, no_bias: Floats
) -> None:
    audio = encoded(50)
    logits, _ = reference.decode(audio, [START])
    timestamps = logits[0, TIMESTAMP_BEGIN:]
    likeliest_word = logits[0, : END + 1].max()
    needed = next(n for n in range(1, TIMESTAMPS) if np.logaddexp.reduce(timestamps[:n]) > likeliest_word + 1)
    few = next(n for n in range(needed, 0, -1) if np.logaddexp.reduce(timestamps[:n]) < likeliest_word - 0.5)
    for count in (needed, few):
        text = hypothesis(decoder.start(audio), [START])
        allowed = Allowed(no_bias.ctypes.data, end_timestamp=count)
        (found,) = decoder.next([text.row(0, allowed)], K)
        if count == needed:
            ids = range(TIMESTAMP_BEGIN, TIMESTAMP_BEGIN + count)
            assert_alike(Candidates(found.ids[:count], found.scores[:count]), log_softmax(timestamps[:count]), ids)
        else:
            allowed_ids = [*range(END + 1), *range(TIMESTAMP_BEGIN, TIMESTAMP_BEGIN + count)]
            assert_alike(found, log_softmax(logits[0, allowed_ids]), allowed_ids)


@pytest.mark.parametrize("frames", [33, 150])
def test_a_known_text_has_the_attention_and_probabilities_of_numpy(
    decoder: TextDecoder, reference: Reference, frames: int
) -> None:
    audio = encoded(frames)
    start, text = [START, 262, 268, 269], list(range(10, 50))
    state = decoder.start(audio)
    attention, scores = decoder.score_text(state, start, text)
    logits, expected = reference.decode(audio, [*start, *text])
    for found, (layer, head) in zip(attention, ALIGNMENT_HEADS, strict=True):
        assert found == pytest.approx(expected[layer, head], abs=0.03)
        assert found.sum(1) == pytest.approx(1, abs=1e-3)
    words = log_softmax(logits[len(start) - 1 : -1, :END])
    assert scores == pytest.approx(words[range(len(text)), text], abs=ROUNDING)


def test_keys_and_values_that_are_too_large_for_float16_give_numbers(decoder: TextDecoder, no_bias: Floats) -> None:
    text = hypothesis(decoder.start(encoded(30) * 1e6), [START])
    (found,) = decoder.next([text.row(0, Allowed(no_bias.ctypes.data))], K)
    assert np.isfinite(found.scores).all()
    assert min(found.ids) >= 0


def test_more_room_for_tokens_keeps_those_before(decoder: TextDecoder, no_bias: Floats) -> None:
    tokens = [START, *range(80)]
    results = []
    for is_roomy in (True, False):
        state = decoder.start(encoded(40))
        state.make_room(1000 if is_roomy else 1)
        for place in range(len(tokens)):
            text = hypothesis(state, tokens[: place + 1])
            found = decoder.next([text.row(place, Allowed(no_bias.ctypes.data))], K)
        assert (state.slots == 1000) is is_roomy
        results.append(found)
    assert results[0] == results[1]


def dtw(costs: Floats) -> list[int]:
    """Return the first frame of each token on the cheapest way, step by step in Python."""
    tokens, frames = costs.shape
    total = np.full((tokens + 1, frames + 1), np.inf)
    total[0, 0] = 0
    for token in range(tokens):
        for frame in range(frames):
            before = min(total[token, frame], total[token, frame + 1], total[token + 1, frame])
            total[token + 1, frame + 1] = costs[token, frame] + before
    starts = [0] * tokens
    token, frame = tokens, frames
    while token > 0:
        starts[token - 1] = frame - 1
        ways = [(token - 1, frame - 1), (token - 1, frame), (token, frame - 1)]
        token, frame = min(ways, key=lambda way: total[way])
    return starts


@pytest.mark.parametrize(("tokens", "frames"), [(1, 1), (1, 9), (9, 1), (5, 40), (30, 100), (12, 8)])
def test_dynamic_time_warping_is_that_of_python(decoder: TextDecoder, tokens: int, frames: int) -> None:
    costs = np.random.default_rng(tokens).normal(size=(tokens, frames)).astype(np.float32)
    assert decoder.first_frames(costs) == dtw(costs)
