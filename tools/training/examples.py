"""Training examples: audio features, and the tokens that the decoder should write for them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from faster_whisper.feature_extractor import FeatureExtractor

from tools.training import speech, tokens
from tools.training.corpus import Corpus
from tools.training.speech import RATE, Audio, Voice

FRAMES_PER_SECOND = 100
CONTEXTS = (500, 1000, 1500, 2000, 3000)  # the engine's context buckets, in frames
IGNORED = -100  # a target that does not count in the loss


@dataclass
class Example:
    """A training example.

    ``features``: float32, shape (80, frames), unpadded.
    ``ids``: the decoder's tokens: first those that are given, then those that it should write.
    ``known``: how many tokens at the beginning of ``ids`` are given and need not be predicted.
    ``opening``: the token to predict after the start token: the language, or "no speech".
    ``pieces``: the BPE pieces of the spoken text, for the CTC branch; empty if nothing is spoken.
    """

    features: npt.NDArray[np.float32]
    ids: list[int]
    known: int
    opening: int
    pieces: list[int]

    @property
    def frames(self) -> int:
        return int(self.features.shape[1])

    def targets(self) -> list[int]:
        """Return the token to predict after each token of ``ids[:-1]``.

        A target is ``IGNORED`` if the next token is given, except after the start token, where it is the opening.
        """
        targets = [IGNORED] * (self.known - 1) + self.ids[self.known :]
        targets[self.ids.index(tokens.SOT)] = self.opening
        return targets


@dataclass(frozen=True)
class _Piece:
    """A spoken text with its start and end in seconds."""

    text: str
    start: float
    end: float


class Examples:
    """An endless source of random examples. Their features are computed by faster-whisper's own code."""

    def __init__(self, corpus: Corpus, seed: int) -> None:
        self._corpus = corpus
        self._rng = random.Random(seed)
        self._generator = np.random.default_rng(seed)
        self._extract = FeatureExtractor()

    def __iter__(self) -> Iterator[Example]:
        while True:
            yield self.draw()

    def draw(self) -> Example:
        """Return a random example: usually one utterance, sometimes several with pauses, or a sound without speech."""
        rng = self._rng
        kind = rng.random()
        if kind < 0.04:
            return self._not_speech()
        if kind < 0.16:
            return self._speech([self._corpus.draw(rng) for _ in range(rng.randint(2, 5))])
        return self._speech([self._corpus.draw(rng)])

    def clean(self, text: str, voice: Voice, *, distorted: bool = False) -> Example:
        """Return an example for evaluation: one sentence with a quarter of a second of silence before and after it.

        ``distorted``: whether to add random echo and noise.
        """
        audio = np.concatenate([speech.silence(0.25), speech.utter(text, voice), speech.silence(0.25)])
        if distorted:
            audio = speech.distort(audio, self._rng, self._generator)
        ids = [tokens.SOT, tokens.MALAY, tokens.TRANSCRIBE, tokens.NO_STAMPS, *tokens.encode(text), tokens.EOT]
        return Example(self.features(audio), ids, known=4, opening=tokens.MALAY, pieces=tokens.encode(text))

    def features(self, audio: Audio) -> npt.NDArray[np.float32]:
        """Return the log-mel features of audio at ``RATE``, float32, shape (80, frames)."""
        return np.asarray(self._extract(audio), dtype=np.float32)

    def _not_speech(self) -> Example:
        seconds = min(29.0, self._rng.uniform(0.3, 6) * (4 if self._rng.random() < 0.1 else 1))
        audio = speech.no_speech(seconds, self._rng, self._generator)
        ids = [tokens.SOT, tokens.MALAY, tokens.TRANSCRIBE, tokens.NO_STAMPS, tokens.EOT]
        return Example(self.features(audio), ids, known=4, opening=tokens.NO_SPEECH, pieces=[])

    def _speech(self, texts: list[str]) -> Example:
        rng = self._rng
        voice = speech.draw_voice(rng)
        audio, pieces = self._spoken(texts, voice)
        audio = speech.distort(audio, rng, self._generator)
        spoken = " ".join(piece.text for piece in pieces)
        ids = [*self._prompt(spoken), tokens.SOT, tokens.MALAY, tokens.TRANSCRIBE]
        if rng.random() < 0.4:
            known = len(ids)
            for piece in pieces:
                ids += [tokens.stamp(piece.start), *tokens.encode(piece.text), tokens.stamp(piece.end)]
        else:
            ids += [tokens.NO_STAMPS]
            known = len(ids)
            ids += tokens.encode(spoken)
        return Example(self.features(audio), [*ids, tokens.EOT], known, tokens.MALAY, tokens.encode(spoken))

    def _spoken(self, texts: list[str], voice: Voice) -> tuple[Audio, list[_Piece]]:
        """Speak texts one after the other, with pauses, up to about 29 s.

        Texts that do not fit are left out. Return the audio, and each spoken text with its start and end in seconds.
        """
        rng = self._rng
        parts = [speech.silence(rng.uniform(0, 0.5))]
        pieces: list[_Piece] = []
        length = len(parts[0])
        for text in texts:
            said = speech.utter(text, voice)
            if pieces and length + len(said) > 29 * RATE:
                break
            said = said[: 29 * RATE - length]
            pieces.append(_Piece(text, length / RATE, (length + len(said)) / RATE))
            parts += [said, speech.silence(rng.uniform(0.1, 0.7))]
            length += len(said) + len(parts[-1])
        if rng.random() < 0.1:
            parts.append(speech.silence(rng.uniform(0.5, 3)))
        return np.concatenate(parts)[: 30 * RATE - 160], pieces

    def _prompt(self, spoken: str) -> list[int]:
        """Return the tokens of a random prompt; in most cases, return no tokens.

        The prompt is either an unrelated text, as if it had been said before, or a list that contains some of the
        spoken words, as for ``keywords``.
        """
        rng = self._rng
        if rng.random() > 0.12:
            return []
        words = self._corpus.draw(rng).split()
        if rng.random() < 0.5:
            mine = spoken.split()
            words = rng.sample(mine, min(len(mine), rng.randint(1, 3))) + words[:4]
            rng.shuffle(words)
        return [tokens.PREVIOUS, *tokens.encode(" ".join(words))[-60:]]
