"""Turn words into phonemes.

Malay words are pronounced by a lexicon and rules, English words by a function that the caller passes.
"""

from spoken_text.pronunciation.letters import LETTER_MARK
from spoken_text.pronunciation.speech import EnglishPhonemes, SpokenWord, phonemes

__all__ = ["LETTER_MARK", "EnglishPhonemes", "SpokenWord", "phonemes"]
