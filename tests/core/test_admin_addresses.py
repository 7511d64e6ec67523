"""Addresses of the admin: unknown ids give a 404, refusals are HTML pages, failures are logged with the request id."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import get_resolver

IDS = ("999999", "abc", "9" * 30, "_00")


def addresses(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    """Yield the admin's paths that contain an id, each with a placeholder instead of the id."""
    for entry in patterns:
        route = prefix + str(entry.pattern)
        if hasattr(entry, "url_patterns"):
            yield from addresses(entry.url_patterns, route)
        elif route.startswith("admin/") and "<path:object_id>" in route:
            yield "/" + route


def test_unknown_ids_give_404(admin_client: Client) -> None:
    found = sorted(set(addresses(get_resolver().url_patterns)))
    assert len(found) > 50
    for address in found:
        for object_id in IDS:
            answer = admin_client.get(address.replace("<path:object_id>", object_id), follow=True)
            assert answer.status_code in (403, 404), (address, object_id, answer.status_code)
            assert answer.headers["Content-Type"].startswith("text/html"), address


def test_every_action_needs_a_permission() -> None:
    lists = ("actions_list", "actions_detail", "actions_row", "actions_submit_line")
    buttons = {
        f"{model._meta.label}.{name}": getattr(model_admin, name)
        for model, model_admin in admin.site._registry.items()
        for names in lists
        for name in getattr(model_admin, names, ())
    }
    assert len(buttons) > 10
    assert [name for name, button in buttons.items() if not getattr(button, "allowed_permissions", ())] == []


def test_a_refusal_is_an_html_page(client: Client, transactional_db) -> None:
    client.force_login(User.objects.create_user("tamu", is_staff=True))
    answer = client.get("/admin/auth/user/")
    assert answer.status_code == 403
    assert "Not allowed" in answer.text


def test_a_failure_is_logged_with_the_id_shown_on_the_page(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_args: object, **_options: object) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr("django.contrib.auth.admin.UserAdmin.get_queryset", fails)
    admin_client.raise_request_exception = False
    with caplog.at_level(logging.ERROR):
        answer = admin_client.get("/admin/auth/user/")
    assert answer.status_code == 500
    assert "a secret of ours" not in answer.text
    assert re.search(r"req_[0-9a-f]{32}", answer.text)
    assert "a secret of ours" in caplog.text
