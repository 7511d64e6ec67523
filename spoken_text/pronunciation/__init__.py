"""How words are pronounced: Malay by a lexicon and rules, English words by an English reader, letters by name."""

from spoken_text.pronunciation.letters import LETTER_MARK
from spoken_text.pronunciation.speech import EnglishPhonemes, SpokenWord, phonemes

__all__ = ["LETTER_MARK", "EnglishPhonemes", "SpokenWord", "phonemes"]
