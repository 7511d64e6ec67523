"""Turn text into phonemes for a neural voice. Each word is pronounced by the rules of its own language.

A neural voice can speak the phonemes of any language, so one voice speaks a whole sentence even if the sentence
contains English words or a name in Chinese characters. Punctuation is kept, because the model pauses at it.
"""

from __future__ import annotations

import re

from spoken_text import pronunciation
from tts import espeak
from tts.mandarin import mandarin
from tts.voices import primary

ESPEAK_ENGLISH = "en-us"
ESPEAK_TAMIL = "ta"

# Careful pronunciation of Malay. When voices that were not trained on Malay speak like this, Whisper recognises far
# more words than with everyday pronunciation (docs/voice-measurements.md):
# - final open a is [a], not [ə];
# - k at the end of a syllable is [k], not a glottal stop;
# - there is no glottal stop between vowels, because it was recognised as a t ("kerajatan");
# - a diphthong ends in a glide, because otherwise its end was not spoken ("rame" for "ramai").
_FINAL_SCHWA = re.compile(r"ə$")
_INNER_GLOTTAL = re.compile(r"(?<=[aeəiouɪʊ])ʔ(?=[ˈˌ]?[aeəiouɪʊ])")
_DIPHTHONG = re.compile(r"(?<=[aeo])[ɪʊ]")
_GLIDES = {"ɪ": "j", "ʊ": "w"}
_FLAP = "ɾ"  # the t of American "meeting". Malaysians say [t], and the flap was recognised as an r ("miring").
_SWITCH = re.compile(r"\([a-z]{2,3}(?:-[a-z]+)?\)")  # eSpeak NG's mark for a change of language


def phonemes(text: str, language: str) -> str:
    """Return the IPA of a speakable text with its punctuation, or "" if there is nothing to say."""
    words = pronunciation.phonemes(text, primary(language), english=_english)
    in_malay = primary(language) == "ms"
    return " ".join(filter(None, (_sound(word, in_malay) for word in words)))


def _sound(word: pronunciation.SpokenWord, in_malay: bool) -> str:
    match word.language:
        case "zh":
            ipa = mandarin(word.text)
        case "ta":
            ipa = _by_espeak(word.text, ESPEAK_TAMIL)
        case "ms":
            ipa = _clear_malay(word)
        case _:
            ipa = word.ipa.replace(_FLAP, "t") if in_malay else word.ipa
    return f"{ipa}{word.pause}" if ipa else ""


def _clear_malay(word: pronunciation.SpokenWord) -> str:
    ipa = word.ipa
    if not word.text.endswith("e"):  # a final e, as in "ke", is a schwa (e pepet)
        ipa = _FINAL_SCHWA.sub("a", ipa)
    ipa = _INNER_GLOTTAL.sub("", ipa).replace("ʔ", "k")
    return _DIPHTHONG.sub(lambda found: _GLIDES[found[0]], ipa)


def _english(text: str) -> str:
    return _by_espeak(text, ESPEAK_ENGLISH)


def _by_espeak(text: str, voice: str) -> str:
    return _SWITCH.sub("", espeak.phonemes(text, voice))
