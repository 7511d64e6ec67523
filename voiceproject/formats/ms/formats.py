"""Malay date formats, which are the same as the English ones."""

from voiceproject.formats.en.formats import *  # noqa: F403
