"""The weekly summary (page, mail and PDF) has the numbers of the dashboard, and also revenue, cost and margin."""

from __future__ import annotations

import re
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from smtplib import SMTPRecipientsRefused

import pypdfium2
import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from core.models import ClientApplication
from dashboard import weekly_mail
from dashboard.models import MailedSummary
from dashboard.weekly_summary import Summary, last_whole_week
from tests.usage.boards import board, table
from usage.exchange_rates import ExchangeRate, rate_of
from usage.models import CreditNote, InfrastructureCost, LedgerEntry, Plan, Statement
from usage.period import month_of
from usage.statement_generation import draft_month


def text_of(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    return "".join(document[number].get_textpage().get_text_bounded() for number in range(len(document)))


def test_the_numbers_equal_those_of_the_dashboard(product: Client, used: date) -> None:
    week = last_whole_week(timezone.now())
    figures = {tile.name: tile.value for tile in board(week, week + timedelta(days=6)).tiles}
    page = product.get("/dashboard/weekly/").content.decode()
    mailed = product.get(f"/dashboard/weekly/mail.html?week={week}").content.decode()
    pdf = product.get(f"/dashboard/weekly/summary.pdf?week={week + timedelta(days=3)}")
    assert pdf.headers["Content-Type"] == "application/pdf"
    words = text_of(pdf.content).replace("\u00a0", " ")
    for name, value in figures.items():
        for told in (page, mailed):
            assert f"<small>{name}</small><br><b>{value}</b>" in told
        assert value.replace("\u00a0", " ") in words, name
    assert "style-src 'unsafe-inline'" in product.get("/dashboard/weekly/mail.html").headers["Content-Security-Policy"]


def test_the_summary_is_mailed(used: date, settings) -> None:
    settings.VOICE_SUMMARY_EMAILS = ["produk@example.com"]
    call_command("send_weekly_summary", stdout=StringIO())
    (sent,) = mail.outbox
    assert sent.to == settings.VOICE_SUMMARY_EMAILS
    assert sent.subject.startswith("[voice] Voice in the week of ")
    (html, kind), (name, pdf, pdf_kind) = sent.alternatives[0], sent.attachments[0]
    assert (kind, pdf_kind) == ("text/html", "application/pdf")
    assert name == f"voice_{last_whole_week(timezone.now())}.pdf"
    assert "Scorecard" in html and "Scorecard" in sent.body and "Scorecard" in text_of(pdf)
    assert "<script" not in html


def test_each_recipient_gets_it_once_in_their_language(used: date, settings, product: Client) -> None:
    settings.VOICE_SUMMARY_EMAILS = ["produk@example.com", "ms:puteri@example.com"]
    for _run in range(2):
        call_command("send_weekly_summary", stdout=StringIO())
    english, malay = mail.outbox
    assert (english.to, malay.to) == (["produk@example.com"], ["puteri@example.com"])
    assert malay.subject.startswith("[voice] Suara dalam minggu ")
    html = malay.alternatives[0][0]
    told = (html, malay.body, text_of(malay.attachments[0][1]))
    for words, ours in (("Scorecard", "Kad skor"), ("met", "dicapai"), ("Active users", "Pengguna aktif")):
        assert all(ours in one and not re.search(rf"\b{words}\b", one) for one in told), words
    assert '<html lang="ms">' in html
    assert "puteri@example.com" in product.get("/dashboard/weekly/").content.decode().partition("went to")[2]
    before = list(MailedSummary.objects.order_by("reader").values_list("mailed_at", flat=True))
    call_command("send_weekly_summary", again=True, stdout=StringIO())
    assert len(mail.outbox) == 4
    after = list(MailedSummary.objects.order_by("reader").values_list("mailed_at", flat=True))
    assert all(new > old for new, old in zip(after, before, strict=True))


@pytest.mark.parametrize("why", [SMTPRecipientsRefused({"b@example.com": (550, b"no such user")}), ValueError("b")])
def test_a_failed_mail_does_not_stop_the_others(used: date, settings, monkeypatch, why) -> None:
    settings.VOICE_SUMMARY_EMAILS = ["a@example.com", "b@example.com", "c@example.com"]
    send = mail.EmailMultiAlternatives.send

    def refuse(message: mail.EmailMultiAlternatives) -> int:
        if message.to == ["b@example.com"]:
            raise why
        return send(message)

    monkeypatch.setattr("django.core.mail.EmailMultiAlternatives.send", refuse)
    for said_to in (2, 0):
        told = StringIO()
        with pytest.raises(CommandError, match=r"b@example\.com"):
            call_command("send_weekly_summary", stdout=told)
        assert f"Mailed to {said_to}:" in told.getvalue()
    assert [sent.to for sent in mail.outbox] == [["a@example.com"], ["c@example.com"]]
    assert weekly_mail.mailed(last_whole_week(timezone.now())) == ["a@example.com", "c@example.com"]


def test_no_transaction_is_open_during_mailing(used: date, settings, monkeypatch) -> None:
    settings.VOICE_SUMMARY_EMAILS = ["produk@example.com"]
    outer = len(connection.savepoint_ids)  # savepoints of the test itself
    found = []

    def note(*_whatever: object) -> bytes:
        found.append((len(connection.savepoint_ids) - outer, MailedSummary.objects.count()))
        return b""

    monkeypatch.setattr(Summary, "pdf", note)
    monkeypatch.setattr("django.core.mail.EmailMultiAlternatives.send", note)
    call_command("send_weekly_summary", stdout=StringIO())
    assert found == [(0, 0), (0, 1)]


def test_a_week_that_is_not_over_is_not_mailed(used: date, settings, tmp_path: Path) -> None:
    settings.VOICE_SUMMARY_EMAILS = ["produk@example.com"]
    today = str(timezone.localdate())
    with pytest.raises(CommandError, match="not over"):
        call_command("send_weekly_summary", week=today, stdout=StringIO())
    assert not mail.outbox and not MailedSummary.objects.exists()
    call_command("send_weekly_summary", week=today, save=tmp_path, stdout=StringIO())
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failed_mail_is_retried(used: date, settings, monkeypatch) -> None:
    settings.VOICE_SUMMARY_EMAILS = ["produk@example.com"]

    def refuse(mail: object) -> int:
        raise OSError("the server is away")

    with monkeypatch.context() as broken:
        broken.setattr("django.core.mail.EmailMultiAlternatives.send", refuse)
        with pytest.raises(CommandError, match="is away"):
            call_command("send_weekly_summary", stdout=StringIO())
    call_command("send_weekly_summary", stdout=StringIO())
    assert len(mail.outbox) == 1


def test_no_recipients(used: date, settings, tmp_path: Path) -> None:
    settings.VOICE_SUMMARY_EMAILS = []
    said = StringIO()
    call_command("send_weekly_summary", stdout=said)
    assert "VOICE_SUMMARY_EMAILS is empty" in said.getvalue()
    assert mail.outbox == []
    call_command("send_weekly_summary", week=str(used), save=tmp_path, stdout=said)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("week", ["soon", "2999-01-01", "0001-01-01"])
def test_invalid_weeks(product: Client, week: str) -> None:
    assert product.get(f"/dashboard/weekly/?week={week}").status_code == 400
    assert product.get(f"/dashboard/weekly/summary.pdf?week={week}").status_code == 400
    with pytest.raises(CommandError):
        call_command("send_weekly_summary", week=week)


def test_a_week_without_use_and_unusual_characters(db: None) -> None:
    client = ClientApplication.objects.create(name="chat")
    now = timezone.now()
    Statement.objects.create(client=client, month=month_of(now), total_micros=5)
    ExchangeRate.objects.create(day=date(2026, 1, 1), ringgit="4.5", source="银行 <b>→</b> தமிழ்")
    words = text_of(Summary(last_whole_week(now) + timedelta(weeks=1), now).pdf())
    assert "<b>to</b>" in words
    assert "Nothing in these days." in words


class TestMargins:
    def test_margin_is_revenue_less_cost(self, used: date) -> None:
        Plan.objects.update(included_characters=0, micros_per_1000_characters=2_000_000)
        last = used - timedelta(days=1)  # a finished day, so that the month has use on its first day too
        month = last.replace(day=1)
        draft_month(month)
        InfrastructureCost.objects.all().delete()
        InfrastructureCost.objects.create(
            resource="t4", price_micros=90_000_000, per="month", starts_at=timezone.now() - timedelta(days=200)
        )
        ExchangeRate.objects.create(day=month, ringgit="4.25", source="the central bank")
        found = board(last, last)
        rows = {row["client"]: row for row in table("margins", last, last)}
        for name in ("chat-android", "chat-web"):
            row = rows[name]
            statement = Statement.objects.get(client__name=name, user="", month=month)
            assert float(row["revenue_myr"]) == pytest.approx(statement.total_micros / 1e6)
            assert float(row["margin_myr"]) == pytest.approx(float(row["revenue_myr"]) - float(row["cost_myr"]))
        spent = found.money.month.spent_micros / 1e6 * 4.25
        assert float(rows["All together"]["cost_myr"]) == pytest.approx(spent, rel=1e-3)
        assert sum(float(row["cost_myr"]) for row in rows.values()) == pytest.approx(2 * spent, rel=1e-3)
        heard = {row.client.name: 0 for row in LedgerEntry.objects.select_related("client")}
        assert set(heard) <= set(rows)

    def test_credit_notes_reduce_the_revenue_of_their_statement(self, db: None) -> None:
        client = ClientApplication.objects.create(name="chat-web")
        today = timezone.localdate()
        for user, sen in (("", 300), ("aminah", 70)):
            statement = Statement.objects.create(
                client=client, user=user, month=month_of(timezone.now()), total_micros=10_000_000
            )
            CreditNote.objects.create(statement=statement, amount_sen=sen, why="heard wrongly", by="siti")
        [row] = table("margins", today, today)
        assert float(row["revenue_myr"]) == pytest.approx(10 - 3)

    def test_without_an_exchange_rate_there_is_no_cost_in_ringgit(self, used: date) -> None:
        draft_month(month_of(timezone.now()))
        rows = table("margins", used, used)
        assert {(row["cost_myr"], row["margin_myr"]) for row in rows} <= {("", "")}
        assert "No exchange rate is known" in board(used, used).margins.note

    def test_the_newest_exchange_rate_applies(self, db: None) -> None:
        assert rate_of([], date(2026, 5, 1)) is None
        for day, ringgit in ((date(2026, 5, 1), "4.5"), (date(2026, 6, 1), "4.2")):
            ExchangeRate.objects.create(day=day, ringgit=ringgit, source="s")
        rates = list(ExchangeRate.objects.all())
        found = [str(rate_of(rates, day).ringgit) for day in (date(2026, 4, 1), date(2026, 5, 31), date(2026, 6, 1))]
        assert found == ["4.5000", "4.5000", "4.2000"]
        assert rate_of(rates, date(2026, 6, 2)).in_ringgit(1_000_001) == 4_200_004


def test_the_page_links_to_it(product: Client) -> None:
    assert re.search(r'href="/dashboard/weekly/"', product.get("/dashboard/").content.decode())
