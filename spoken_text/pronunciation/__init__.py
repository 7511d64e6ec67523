"""How words are said: Malay by a lexicon and rules of its own, English words by an English reader, letters by name."""

from spoken_text.pronunciation.letters import LETTER_MARK
from spoken_text.pronunciation.speech import EnglishPhonemes, SpokenWord, phonemes

__all__ = ["LETTER_MARK", "EnglishPhonemes", "SpokenWord", "phonemes"]
