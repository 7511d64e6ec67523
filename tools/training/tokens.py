"""The vocabulary of the bundled model.

It consists of byte-level BPE pieces, Whisper's special tokens with a single language, and timestamps. It also contains
the empty string. Without that, CTranslate2 would not treat the model as multilingual.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

HERE = Path(__file__).parent
BPE = Tokenizer.from_file(str(HERE / "bpe.json"))
PIECES = BPE.get_vocab_size()

NAMES = [
    "",
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|ms|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
]
SECONDS_PER_STAMP = 0.02
STAMPS = [f"<|{index * SECONDS_PER_STAMP:.2f}|>" for index in range(1501)]

_ID = {name: PIECES + offset for offset, name in enumerate(NAMES)}
EOT = _ID["<|endoftext|>"]
SOT = _ID["<|startoftranscript|>"]
MALAY = _ID["<|ms|>"]
TRANSLATE = _ID["<|translate|>"]
TRANSCRIBE = _ID["<|transcribe|>"]
PREVIOUS = _ID["<|startofprev|>"]
NO_SPEECH = _ID["<|nospeech|>"]
NO_STAMPS = _ID["<|notimestamps|>"]
FIRST_STAMP = PIECES + len(NAMES)
SIZE = FIRST_STAMP + len(STAMPS)


def encode(text: str) -> list[int]:
    return list(BPE.encode(text).ids)


def stamp(seconds: float) -> int:
    """Return the id of the timestamp token that is nearest to ``seconds`` (0 to 30)."""
    return FIRST_STAMP + min(len(STAMPS) - 1, max(0, round(seconds / SECONDS_PER_STAMP)))
