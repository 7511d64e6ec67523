"""Find when each token of a text was spoken, from the attention of the decoder's alignment heads.

The steps are those of CTranslate2's ``Whisper.align``, which has them from OpenAI's ``find_alignment``: normalise the
attention over the tokens, smooth it over time, average the heads, and find the likeliest times by dynamic time warping.
One thing differs: they normalise over all tokens, and leave out the start tokens and the end-of-text token afterwards.
Here the end-of-text token is not decoded, and the start tokens except the last one are left out before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asr.native.text_decoder import DecoderState, Floats, TextDecoder
from asr.requests import Timing

SMOOTHED_FRAMES = 7  # width of the median filter
#: Pairs of places whose values are exchanged if they are in the wrong order. Afterwards, the fourth of seven values is
#: their median.
_TO_MEDIAN = ((0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4))


def timing(decoder: TextDecoder, state: DecoderState, start: Sequence[int], text: Sequence[int], frames: int) -> Timing:
    """Return the times and probabilities of the tokens of a text.

    ``start``: the tokens before the text.
    ``frames``: number of the encoder's frames that are not padding.
    """
    attention, scores = decoder.score_text(state, start, text)
    # The token at place n + 1 is spoken where the token at place n attends.
    heads = attention[:, len(start) - 1 :, : max(1, min(frames, state.frames))]
    first = decoder.first_frames(-_smoothed(_normalised(heads)).mean(0))
    return Timing(tuple(enumerate(first)), tuple(np.exp(scores).tolist()))


def _normalised(attention: Floats) -> Floats:
    """Normalise over frames, then over tokens; float32 (heads, tokens, frames)."""
    shares = attention / attention.sum(2, keepdims=True)
    spread = shares.std(1, keepdims=True)
    return np.asarray((shares - shares.mean(1, keepdims=True)) / np.maximum(spread, 1e-10), np.float32)


def _smoothed(values: Floats) -> Floats:
    """Replace each value by the median of itself and its neighbours in time."""
    half = SMOOTHED_FRAMES // 2
    frames = values.shape[2]
    if frames <= half:
        return values
    padded = np.pad(values, ((0, 0), (0, 0), (half, half)), mode="reflect")
    moved = [padded[:, :, at : at + frames] for at in range(SMOOTHED_FRAMES)]
    for low, high in _TO_MEDIAN:
        moved[low], moved[high] = np.minimum(moved[low], moved[high]), np.maximum(moved[low], moved[high])
    return moved[half]
