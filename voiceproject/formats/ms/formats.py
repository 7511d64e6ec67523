"""Date formats in Malay, the same as in English: the day first and 24 hours."""

from voiceproject.formats.en.formats import *  # noqa: F403
