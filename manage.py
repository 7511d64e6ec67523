#!/usr/bin/env python
"""Django's command line for this project."""

import gc
import os
import sys
from contextlib import suppress
from pathlib import Path

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

TOOLS = ("loadtest", "measure_rates", "plan_capacity", "seed_demo")  # commands of ``tools/``, which images do not have


def load() -> None:
    """Load the apps without garbage collection.

    A collection would take a tenth of the start-up time and find nothing. The objects that are loaded here stay for the
    life of the process, so later collections skip them too.
    """
    gc.disable()
    with suppress(ImproperlyConfigured, ImportError):  # the command itself reports a mistake in the settings
        _ = settings.INSTALLED_APPS
    if settings.configured:
        django.setup()
    gc.freeze()
    gc.enable()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command in TOOLS and not (Path(__file__).parent / "tools").is_dir():
        sys.exit(
            f"{command} is a tool of the repository, not of the images: run it in a checkout after `make setup-dev`."
        )
    if command == "serve_inference":
        os.environ["VOICE_INFERENCE_URL"] = ""  # it is the tier, even if it shares the API processes' environment
    load()
    execute_from_command_line(sys.argv)
