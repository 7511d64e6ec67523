"""The bundled model: a small Whisper, with a CTC head that exists only during training.

The CTC branch makes the encoder learn early where the words are. Without this, the attention of such a small model
would need far longer to align.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from transformers import WhisperConfig, WhisperForConditionalGeneration

from tools.training import tokens


def whisper_config(width: int, encoder_layers: int, decoder_layers: int) -> WhisperConfig:
    """Return the configuration of a Whisper with the vocabulary of the bundled model.

    ``width``: the width of the states, a multiple of 64.
    ``encoder_layers``, ``decoder_layers``: the numbers of layers.
    """
    return WhisperConfig(
        vocab_size=tokens.SIZE,
        d_model=width,
        encoder_layers=encoder_layers,
        decoder_layers=decoder_layers,
        encoder_attention_heads=width // 64,
        decoder_attention_heads=width // 64,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        max_target_positions=448,
        dropout=0.0,  # not needed, because no audio is used more than twice
        attention_dropout=0.0,
        pad_token_id=tokens.EOT,
        bos_token_id=tokens.EOT,
        eos_token_id=tokens.EOT,
        decoder_start_token_id=tokens.SOT,
    )


class TrainedWhisper(nn.Module):
    """The model during training.

    ``whisper``: the part that is exported.
    ``ctc``: maps encoder states to BPE pieces and a blank (the last index).
    """

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.whisper = WhisperForConditionalGeneration(config)
        self.ctc = nn.Linear(config.d_model, tokens.PIECES + 1)
        self.whisper.model.encoder.embed_positions.weight.requires_grad_(False)

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        """Encode features, shape (batch, 80, context), to states, shape (batch, context / 2, width).

        The context may be any even number of frames up to 3,000. The encoder's own ``forward`` accepts only 3,000.
        """
        encoder = self.whisper.model.encoder
        hidden = F.gelu(encoder.conv2(F.gelu(encoder.conv1(features)))).permute(0, 2, 1)
        hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
        for layer in encoder.layers:
            out = layer(hidden, attention_mask=None)
            hidden = out[0] if isinstance(out, tuple) else out
        return encoder.layer_norm(hidden)

    def decode(self, hidden: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (batch, tokens, vocabulary).

        ``hidden``: encoder states, shape (batch, context / 2, width).
        ``inputs``: token ids, shape (batch, tokens).
        """
        decoder = self.whisper.model.decoder
        states = decoder(input_ids=inputs, encoder_hidden_states=hidden, use_cache=False).last_hidden_state
        return states @ decoder.embed_tokens.weight.T

    @torch.no_grad()
    def transcribe(self, features: torch.Tensor, limit: int = 80) -> list[str]:
        """Return the text of each row, by greedy decoding without timestamps.

        ``features``: shape (batch, 80, context).
        ``limit``: the maximum number of tokens per row.
        """
        hidden = self.encode(features)
        start = [tokens.SOT, tokens.MALAY, tokens.TRANSCRIBE, tokens.NO_STAMPS]
        ids = torch.tensor([start] * len(features))
        done = torch.zeros(len(features), dtype=torch.bool)
        for _ in range(limit):
            following = self.decode(hidden, ids)[:, -1, : tokens.FIRST_STAMP].argmax(-1)
            following[done] = tokens.EOT
            ids = torch.cat([ids, following[:, None]], 1)
            done |= following == tokens.EOT
            if done.all():
                break
        written = [[piece for piece in row[len(start) :] if piece < tokens.PIECES] for row in ids.tolist()]
        return [tokens.BPE.decode(row).strip() for row in written]
