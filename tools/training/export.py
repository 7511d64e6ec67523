"""Convert a checkpoint into a model directory that faster-whisper can load.

    python -m tools.training.export var/training

The directory contains the weights in int8, a tokenizer with the special tokens, the parameters of the features, a
lexicon (words and their counts), and ``voice.json``. This last file contains what CTranslate2's files cannot express,
such as the languages of the model and the contexts that it was trained for.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import torch
from ctranslate2.converters.transformers import WhisperLoader
from tokenizers import Tokenizer

from tools.training import tokens
from tools.training.corpus import Corpus
from tools.training.examples import CONTEXTS, FRAMES_PER_SECOND
from tools.training.model import TrainedWhisper, whisper_config

DEFAULT = Path(__file__).parents[2] / "asr" / "bundled"
FEATURES = {"feature_size": 80, "sampling_rate": 16000, "hop_length": 160, "n_fft": 400, "chunk_length": 30}
SUFFIXES = ("nya", "mu", "ku", "lah", "kah", "kan")  # any Malay word may take one, so no word list has all forms
VOICE = {
    "name": "whisper-ms-demo",
    "contexts_s": [context // FRAMES_PER_SECOND for context in CONTEXTS],
    "languages": ["ms"],
    "plain": True,
    "longest_pause_s": 0,
    "prompt_tokens": 24,
    "translates": False,
    # The model can write timestamps, but makes more errors then. They are not needed: segments are single utterances.
    "timestamps": False,
}


def export(checkpoint: Path, directory: Path, quantization: str = "int8") -> None:
    """Write the model directory of a checkpoint.

    ``quantization``: CTranslate2's type of the weights.
    """
    model = TrainedWhisper(whisper_config(width=128, encoder_layers=4, decoder_layers=2))
    model.load_state_dict(torch.load(checkpoint, weights_only=True)["model"])
    whisper = model.whisper.eval()
    spec = WhisperLoader().get_model_spec(whisper)
    pieces = [piece for piece, _ in sorted(tokens.BPE.get_vocab().items(), key=lambda item: item[1])]
    spec.register_vocabulary(pieces + tokens.NAMES + tokens.STAMPS)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    spec.config.lang_ids = [tokens.MALAY]
    layers = whisper.config.decoder_layers
    heads = whisper.config.decoder_attention_heads
    spec.config.alignment_heads = list(itertools.product(range(layers // 2, layers), range(heads)))
    spec.validate()
    spec.optimize(quantization=quantization)
    directory.mkdir(parents=True, exist_ok=True)
    spec.save(str(directory))
    _save_tokenizer(directory / "tokenizer.json")
    (directory / "preprocessor_config.json").write_text(json.dumps(FEATURES) + "\n")
    _save_lexicon(directory / "lexicon.txt")
    (directory / "voice.json").write_text(json.dumps(VOICE, indent=2) + "\n")


def _save_lexicon(path: Path) -> None:
    words = [f"{word} {count}" for word, count in sorted(Corpus().counts().items())]
    path.write_text("\n".join([*(f"-{suffix}" for suffix in SUFFIXES), *words]) + "\n", "utf-8")


def _save_tokenizer(path: Path) -> None:
    """Write the BPE tokenizer with the special tokens.

    The empty string is among the BPE pieces, because it cannot be an added token.
    """
    raw = json.loads(tokens.BPE.to_str())
    raw["model"]["vocab"][""] = tokens.PIECES
    raw["added_tokens"] = [
        {
            "id": tokens.PIECES + 1 + index,
            "content": name,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for index, name in enumerate(tokens.NAMES[1:] + tokens.STAMPS)
    ]
    path.write_text(json.dumps(raw, ensure_ascii=False), encoding="utf-8")
    check = Tokenizer.from_file(str(path))
    if check.token_to_id("<|0.00|>") != tokens.FIRST_STAMP or check.token_to_id("<|ms|>") != tokens.MALAY:
        raise RuntimeError("the tokenizer's ids differ from the model's")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder that training.train was given")
    parser.add_argument("--out", type=Path, default=DEFAULT)
    parser.add_argument("--quantization", default="int8")
    options = parser.parse_args()
    export(options.folder / "checkpoint.pt", options.out, options.quantization)
    for path in sorted(options.out.iterdir()):
        print(f"{path.stat().st_size:>9,}  {path.name}")


if __name__ == "__main__":
    main()
