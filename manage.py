#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

TOOLS = ("loadtest", "measure_rates", "plan_capacity", "seed_demo")  # commands of `tools/`, which no image holds

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command in TOOLS and not (Path(__file__).parent / "tools").is_dir():
        sys.exit(
            f"{command} is a tool of the repository, not of the images: run it in a checkout after `make setup-dev`."
        )
    execute_from_command_line(sys.argv)
