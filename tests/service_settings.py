"""The settings of a service that a test starts in a separate process: the real ones, but with a fast password hasher.

A secure hasher takes a quarter of a second of CPU time at every start with ``--demo`` and at every login.
"""

from __future__ import annotations

from django.conf import global_settings

from voiceproject.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *global_settings.PASSWORD_HASHERS]
