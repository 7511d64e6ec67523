"""``manage.py speakable``: print the speakable form of a text or its phonemes, to check them by eye."""

from __future__ import annotations

import sys
from argparse import ArgumentParser

from django.core.management.base import BaseCommand

from spoken_text.pronunciation import SpokenWord, phonemes
from spoken_text.speakable import LANGUAGES, speakable
from tts import espeak
from tts.synthesis import sentences_of

_ENGLISH_VOICE = "en-us"


class Command(BaseCommand):
    help = "Print the speakable form of a text, line by line: the words and pauses that a voice speaks."
    requires_system_checks = ()  # the command needs neither the database nor URLs

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("text", nargs="*", help="the text (default: standard input)")
        parser.add_argument(
            "--language",
            choices=LANGUAGES,
            default="ms",
            help="language of sentences whose language cannot be detected (default: ms)",
        )
        parser.add_argument("--document", action="store_true", help="read the whole text as one Markdown document")
        parser.add_argument(
            "--phonemes",
            action="store_true",
            help="print phonemes (IPA) instead; words that are not Malay have their language as a prefix (en:)",
        )

    def handle(
        self, *, text: list[str], language: str, document: bool, phonemes: bool = False, **options: object
    ) -> None:
        say = _phonemes if phonemes else speakable
        if document:
            self.stdout.write(say(" ".join(text) or sys.stdin.read(), language))
            return
        for line in [" ".join(text)] if text else sys.stdin:
            self.stdout.write(say(line.rstrip("\n"), language))
            self.stdout.flush()


def _phonemes(text: str, language: str) -> str:
    words: list[str] = []
    for sentence in sentences_of(text, language):
        words.extend(_shown(word) for word in phonemes(sentence.text, language, english=_english))
    return " ".join(words)


def _shown(word: SpokenWord) -> str:
    sound = word.ipa or word.text
    return (sound if word.language == "ms" else f"{word.language}:{sound}") + word.pause


def _english(text: str) -> str:
    return espeak.phonemes(text, _ENGLISH_VOICE)
