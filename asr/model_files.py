"""What recognition needs of a Whisper model besides its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

MAX_LENGTH = 448  # tokens in a text and its prompt, the same in all Whisper models


@dataclass(frozen=True)
class ModelFiles:
    """The small parts of a checkpoint.

    ``tokenizer``: its vocabulary. It reads the names of special tokens as words. Otherwise, a client could write
    ``<|startoftranscript|><|en|>`` into a prompt to give the model other instructions than the service.
    ``is_multilingual``: whether it knows other languages than English.
    ``mel_filters``: the mel filter bank, float32 (mels, frequencies).
    """

    tokenizer: tokenizers.Tokenizer
    is_multilingual: bool
    mel_filters: npt.NDArray[np.float32]

    @classmethod
    def of(cls, model: WhisperModel) -> ModelFiles:
        """Take them from a model that is loaded."""
        model.hf_tokenizer.encode_special_tokens = True
        return cls(model.hf_tokenizer, model.model.is_multilingual, model.feature_extractor.mel_filters)

    @classmethod
    def read(cls, directory: Path, mels: int) -> ModelFiles:
        """Read them from a checkpoint's directory. Raise ``OSError`` or ``ValueError`` if they cannot be read.

        ``mels``: number of mel bands.
        """
        vocabulary = (directory / "tokenizer.json").read_text("utf-8")
        try:
            tokenizer = tokenizers.Tokenizer.from_str(vocabulary)
        except Exception as error:  # the library raises nothing more specific
            raise ValueError(f"tokenizer.json: {error}") from error
        tokenizer.encode_special_tokens = True
        is_multilingual = tokenizer.token_to_id("<|zh|>") is not None
        return cls(tokenizer, is_multilingual, FeatureExtractor(feature_size=mels).mel_filters)
