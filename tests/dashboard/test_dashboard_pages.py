"""The page and the files of the product dashboard: their contents, who may see them, and how many queries they make."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from core.models import ClientApplication
from dashboard import views
from dashboard.board import FILES, TABLES, csv_of, zip_of
from rollout import roles
from tests.usage.boards import board, table
from usage.models import ChatUsers, DailyMix

MAX_QUERIES = 40  # for the page, whatever its filters


class TestFiles:
    def test_the_zip_contains_all_files(self, used: date) -> None:
        first = used - timedelta(days=9)
        pieces = list(zip_of(board(first, used)))
        assert len(pieces) > len(FILES)
        with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
            assert archive.testzip() is None
            assert archive.namelist() == [f"{name}.csv" for name in FILES]
            assert archive.read("minutes.csv") == b"".join(csv_of("minutes", board(first, used)))

    def test_csv_numbers_are_unformatted_and_formulas_are_text(self, used: date) -> None:
        client = ClientApplication.objects.first()
        DailyMix.objects.create(
            day=used,
            client=client,
            kind="speech",
            model='=HYPERLINK("x")',
            voice="@SUM(1)",
            language="+a",
            error_code="-x",
            requests=12_345,
            characters=-1_234_567,
        )
        row = next(row for row in table("daily-mix", used, used) if row["requests"] == "12345")
        assert (row["model"], row["voice"], row["error_code"]) == ('\'=HYPERLINK("x")', "'@SUM(1)", "'-x")
        assert row["characters"] == "-1234567"
        for name in TABLES:
            for line in table(name, used - timedelta(days=20), used):
                for value in line.values():
                    assert value[:1] not in ("=", "+", "@"), (name, line)

    async def test_csv_files_are_streamed(self) -> None:
        """The files are sent piece by piece. From a synchronous iterator, Django would collect the whole file first."""
        pieces = views._in_pieces(lambda: iter([b"1", b"2"]))
        assert [piece async for piece in pieces] == [b"1", b"2"]


class TestPage:
    def test_it_works(self, product: Client, used: date) -> None:
        response = product.get("/dashboard/")
        assert response.status_code == 200
        page = response.content.decode()
        assert response.headers["Cache-Control"] == "private, no-store"
        assert "default-src 'self'" in response.headers["Content-Security-Policy"]
        assert 'style="' not in page  # the content security policy would drop it
        for name in TABLES:
            if name != "adoption-by-client":
                assert f"/dashboard/{name}.csv?range=30" in page, name

    def test_numbers_on_the_page_are_formatted(self, product: Client, used: date) -> None:
        DailyMix.objects.create(
            day=used,
            client=ClientApplication.objects.first(),
            kind="transcription",
            audio_ms=12_345 * 60_000,
            requests=7,
        )
        page = product.get("/dashboard/").content.decode()
        assert re.search(r"<b>12,[34]\d\d\u00a0min</b>", page)
        assert "USD " in page

    def test_queries_are_bounded(self, product: Client, used: date) -> None:
        def queries(query: str) -> int:
            with CaptureQueriesContext(
                connection,
            ) as captured:
                assert product.get(f"/dashboard/{query}").status_code == 200
            assert not any("usage_ledgerentry" in one["sql"] or "usage_dailyuse" in one["sql"] for one in captured)
            return len(captured)

        assert queries("?range=7") == queries(f"?from={used - timedelta(days=365)}&to={used}") <= MAX_QUERIES

    def test_one_csv_file_needs_few_queries(self, product: Client, used: date, django_assert_max_num_queries) -> None:
        with django_assert_max_num_queries(3):
            list(csv_of("minutes", board(used, used)))

    def test_an_empty_database(self, product: Client) -> None:
        page = product.get("/dashboard/").content.decode()
        assert "Nobody used voice in these days." in page
        assert "Nothing in these days." in page
        assert "The number of chat users is not known" in page
        assert page.count("not enough data") > 8

    @pytest.mark.parametrize(
        ("query", "says"),
        [
            ("range=14", "There is no range “14”"),
            ("from=2026-01-01", "The last day is missing"),
            ("to=2026-01-01", "The first day is missing"),
            ("from=1.1.2026&to=2026-02-01", "“1.1.2026” is not a date"),
            ("from=2026-02-30&to=2026-03-01", "“2026-02-30” is not a date"),
            ("from=2026-02-02&to=2026-02-01", "is after the last"),
            ("from=2026-02-02&to=2999-02-01", "is still to come"),
            ("from=2020-01-01&to=2026-01-01", "more than the 366"),
            ("from=0001-01-01&to=0001-01-02", "too long ago"),
            ("range=7&from=2026-01-01&to=2026-01-02", "either a range, or from and to"),
            ("client=nobody", "There is no client application “nobody”"),
            ("feature=sight", "There is no feature “sight”. Choose one of asr, tts, realtime"),
            ("language=klingon", "Nobody used voice in a language “klingon”"),
            ("range=%3Cscript%3E", "There is no range “&lt;script&gt;”"),
        ],
    )
    def test_invalid_date_ranges(self, product: Client, query: str, says: str) -> None:
        response = product.get(f"/dashboard/?{query}")
        assert response.status_code == 400
        assert says in response.content.decode()
        error = product.get(f"/dashboard/minutes.csv?{query}")
        assert error.status_code == 400
        assert error.json()["error"]["code"] == "invalid_value"
        assert product.get(f"/dashboard/all.zip?{query}").status_code == 400

    @pytest.mark.parametrize("preset", ["7", "30", "90", "month"])
    def test_presets(self, product: Client, preset: str) -> None:
        page = product.get(f"/dashboard/?range={preset}").content.decode()
        assert f'?range={preset}" aria-current="true"' in page

    def test_an_unknown_file(self, product: Client) -> None:
        assert product.get("/dashboard/passwords.csv").status_code == 404


class TestWhoMayLook:
    PATHS = ("/dashboard/", "/dashboard/minutes.csv", "/dashboard/all.zip?range=7")

    @pytest.mark.parametrize("path", PATHS)
    def test_anonymous_visitors_log_in_and_return(self, client: Client, product: Client, path: str) -> None:
        response = client.get(path)
        assert (response.status_code, response.headers["Location"]) == (
            302,
            f"/admin/login/?next={path.replace('?', '%3F').replace('=', '%3D')}",
        )
        person = User.objects.get(username="farid")
        person.set_password("rahsia")
        person.save()
        form = {"username": "farid", "password": "rahsia", "next": path}
        assert client.post("/admin/login/", form).headers["Location"] == path

    @pytest.mark.parametrize("path", PATHS)
    def test_users_without_permission_get_an_explanation(self, product: Client, client: Client, path: str) -> None:
        client.force_login(User.objects.create_user("tamu", is_staff=True))
        response = client.get(path)
        assert response.status_code == 403
        page = response.content.decode()
        assert "This account may not see the dashboard" in page
        assert "tamu" in page
        assert "Sign out" in page

    def test_superusers_and_operators_have_access(self, product: Client, admin_client: Client, client: Client) -> None:
        operator = User.objects.create_user("siti", is_staff=True)
        operator.groups.add(Group.objects.get(name=roles.OPERATORS))
        client.force_login(operator)
        for one in (admin_client, client):
            assert one.get("/dashboard/").status_code == 200

    def test_only_reading_methods_are_allowed(self, product: Client) -> None:
        for path in self.PATHS:
            assert product.post(path).status_code == 405
        for path in ("usage/chatusers/add/", "usage/plan/add/", "rollout/ramp/add/", "voiceproject/apikey/add/"):
            assert product.get(f"/admin/{path}").status_code == 403

    def test_only_superusers_enter_numbers_of_chat_users(self, product: Client, admin_client: Client) -> None:
        chat = ClientApplication.objects.create(name="chat")
        add = "/admin/usage/chatusers/add/"
        assert add not in product.get("/dashboard/").content.decode()
        assert add in admin_client.get("/dashboard/").content.decode()
        form = {"client": chat.pk, "day": "2026-01-01", "users": "100000", "note": "finance"}
        admin_client.post(add, form)
        row = ChatUsers.objects.get()
        assert row.users == 100_000
        assert admin_client.post(f"/admin/usage/chatusers/{row.pk}/change/", {**form, "users": 1}).status_code == 403


def test_an_anonymous_request_needs_no_query(django_assert_num_queries) -> None:
    request = RequestFactory().get("/dashboard/")
    request.user = AnonymousUser()
    assert views.page(request).status_code == 302


def test_stylesheets_use_only_defined_tokens() -> None:
    ours = [path for path in Path(settings.BASE_DIR, "static").rglob("*.css") if "vendor" not in path.parts]
    texts = {path.name: path.read_text() for path in ours}
    known = {name for text in texts.values() for name in re.findall(r"(--[\w-]+)\s*:", text)}
    # A variable with a fallback (``var(--border-radius, 6px)``) belongs to the admin's theme.
    used = {(path, name) for path, text in texts.items() for name in re.findall(r"var\((--[\w-]+)\)", text)}
    assert {(path, name) for path, name in used if name not in known} == set()
