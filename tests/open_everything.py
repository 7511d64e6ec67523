"""Open the main pages and, for each model, the pages of the admin; read the help of every command.

Pass the text of this file to ``python -c`` in a folder that contains the product. All imports then use that folder.
"""

from __future__ import annotations

import os
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
django.setup()

from django.contrib import admin  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import get_commands, load_command_class  # noqa: E402
from django.test import Client  # noqa: E402


def open_pages() -> int:
    """Open the main pages, and the list and the first row of each model; return the number of pages."""
    client = Client(raise_request_exception=True)
    client.force_login(User.objects.create_superuser("opens-everything"))
    pages = ["/", "/docs/", "/schema/", "/metrics", "/healthz", "/dashboard/", "/admin/", "/admin/now.json"]
    for model in admin.site._registry:
        meta = model._meta
        listed = f"/admin/{meta.app_label}/{meta.model_name}/"
        pages.append(listed)
        row = model._default_manager.first()
        if row is not None:
            pages.append(f"{listed}{row.pk}/change/")
            if meta.model_name == "loadtestrun":
                pages.append(f"{listed}{row.pk}/report/")
    for page in pages:
        response = client.get(page)
        assert response.status_code == 200, (page, response.status_code)
    return len(pages)


def read_help() -> list[str]:
    """Format the help of each command of the product, and return the names of the commands."""
    here = Path.cwd()
    names = []
    for name, app in get_commands().items():
        command = load_command_class(app, name) if isinstance(app, str) else app
        if Path(__import__(type(command).__module__, fromlist=["x"]).__file__).is_relative_to(here):
            assert command.create_parser("manage.py", name).format_help()
            names.append(name)
    return sorted(names)


if __name__ == "__main__":
    print(*read_help())
    print(open_pages())
