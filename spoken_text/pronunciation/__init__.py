"""Turn words into phonemes.

A lexicon and rules pronounce Malay words. A function that the caller passes pronounces English words.
"""

from spoken_text.pronunciation.letters import LETTER_MARK
from spoken_text.pronunciation.speech import EnglishPhonemes, SpokenWord, phonemes

__all__ = ["LETTER_MARK", "EnglishPhonemes", "SpokenWord", "phonemes"]
