"""Make VITS checkpoints that are small enough for tests, with the real architecture and random weights.

    python -m tests.coqui.checkpoint FOLDER

This makes ``FOLDER/satu`` with one speaker, and ``FOLDER/ramai`` with three. Their speech is only a hum.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from TTS.config.shared_configs import BaseAudioConfig
from TTS.tts.configs.shared_configs import CharactersConfig
from TTS.tts.configs.vits_config import VitsArgs, VitsConfig
from TTS.tts.models.vits import Vits

SAMPLE_RATE = 16_000


def make_checkpoint(folder: Path, *, speakers: int = 0, about: str = "") -> Path:
    """Write a checkpoint (config.json and model.pth) to ``folder``, and return ``folder``.

    ``speakers``: the number of speakers; 0 for a model without speakers.
    ``about``: the text of voice.toml; if empty, that file is not written.
    """
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    arguments = VitsArgs(
        init_discriminator=False,
        hidden_channels=32,
        hidden_channels_ffn_text_encoder=64,
        num_layers_text_encoder=2,
        num_heads_text_encoder=2,
        num_layers_flow=2,
        num_layers_posterior_encoder=2,
        upsample_initial_channel_decoder=64,
        use_speaker_embedding=speakers > 0,
        speaker_embedding_channels=16,
        speakers_file=str(folder / "speakers.pth") if speakers else None,
    )
    config = VitsConfig(
        audio=BaseAudioConfig(sample_rate=SAMPLE_RATE),
        model_args=arguments,
        characters=CharactersConfig(
            characters_class="TTS.tts.models.vits.VitsCharacters",
            characters="abcdefghijklmnopqrstuvwxyz",
            phonemes="",
            punctuations=" !,.?-",
            pad="_",
            eos="",
            bos="",
            blank="~",
        ),
        text_cleaner="basic_cleaners",
        use_phonemes=False,
        use_speaker_embedding=speakers > 0,
        speakers_file=arguments.speakers_file,
    )
    if speakers:
        torch.save({f"penutur-{number}": number for number in range(speakers)}, folder / "speakers.pth")
    model = Vits(config)
    config.save_json(str(folder / "config.json"))
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    if about:
        (folder / "voice.toml").write_text(about, encoding="utf-8")
    return folder


ABOUT = """\
name = "Suara Ujian"
language = "ms"
gender = "female"
license = "CC-BY-NC-4.0"
commercial_use = false
"""

if __name__ == "__main__":
    make_checkpoint(Path(sys.argv[1]) / "satu", about=ABOUT)
    make_checkpoint(Path(sys.argv[1]) / "ramai", speakers=3)
