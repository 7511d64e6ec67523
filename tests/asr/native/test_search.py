"""The search keeps Whisper's rules, finds the likeliest text, and gives each unit of a session its own text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from asr.native.search import SPARE_TOKENS, Rules, Search, Steps
from asr.native.session import DecodingSession, run_together
from asr.native.text_decoder import Allowed, Floats, Row, TextDecoder
from asr.requests import Generated
from tests.asr.native.reference import Reference, log_softmax
from tests.asr.native.test_text_decoder import ROUNDING, TIMESTAMPS, encoded
from tests.asr.smallwhisper import END, NO_SPEECH, START, TIMESTAMP_BEGIN

PROMPT = [START, 262, 268]
MAX_INITIAL = 50


def rules(words: Sequence[int] = range(END), not_first: Sequence[int] = (END,)) -> Rules:
    """Return the rules for texts of these words only."""
    return Rules(
        end=END,
        start=START,
        no_speech=NO_SPEECH,
        timestamp_begin=TIMESTAMP_BEGIN,
        timestamp_count=TIMESTAMPS,
        max_initial_timestamp=MAX_INITIAL,
        suppressed=[token for token in range(END) if token not in set(words)],
        suppressed_first=not_first,
    )


def search(
    decoder: TextDecoder, audio: Floats, of: Rules, *, prompt: Sequence[int] = PROMPT, room: int = 0, **how: Any
) -> Steps[Generated]:
    state = decoder.start(audio)
    state.make_room(room)
    return Search(state, of, **{"limit": 30, "timestamps": False, "width": 5} | how).run(prompt)


def texts(decoder: TextDecoder, searches: Sequence[Steps[Generated]]) -> list[Generated]:
    return run_together(DecodingSession(lambda: decoder, lambda steps: steps), searches)


def audios(count: int = 8) -> Iterator[Floats]:
    for seed in range(count):
        yield encoded(40 + 20 * seed, seed)


def kinds(tokens: Sequence[int]) -> str:
    """Return one letter for each token: w for a word, s for a timestamp."""
    return "".join("s" if token >= TIMESTAMP_BEGIN else "w" for token in tokens)


@pytest.mark.parametrize("how", [{"width": 1}, {"width": 5}, {"width": 2, "temperature": 1.0}], ids=str)
@pytest.mark.parametrize("words", [range(END), range(3)], ids=["many words", "few words"])
def test_timestamps_follow_the_rules(decoder: TextDecoder, how: dict[str, Any], words: range) -> None:
    found = texts(
        decoder, [search(decoder, audio, rules(words), timestamps=True, limit=40, **how) for audio in audios()]
    )
    for text in found:
        timestamps = [token for token in text.tokens if token >= TIMESTAMP_BEGIN]
        assert TIMESTAMP_BEGIN <= timestamps[0] <= TIMESTAMP_BEGIN + MAX_INITIAL
        assert timestamps == sorted(timestamps)
        pattern = "s(w+ss)*(w+s?s?)?"  # a text that reaches the limit ends anywhere
        assert re.fullmatch(pattern, kinds(text.tokens)), kinds(text.tokens)
        spoken = re.split("ss|^s|s$", kinds(text.tokens))
        assert len(text.tokens) == 40 or (len(text.tokens) < 40 and text.tokens[-1] != END)
        for before, after in itertools.pairwise(timestamps[1::2] if len(spoken) > 2 else []):
            assert after > before  # the words between two timestamps take time
        assert {token for token in text.tokens if token < TIMESTAMP_BEGIN} <= set(words)
        assert len(text.tokens) <= 40


@pytest.mark.parametrize("timestamps", [True, False])
def test_a_text_may_end_before_the_limit(decoder: TextDecoder, timestamps: bool) -> None:
    how = {"limit": 200, "timestamps": timestamps}
    found = texts(decoder, [search(decoder, audio, rules(range(3)), **how) for audio in audios()])
    assert min(len(text.tokens) for text in found) < 200
    assert END not in {token for text in found for token in text.tokens}


@pytest.mark.parametrize("timestamps", [True, False])
@pytest.mark.parametrize("width", [1, 5])
def test_the_limit_is_the_largest_number_of_tokens(decoder: TextDecoder, width: int, timestamps: bool) -> None:
    how = {"width": width, "timestamps": timestamps}
    for limit in (1, 2, 7):
        found = texts(decoder, [search(decoder, audio, rules(), limit=limit, **how) for audio in audios(3)])
        assert [len(text.tokens) for text in found] == [limit] * 3  # with many words, none of them ends by itself


def test_suppressed_tokens_do_not_appear_and_some_others_not_at_first(decoder: TextDecoder) -> None:
    for audio in audios(4):
        (usual,) = texts(decoder, [search(decoder, audio, rules())])
        (without,) = texts(decoder, [search(decoder, audio, rules(set(range(END)) - set(usual.tokens)))])
        assert without.tokens and not set(without.tokens) & set(usual.tokens)
        first = usual.tokens[0]
        (later,) = texts(decoder, [search(decoder, audio, rules(not_first=[END, first]))])
        assert later.tokens[0] != first


def greedy(decoder: TextDecoder, audio: Floats, words: Sequence[int], limit: int) -> list[int]:
    """Take the likeliest token again and again."""
    bias = np.full(END, -1e9, np.float32)
    bias[list(words)] = 0
    tokens: list[int] = []
    while len(tokens) < limit:
        state = decoder.start(audio)
        state.make_room(100)
        every = [*PROMPT, *tokens]
        slots = np.arange(len(every), dtype=np.int32)
        allowed = Allowed(bias.ctypes.data, end=bool(tokens))
        rows = [
            Row(state, slots.ctypes.data, place + 1, token, place, allowed if place + 1 == len(every) else None)
            for place, token in enumerate(every)
        ]
        (found,) = decoder.next(rows, 1)
        if found.ids[0] == END:
            break
        tokens.append(found.ids[0])
    return tokens


@pytest.mark.parametrize("words", [range(2), range(40, 44), range(END)], ids=["two words", "four words", "all words"])
def test_a_search_of_width_1_takes_the_likeliest_token_each_time(decoder: TextDecoder, words: range) -> None:
    for audio in audios(6):
        (text,) = texts(decoder, [search(decoder, audio, rules(words), width=1, limit=12)])
        assert text.tokens == greedy(decoder, audio, words, 12)


def test_a_wide_search_finds_the_likeliest_of_all_texts(decoder: TextDecoder, reference: Reference) -> None:
    """With two words, there are only fourteen texts of up to three words."""
    words = [7, 99]
    for audio in audios(6):
        (found,) = texts(decoder, [search(decoder, audio, rules(words), width=14, limit=3)])
        scores: dict[tuple[int, ...], float] = {}
        for length in (1, 2, 3):
            for text in itertools.product(words, repeat=length):
                logits, _ = reference.decode(audio, [*PROMPT, *text])
                of_next = logits[len(PROMPT) - 1 :, [*words, END]]
                total = float(log_softmax(of_next[0, :2])[words.index(text[0])])  # a text is not empty
                total += sum(float(log_softmax(of_next[at])[words.index(text[at])]) for at in range(1, length))
                total += float(log_softmax(of_next[length])[2]) if length < 3 else 0.0
                scores[text] = total / length
        best = max(scores.values())
        assert found.score == pytest.approx(best, abs=ROUNDING)
        assert scores[tuple(found.tokens)] == pytest.approx(best, abs=2 * ROUNDING)
        logits, _ = reference.decode(audio, [START])
        assert found.no_speech_prob == pytest.approx(np.exp(log_softmax(logits[0])[NO_SPEECH]), rel=0.1)


def test_at_a_temperature_tokens_are_drawn_by_chance(decoder: TextDecoder) -> None:
    likeliest = texts(decoder, [search(decoder, audio, rules(), width=1) for audio in audios()])
    cold = texts(decoder, [search(decoder, audio, rules(), width=2, temperature=1e-4) for audio in audios()])
    warm = texts(decoder, [search(decoder, audio, rules(), width=2, temperature=1.0) for audio in audios()])
    assert [text.tokens for text in cold] == [text.tokens for text in likeliest]
    assert [text.score for text in cold] == pytest.approx([text.score for text in likeliest])
    assert all(one.tokens != other.tokens for one, other in zip(warm, likeliest, strict=True))
    assert np.mean([text.score for text in warm]) < np.mean([text.score for text in likeliest])
    again = texts(decoder, [search(decoder, audio, rules(), width=2, temperature=1.0) for audio in audios()])
    assert again == warm


def test_units_that_join_and_end_at_different_steps_have_the_texts_of_each_alone(decoder: TextDecoder) -> None:
    kinds_of_units: list[dict[str, Any]] = [
        {"limit": 3, "width": 1},
        {"limit": 17, "timestamps": True},
        {"limit": 40, "prompt": [265, *range(30), *PROMPT]},
        {"limit": 9, "width": 2, "temperature": 0.7},
        {"limit": 25, "width": 2},
    ]

    def begun() -> list[Steps[Generated]]:
        return [search(decoder, audio, rules(), **how) for audio, how in zip(audios(5), kinds_of_units, strict=True)]

    alone = [texts(decoder, [one])[0] for one in begun()]
    session: DecodingSession[Steps[Generated], Generated] = DecodingSession(lambda: decoder, lambda steps: steps)
    found: dict[int, Generated | BaseException] = {}
    ends: list[int] = []
    for number, steps in enumerate(begun()):
        session.join(number, steps)
        for _ in range(2):
            found.update(ended := dict(session.step()))
            ends += ended
    while len(found) < len(kinds_of_units):
        found.update(ended := dict(session.step()))
        ends += ended
    assert [found[number] for number in range(5)] == alone
    assert ends == [0, 3, 1, 4, 2]
    assert session.step() == []


def test_a_unit_that_fails_leaves_the_others_alone(decoder: TextDecoder) -> None:
    def failing(after: int) -> Steps[Generated]:
        steps = search(decoder, encoded(30), rules())
        query = next(steps)
        for _ in range(after):
            query = steps.send((yield query))
        raise ValueError("unlucky")

    def begin(number: int) -> Steps[Generated]:
        if number == 0:
            raise LookupError("no such unit")
        return search(decoder, encoded(40), rules()) if number > 2 else failing(number - 1)

    session: DecodingSession[int, Generated] = DecodingSession(lambda: decoder, begin)
    for number in range(4):
        session.join(number, number)
    found: dict[int, Generated | BaseException] = {}
    while len(found) < 4:
        found.update(session.step())
    assert [type(found[number]) for number in range(4)] == [LookupError, ValueError, ValueError, Generated]
    assert found[3] == texts(decoder, [search(decoder, encoded(40), rules())])[0]


def test_an_error_of_the_decoder_fails_its_step_and_the_session_goes_on(decoder: TextDecoder) -> None:
    is_full = True

    def decoder_here() -> TextDecoder:
        if is_full:
            raise MemoryError
        return decoder

    session: DecodingSession[Steps[Generated], Generated] = DecodingSession(decoder_here, lambda steps: steps)
    for number in (0, 1):
        session.join(number, search(decoder, encoded(40), rules()))
    assert [(number, type(error)) for number, error in session.step()] == [(0, MemoryError), (1, MemoryError)]
    is_full = False
    assert run_together(session, [search(decoder, encoded(40), rules(), limit=4)])[0].tokens


def test_a_text_that_outgrows_its_first_room_is_the_same(decoder: TextDecoder) -> None:
    limit = 3 * SPARE_TOKENS
    for width in (1, 5):
        how: dict[str, Any] = {"limit": limit, "width": width}
        usual = search(decoder, encoded(60), rules(), **how)
        roomy = search(decoder, encoded(60), rules(), room=len(PROMPT) + width * limit + 1, **how)
        one, other = texts(decoder, [usual, roomy])
        assert one == other
        assert len(one.tokens) == limit
