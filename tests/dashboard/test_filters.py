"""The dashboard filtered by client, feature, language or end user agrees with numbers counted from the ledger."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from capacity.models import Outage, Phase
from dashboard.board import FILES, Board, csv_of
from dashboard.date_range import BadQuery, asked
from dashboard.definitions import DEFINITIONS
from dashboard.filters import asked as filtered
from dashboard.people import digits_of, find
from rollout.feature import Feature
from rollout.models import Flag
from tests.dashboard.test_dashboard import ledger
from tests.usage.boards import DAYS, read
from usage import personal_data
from usage.entry import CHARGED_STATUSES, Kind
from usage.ledger_posting import ceiling_ms
from usage.models import ChatUsers, Correction, LedgerEntry

SOME = [
    {"client": "chat-web"},
    {"feature": "tts"},
    {"language": "ms"},
    {"client": "chat-android", "feature": "asr", "language": "en"},
    {"feature": "realtime", "language": "ms"},
]


def board(first: date, last: date, parts: dict[str, str]) -> Board:
    query = {"from": first.isoformat(), "to": last.isoformat(), **parts}
    return Board(asked(query, timezone.now()), filtered(query))


def chosen(rows: list[LedgerEntry], parts: dict[str, str]) -> list[LedgerEntry]:
    return [
        row
        for row in rows
        if parts.get("client", row.client.name) == row.client.name
        and parts.get("feature", Kind(row.kind).feature) == Kind(row.kind).feature
        and parts.get("language", row.language) == row.language
    ]


def test_filtered_tables_equal_the_filtered_ledger(used: date) -> None:
    first = used - timedelta(days=19)
    for parts in SOME:
        found = board(first, used, parts)
        rows = chosen(ledger(first, used), parts)
        assert sum(int(row["requests"]) for row in read(csv_of("daily-mix", found))) == len(rows)
        heard = sum(row.audio_ms for row in rows if row.status in CHARGED_STATUSES and row.kind != "speech")
        minutes = sum(float(row["minutes"]) for row in read(csv_of("minutes", found)))
        assert minutes == pytest.approx(heard / 60_000, abs=1e-3)
        active = {
            (row.client_id, row.user)
            for row in chosen(ledger(used - timedelta(days=29), used), parts)
            if row.status == 200
        }
        assert found.active == len(active)
        assert int(read(csv_of("active-users", found))[-1]["users_30_days"]) == len(active)
        corrected = Correction.objects.filter(entry__in=[row.pk for row in rows])
        assert found.quality.words.count == corrected.count()
        took = [row.total_ms for row in rows if row.kind == "speech" and row.status == 200]
        if took:
            assert found.speed.tts_p95 == ceiling_ms(sorted(took)[-(-95 * len(took) // 100) - 1]) / 1000
        else:
            assert found.speed.tts_p95 is None


@pytest.mark.parametrize("field", ["client", "feature", "language"])
def test_a_null_character_is_refused(db: None, field: str) -> None:
    with pytest.raises(BadQuery, match=f"“{field}” contains a null character") as refused:
        filtered({field: "a\0b"})
    assert refused.value.field == field


def test_the_comparison_uses_the_preceding_days(used: date) -> None:
    first = used - timedelta(days=6)
    before = read(csv_of("minutes", board(first - timedelta(days=7), first - timedelta(days=1), {})))
    now = read(csv_of("minutes", board(first, used, {})))
    assert [row["minutes_before"] for row in now] == [row["minutes"] for row in before]
    active = read(csv_of("active-users", board(first, used, {})))
    earlier = read(csv_of("active-users", board(first - timedelta(days=7), first - timedelta(days=1), {})))
    assert [row["users_30_days_before"] for row in active] == [row["users_30_days"] for row in earlier]


def test_adoption_by_client_and_feature(used: date) -> None:
    Flag.objects.filter(name=Feature.TTS).update(percent=3)
    found = board(used, used, {"client": "chat-web", "feature": "tts"}).adoption
    of_web = ChatUsers.objects.get(client__name="chat-web").users
    told, enabled, tried = (step.users or 0 for step in found.steps[:3])
    assert (told, enabled) == (of_web, max(round(of_web * 0.03), tried))
    assert board(used, used, {"language": "ms"}).adoption.eligible is None


def test_links_files_and_names_keep_the_filters(product: Client, used: date) -> None:
    page = product.get("/dashboard/?range=7&client=chat-web&language=ms").content.decode()
    assert 'href="?range=90&amp;client=chat-web&amp;language=ms"' in page
    for name in FILES:
        if name not in ("adoption-by-client",):
            assert f"/dashboard/{name}.csv?range=7&amp;client=chat-web&amp;language=ms" in page, name
    assert "/dashboard/people.csv?range=7" in page
    answer = product.get("/dashboard/minutes.csv?range=7&client=chat-web&language=ms")
    assert "minutes_chat-web_ms_" in answer.headers["Content-Disposition"]
    assert "whole service" in page
    assert "whole service" not in product.get("/dashboard/?range=7").content.decode()


def test_a_clients_people_are_shown_as_pseudonyms(product: Client, used: date) -> None:
    page = product.get("/dashboard/?range=30&client=chat-web").content.decode()
    link = re.search(r'href="(/dashboard/people/chat-web/([0-9a-f]{24})\?range=30[^"]*)">(p-[0-9a-f]{10})<', page)
    assert link is not None
    assert "user-0" not in page
    person = product.get(link[1].replace("&amp;", "&")).content.decode()
    assert link[3] in person
    assert "user-0" not in person
    rows = [row for row in ledger(used - timedelta(days=29), used) if digits_of(row.client_id, row.user) == link[2]]
    assert f"<b>{len(rows)}</b>" in person
    assert product.get(f"/dashboard/people/chat-web/{link[2]}/latest.csv?range=30").status_code == 200
    assert product.get(f"/dashboard/people/chat-android/{link[2]}").status_code == 404
    assert product.get(f"/dashboard/people/chat-web/{link[2]}/passwords.csv").status_code == 404
    assert product.get("/dashboard/people.csv").status_code == 404


def test_a_pruned_user_is_still_found_by_pseudonym(used: date) -> None:
    row = LedgerEntry.objects.filter(status=200).select_related("client")[0]
    digits = digits_of(row.client_id, row.user)
    assert find(row.client, digits) == [row.user]
    personal_data.prune(row.created_at + timedelta(days=32))  # in a later month, in any time zone
    assert f"gone:{digits}" in find(row.client, digits)
    assert find(row.client, "0" * 24) == find(row.client, "../x") == []


def test_events_are_filtered(used: date) -> None:
    now = timezone.now()
    for name in (Feature.ASR, Feature.TTS):
        flag = Flag.objects.get(name=name)
        flag.percent = 9
        flag.save()
    Outage.objects.create(began_at=now - timedelta(days=2), seen_at=now, ended_at=now, reason="engine not ready")
    Phase.objects.filter(number=1).update(users_to=3)
    rows = read(csv_of("events", board(used - timedelta(days=DAYS), used, {})))
    kinds = [row["kind"] for row in rows]
    assert kinds.count("Outage") == 1
    assert [row["text"] for row in rows if row["kind"] == "Roll-out"][-1] == "asr, tts as voice → 9 %"
    assert any(row["text"].startswith("2 Growth: 4 users") for row in rows if row["kind"] == "Phase")
    assert [row["number"] for row in rows] == [str(number) for number in range(1, len(rows) + 1)]


def test_docs_and_page_have_the_same_definitions() -> None:
    text = (Path(settings.BASE_DIR) / "docs" / "dashboard.md").read_text()
    table = text.partition("## What each number means")[2].partition("\n## ")[0]
    told = {}
    for line in table.splitlines():
        if line.startswith("| ") and not line.startswith("| on the page"):
            name, meaning = (cell.strip() for cell in line.split("|")[1:3])
            told[name] = meaning.replace("`", "").replace("*", "")
    assert told == {name: str(meaning) for name, meaning in DEFINITIONS.items()}
