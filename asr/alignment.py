"""Find the time of each word and the probability of each token in a recognised text.

The model derives the times of tokens from the attention weights of its alignment heads. Tokens are grouped into words
in the same way as in faster-whisper's ``find_alignment``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import merge_punctuations
from tokenizers.pre_tokenizers import ByteLevel

from asr.encoding import OUTPUT_FRAMES_PER_SECOND
from asr.requests import Timing
from asr.units import Token, Word

MIN_PROBABILITY = 1e-10
_PREPENDED = "\"'“¿([{-"
_APPENDED = "\"'.。,，!！?？:：”)]}、"


@dataclass(frozen=True)
class Aligned:
    """The timed words of one text, and its tokens with their log probabilities."""

    words: tuple[Word, ...] = ()
    tokens: tuple[Token, ...] = ()


def aligned(timing: Timing, tokenizer: Tokenizer, text: list[int], duration_s: float) -> Aligned:
    """Return the timed words and the token log probabilities of a text.

    ``timing``: the times of the text's tokens.
    ``tokenizer``: the tokenizer for the language of the text.
    ``text``: the text token ids; not empty.
    ``duration_s``: length of the audio in seconds. No word ends later.
    """
    return Aligned(
        _words(timing, tokenizer, text, duration_s),
        tuple(
            Token(token, _piece(tokenizer, token), math.log(max(probability, MIN_PROBABILITY)))
            for token, probability in zip(text, timing.probabilities, strict=False)
        ),
    )


def _words(timing: Timing, tokenizer: Tokenizer, text: list[int], duration_s: float) -> tuple[Word, ...]:
    texts, tokens = tokenizer.split_to_word_tokens([*text, tokenizer.eot])
    borders = np.pad(np.cumsum([len(each) for each in tokens[:-1]]), (1, 0))
    if len(borders) < 2:
        return ()
    text_steps, time_steps = (np.array(steps) for steps in zip(*timing.alignments, strict=True))
    moments = time_steps[np.pad(np.diff(text_steps), (1, 0), constant_values=1).astype(bool)] / OUTPUT_FRAMES_PER_SECOND
    timings = [
        {
            "word": word,
            "tokens": word_tokens,
            "start": moments[start],
            "end": moments[end],
            "probability": np.mean(timing.probabilities[start:end]),
        }
        for word, word_tokens, start, end in zip(texts[:-1], tokens[:-1], borders[:-1], borders[1:], strict=True)
    ]
    merge_punctuations(timings, _PREPENDED, _APPENDED)
    return tuple(
        Word(
            word, min(float(each["start"]), duration_s), min(float(each["end"]), duration_s), float(each["probability"])
        )
        for each in timings
        if (word := each["word"].replace("\ufffd", "").strip())
    )


def whole_characters(tokens: list[int], tokenizer: Tokenizer) -> list[int]:
    """Remove the tokens of incomplete UTF-8 characters, and return the other tokens.

    A token can hold only some of a character's bytes. Whisper's word splitting would drop all text after a character
    that stays incomplete.
    """
    while "\ufffd" in str(tokenizer.decode(tokens)):
        pieces = [_piece(tokenizer, token) for token in tokens]
        owners = [index for index, piece in enumerate(pieces) for _ in piece]
        broken = set[int]()
        at = 0
        for character in b"".join(pieces).decode("utf-8", "surrogateescape"):
            is_byte = "\udc80" <= character <= "\udcff"
            if is_byte:
                broken.add(owners[at])
            at += 1 if is_byte else len(character.encode())
        if not broken:  # the replacement character is part of the model's own text
            return tokens
        tokens = [token for index, token in enumerate(tokens) if index not in broken]
    return tokens


def _piece(tokenizer: Tokenizer, token: int) -> bytes:
    """Return the bytes that the token stands for.

    Whisper's vocabulary is GPT-2's byte-level BPE, which writes each byte as one printable character.
    """
    spelt = tokenizer.tokenizer.id_to_token(token) or ""
    return bytes(_byte_of()[character] for character in spelt if character in _byte_of())


@cache
def _byte_of() -> dict[str, int]:
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    spelling = {chr(byte): byte for byte in printable}
    spelling |= {chr(256 + index): byte for index, byte in enumerate(others)}
    assert set(spelling) == set(ByteLevel.alphabet())
    return spelling
