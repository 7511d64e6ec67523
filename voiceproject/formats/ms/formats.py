"""As in English: the day first and 24 hours."""

from voiceproject.formats.en.formats import *  # noqa: F403
