"""The admin's pages and forms, as a user sees them."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from core.models import ApiKey, ClientApplication
from usage.models import LedgerEntry


@pytest.fixture
def chat(db) -> ClientApplication:
    return ClientApplication.objects.create(name="chat")


def test_a_new_key_is_shown_once_and_works(admin_client: Client, chat: ClientApplication) -> None:
    page = admin_client.post("/admin/voiceproject/apikey/add/", {"client": chat.pk, "label": "server"})
    assert "no-store" in page.headers["Cache-Control"]
    key = re.search(r'value="(vk_[^"]+)"', page.content.decode())
    assert key is not None
    row = ApiKey.find(key[1])
    assert row is not None
    for path in ("", f"{row.pk}/change/"):
        later = admin_client.get(f"/admin/voiceproject/apikey/{path}").content.decode()
        assert row.prefix in later
        assert key[1] not in later


def test_revoking(admin_client: Client, chat: ClientApplication) -> None:
    row, key = ApiKey.issue(chat)
    form = {"action": "revoke", "_selected_action": [row.pk]}
    asked = admin_client.post("/admin/voiceproject/apikey/", form, follow=True).content.decode()
    assert "Revoke 1 API key" in asked
    assert ApiKey.find(key) == row
    page = admin_client.post("/admin/voiceproject/apikey/", {**form, "sure": "yes"}, follow=True).content.decode()
    assert "Revoked 1" in page
    assert ApiKey.find(key) is None
    revoked_at = ApiKey.objects.get().revoked_at
    row.revoke()
    assert ApiKey.objects.get().revoked_at == revoked_at


def test_revoking_on_the_key_s_own_page(admin_client: Client, chat: ClientApplication) -> None:
    row, key = ApiKey.issue(chat)
    url = f"/admin/voiceproject/apikey/{row.pk}/revoke/"
    assert "can never be used again" in admin_client.get(url).content.decode()
    assert ApiKey.find(key) == row
    admin_client.post(url)
    assert ApiKey.find(key) is None
    assert admin_client.get(url).status_code == 403


def test_a_key_cannot_be_deleted_or_moved_to_another_client(admin_client: Client, chat: ClientApplication) -> None:
    row, _key = ApiKey.issue(chat)
    other = ClientApplication.objects.create(name="other")
    assert admin_client.post(f"/admin/voiceproject/apikey/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    admin_client.post(f"/admin/voiceproject/apikey/{row.pk}/change/", {"client": other.pk, "label": "new"})
    row.refresh_from_db()
    assert (row.client, row.label) == (chat, "new")


@pytest.mark.parametrize("model", ["usage/ledgerentry", "usage/correction", "usage/rating"])
def test_recorded_rows_are_read_only(admin_client: Client, model: str) -> None:
    assert admin_client.get(f"/admin/{model}/").status_code == 200
    assert admin_client.get(f"/admin/{model}/add/").status_code == 403


def test_a_ledger_row_can_be_viewed(admin_client: Client, chat: ClientApplication) -> None:
    row = LedgerEntry.objects.create(request_id="req_1", kind="speech", client=chat, user="u", status=200)
    page = admin_client.get(f"/admin/usage/ledgerentry/{row.pk}/change/").content.decode()
    assert "req_1" in page
    assert 'name="_save"' not in page


def test_a_client_with_a_history_cannot_be_deleted(admin_client: Client, chat: ClientApplication) -> None:
    LedgerEntry.objects.create(request_id="req_1", kind="speech", client=chat, user="u", status=200)
    admin_client.post(f"/admin/voiceproject/clientapplication/{chat.pk}/delete/", {"post": "yes"})
    assert ClientApplication.objects.exists()


def test_anonymous_visitors_have_to_log_in(client: Client, db) -> None:
    response = client.get("/admin/voiceproject/apikey/")
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/admin/login/")


def test_cross_site_forms_are_refused(admin_user, db) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    assert client.post("/admin/voiceproject/clientapplication/add/", {"name": "x"}).status_code == 403
    assert not ClientApplication.objects.exists()


def test_an_account_is_created_and_given_a_role(admin_client: Client, db) -> None:
    assert admin_client.get("/admin/auth/user/add/").status_code == 200
    role = Group.objects.get_or_create(name="Operators")[0]
    form = {
        "username": "siti",
        "usable_password": "true",
        "password1": "rahsia-ujian",
        "password2": "rahsia-ujian",
        "is_staff": "on",
        "groups": [role.pk],
    }
    response = admin_client.post("/admin/auth/user/add/", form)
    user = User.objects.get(username="siti")
    assert response.headers["Location"] == f"/admin/auth/user/{user.pk}/change/"
    assert user.check_password("rahsia-ujian")
    assert list(user.groups.all()) == [role]
    change = {"username": "siti", "first_name": "Siti", "is_active": "on", "is_staff": "on"}
    admin_client.post(f"/admin/auth/user/{user.pk}/change/", change)
    user.refresh_from_db()
    assert (user.first_name, user.groups.count(), user.is_superuser) == ("Siti", 0, False)
    passwords = {"usable_password": "true", "password1": "lain-sekali-lagi", "password2": "lain-sekali-lagi"}
    assert admin_client.post(f"/admin/auth/user/{user.pk}/password/", passwords).status_code == 302
    assert User.objects.get(pk=user.pk).check_password("lain-sekali-lagi")
    assert "May not log in here" not in admin_client.get("/admin/auth/user/").content.decode()


def test_the_permissions_of_a_role_are_edited(admin_client: Client, db) -> None:
    right = Permission.objects.get(codename="view_apikey")
    assert (
        admin_client.post("/admin/auth/group/add/", {"name": "Support", "permissions": [right.pk]}).status_code == 302
    )
    role = Group.objects.get(name="Support")
    assert list(role.permissions.all()) == [right]
    for path in ("", "add/", f"{role.pk}/change/"):
        assert admin_client.get(f"/admin/auth/group/{path}").status_code == 200
