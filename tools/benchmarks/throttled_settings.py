"""The service's settings, with ``tools.benchmarks.throttled`` added as the last app."""

from voiceproject.settings import *  # noqa: F403
from voiceproject.settings import INSTALLED_APPS as _APPS

INSTALLED_APPS = [*_APPS, "tools.benchmarks.throttled.ThrottledConfig"]
