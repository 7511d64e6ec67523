"""Logging in to the admin: password guessing is limited by address and by user name, and cookies are protected."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from core import admin_login

PASSWORD = "betul-betul-rahsia"


@pytest.fixture(autouse=True)
def fresh(transactional_db) -> None:
    cache.clear()
    User.objects.create_superuser("siti", password=PASSWORD)


def log_in(password: str, name: str = "siti", address: str = "10.0.0.1", **extra: Any) -> Any:
    return Client().post("/admin/login/", {"username": name, "password": password}, REMOTE_ADDR=address, **extra)


def test_it_works() -> None:
    assert log_in(PASSWORD).status_code == 302


def test_after_too_many_attempts_the_right_password_is_refused() -> None:
    for number in range(admin_login.MAX_ATTEMPTS_PER_NAME):
        assert "Too many attempts" not in log_in(f"guess-{number}").text
    assert "Too many attempts" in log_in(PASSWORD).text
    assert log_in(PASSWORD, address="10.0.0.2").status_code == 302, "whoever guesses locks nobody else out"


def test_attempts_with_different_names_are_limited_too() -> None:
    for number in range(admin_login.MAX_ATTEMPTS_PER_ADDRESS):
        log_in("guess", name=f"name-{number}")
    assert "Too many attempts" in log_in(PASSWORD).text


def test_a_successful_login_resets_the_count() -> None:
    for _ in range(3):
        for number in range(admin_login.MAX_ATTEMPTS_PER_NAME - 1):
            log_in(f"guess-{number}")
        assert log_in(PASSWORD).status_code == 302
        cache.delete(admin_login._counter("address", "10.0.0.1"))


def test_passwords_are_checked_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_login, "HASHING_WAIT_S", 0.01)
    with admin_login._hashing:
        assert "right now" in log_in(PASSWORD).text
    assert log_in(PASSWORD).status_code == 302


def test_cookies_and_headers_behind_tls() -> None:
    secure = log_in(PASSWORD, secure=True)
    assert secure.cookies["sessionid"]["secure"]
    assert secure.cookies["sessionid"]["httponly"]
    assert "max-age=" in secure.headers["Strict-Transport-Security"]
    plain = log_in(PASSWORD)
    assert not plain.cookies["sessionid"]["secure"]
    assert "Strict-Transport-Security" not in plain.headers
    assert "frame-ancestors 'none'" in plain.headers["Content-Security-Policy"]


def test_a_weak_password_is_refused(admin_client: Client) -> None:
    form = {"username": "budi", "password1": "password", "password2": "password", "usable_password": "true"}
    page = admin_client.post("/admin/auth/user/add/", form)
    assert page.status_code == 200
    assert not User.objects.filter(username="budi").exists()
