"""Time the pages of the admin and the dashboard and count their queries, with a million rows in the ledger.

    python -m tools.benchmarks.pages [--rows 1000000] [--users 20000] [--database URL]

The pages are found automatically:

- for each model of the admin: the list of rows (plain, sorted, searched, filtered, for one month, and its last page),
  the page of one row, and the form that adds a row;
- every other address below /admin/ or /dashboard/ that takes no argument;
- the dashboard with each of its filters, for 90 days and for a year;
- pages to which the first page of the admin and the pages of the dashboard link.

Addresses for logging in and out, and those of single admin users, are left out.

By default, a temporary PostgreSQL server is started and filled. The database that ``--database`` names must already
contain data.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from asgiref.sync import async_to_sync

from tests import dependencies
from tools.benchmarks import environment

LIMIT_S = 1.0
RUNS = 3
AREAS = ("/admin/", "/dashboard/")
NOT_PAGES = ("/logout/", "/login/", "/jsi18n/", "/password_change/", "/autocomplete/", "/static/")
MAX_LINKS = 200


@dataclass(frozen=True)
class Page:
    """A page to be timed: what kind of page it is, and its address."""

    what: str
    address: str


@dataclass(frozen=True)
class Timing:
    """The measurements of one page.

    ``page``: the page and its address.
    ``status``: the HTTP status.
    ``first_s``: seconds of the first request, with cold caches.
    ``median_s``: median seconds of the later requests.
    ``queries``: number of database queries of the last request.
    ``slowest_query_s``: seconds of the slowest of these queries.
    ``slowest_sql``: the SQL of that query.
    ``size``: size of the response in bytes.
    """

    page: Page
    status: int
    first_s: float
    median_s: float
    queries: int
    slowest_query_s: float
    slowest_sql: str
    size: int


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.pages")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--database", help="of a PostgreSQL that is filled already")
    parser.add_argument("--only", default="", help="addresses that contain this")
    parser.add_argument("--sql", action="store_true", help="print the slowest query of each page that is too slow")
    options = parser.parse_args(arguments)
    with _database(options.database) as url:
        os.environ["DATABASE_URL"] = url
        os.environ["VOICE_DATABASE_POOL"] = "0"  # one thread, one connection
        environment.prepare()
        print(environment.machine())
        if not options.database:
            _fill(options.rows, options.users)
        return _measure(options.only, sql=options.sql)


@contextmanager
def _database(url: str | None) -> Iterator[str]:
    if url:
        yield url
        return
    with tempfile.TemporaryDirectory() as folder, dependencies.postgres(Path(folder)) as throw_away:
        yield throw_away


def _fill(rows: int, users: int) -> None:
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    started = time.perf_counter()
    call_command("seed_demo", rows=rows, users=users)
    print(f"filled in {time.perf_counter() - started:.0f} s\n")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")  # autovacuum would do this soon anyway


def _measure(only: str, *, sql: bool) -> int:
    client = _superuser_client()
    timings = []
    for page in _pages(client):
        if only in page.address:
            timings.append(_time(client, page))
            print(_line(timings[-1]), flush=True)
    slow = sorted((one for one in timings if one.median_s > LIMIT_S), key=lambda one: -one.median_s)
    broken = [one for one in timings if one.status != 200]
    print(f"\n{len(timings)} pages, {len(slow)} of them slower than {LIMIT_S:g} s, {len(broken)} without an answer")
    for timing in [*slow, *broken]:
        print(_line(timing))
        if sql:
            print(f"    {timing.slowest_query_s:.3f} s: {timing.slowest_sql[:600]}")
    return 1 if slow or broken else 0


def _line(timing: Timing) -> str:
    mark = "" if timing.median_s <= LIMIT_S and timing.status == 200 else f"  <-- {timing.status}"
    return (
        f"{timing.median_s:7.3f} s {timing.first_s:7.3f} s first {timing.queries:4d} queries"
        f" {timing.size // 1024:5d} KiB  {timing.page.what:<9} {timing.page.address[:110]}{mark}"
    )


def _superuser_client() -> Any:
    from django.contrib.auth.models import User
    from django.test import Client

    user, _is_new = User.objects.get_or_create(username="bench", is_staff=True, is_superuser=True)
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def _time(client: Any, page: Page) -> Timing:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    seconds = []
    status = 0
    size = 0
    for _run in range(1 + RUNS):
        with CaptureQueriesContext(connection) as queries:
            started = time.perf_counter()
            response = client.get(page.address, follow=True)
            size = len(_body(response))
            seconds.append(time.perf_counter() - started)
        status = response.status_code
        if seconds[-1] > 5 * LIMIT_S:
            break
    took = [(float(str(query["time"])), str(query["sql"])) for query in queries.captured_queries]
    slowest_s, slowest_sql = max(took, default=(0.0, ""))
    later = sorted(seconds[1:] or seconds)
    return Timing(page, status, seconds[0], later[len(later) // 2], len(queries), slowest_s, slowest_sql, size)


def _body(response: Any) -> bytes:
    if not response.streaming:
        return bytes(response.content)
    if not response.is_async:
        return b"".join(response.streaming_content)

    async def whole() -> bytes:
        return b"".join([part async for part in response.streaming_content])

    return async_to_sync(whole)()


def _pages(client: Any) -> Iterator[Page]:
    from django.contrib import admin
    from django.urls import reverse

    seen: set[str] = set()
    for page in (Page("page", area) for area in AREAS):
        if client.get(page.address).status_code == 200:
            seen.add(page.address)
            yield page
    for model, model_admin in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        for page in _of_model(client, model, model_admin, name, reverse(f"{name}_changelist")):
            seen.add(page.address)
            yield page
    for address in [*_chosen(client), *_routes(), *_links(client)]:
        path = urlsplit(address).path
        if address not in seen and not any(part in path for part in NOT_PAGES) and "/admin/auth/user/" not in path:
            seen.add(address)
            if client.get(address, follow=True).status_code not in (403, 404):
                yield Page("found", address)


def _of_model(client: Any, model: Any, model_admin: Any, name: str, address: str) -> Iterator[Page]:
    from django.urls import reverse

    yield Page("list", address)
    response = client.get(address)
    changelist = (getattr(response, "context_data", None) or {}).get("cl")
    if changelist is None:
        return
    row = model._default_manager.order_by("-pk").first()
    if row is not None:
        yield Page("row", reverse(f"{name}_change", args=[row.pk]))
        if model_admin.search_fields:
            yield Page("search", f"{address}?q={_searched(row, model_admin.search_fields)}")
            yield Page("search", f"{address}?q=nobody-is-called-this")
    for spec in changelist.filter_specs:
        choices = [choice for choice in spec.choices(changelist) if not choice.get("selected")]
        if choices and "query_string" in choices[0]:
            yield Page("filter", address + choices[0]["query_string"])
    if model_admin.date_hierarchy and row is not None:
        field = model_admin.date_hierarchy
        value = getattr(row, model_admin.date_hierarchy)
        yield Page("month", f"{address}?{field}__year={value.year}&{field}__month={value.month}")
    if changelist.paginator.num_pages > 1:
        yield Page("last", f"{address}?p={changelist.paginator.num_pages}")
    sortable = [place for place, name in enumerate(changelist.list_display) if name in changelist.sortable_by]
    for place in sortable:
        yield Page("sorted", f"{address}?o={place}")
    if client.get(f"{address}add/").status_code == 200:
        yield Page("form", f"{address}add/")


def _searched(row: Any, fields: Iterable[str]) -> str:
    """Return a text to search for: the row's value in the last search field.

    If the value is neither text nor an integer, return "x".
    """
    value: Any = row
    for part in list(fields)[-1].strip("=^@").split("__"):
        value = getattr(value, part, "")
    return str(value)[:40] if isinstance(value, str | int) else "x"


def _routes() -> Iterator[str]:
    """Yield every address below /admin/ and /dashboard/ that takes no argument."""
    from django.urls import URLPattern, URLResolver, get_resolver

    def walk(patterns: Iterable[Any], before: str) -> Iterator[str]:
        for pattern in patterns:
            address = before + str(pattern.pattern).removesuffix("$").removesuffix("\\Z").removeprefix("^")
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, address)
            elif isinstance(pattern, URLPattern) and address.startswith(AREAS) and not re.search(r"[<(\\?]", address):
                yield address

    yield from walk(get_resolver().url_patterns, "/")


def _chosen(client: Any) -> list[str]:
    """Return addresses of the dashboard for 90 days and for a year.

    For each of these two periods, there is one address for every value of every filter, and one that combines the first
    value of each filter.
    """
    page = _body(client.get("/dashboard/?range=90")).decode()
    fields = {
        name: re.findall(r'<option value="([^"]+)"', options)
        for name, options in re.findall(r'<select name="(\w+)"[^>]*>(.*?)</select>', page, re.DOTALL)
    }
    spans = ["range=90", f"from={date.today() - timedelta(days=365)}&to={date.today() - timedelta(days=1)}"]
    single = [f"{name}={value}" for name, values in fields.items() for value in values]
    together = "&".join(f"{name}={values[0]}" for name, values in fields.items() if values)
    return [f"/dashboard/?{span}&{choice}" for span in spans for choice in (*single, together)]


def _links(client: Any) -> list[str]:
    """Follow links, and return the addresses below /admin/ and /dashboard/ that were found.

    The links are read from the first page of each area, and from all pages of the dashboard, until at least
    ``MAX_LINKS`` addresses are found.
    """
    found: dict[str, None] = {}
    waiting = list(AREAS)
    while waiting and len(found) < MAX_LINKS:
        address = waiting.pop(0)
        response = client.get(address)
        if response.status_code != 200 or not response.get("Content-Type", "").startswith("text/html"):
            continue
        for link in re.findall(r'(?:href="|data-[a-z-]+="(?=/))([^"#]+)', _body(response).decode()):
            linked = urljoin(address, unescape(link))
            if linked.startswith(AREAS) and linked not in found and linked not in AREAS:
                found[linked] = None
                if not linked.startswith(AREAS[0]):
                    waiting.append(linked)
    return list(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
