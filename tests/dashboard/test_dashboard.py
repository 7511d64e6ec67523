"""The numbers of the product dashboard equal those that are computed directly from the ledger and other tables."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from capacity.models import HourlyPeak, ProbeDay
from core.models import ClientApplication
from dashboard.board import FILES, csv_of
from rollout.models import ClientShare, Flag
from tests.emptying import rows_of_several_tests
from tests.usage.believable import history
from tests.usage.boards import DAYS, board, table
from usage import cost
from usage.activity import week_of
from usage.entry import CHARGED_STATUSES
from usage.ledger_posting import CEILINGS_MS
from usage.models import ChatUsers, Correction, InfrastructureCost, LedgerEntry, Rating
from usage.period import day_of
from usage.targets import Metric


@pytest.fixture(scope="class")
def _history(django_db_setup, django_db_blocker) -> Iterator[date]:
    with rows_of_several_tests(django_db_blocker):
        today = timezone.localdate()
        history(today, DAYS, people=40)
        yield today


@pytest.fixture
def used(_history: date, db) -> date:
    """The last day of a history that the tests of a class share."""
    return _history


def ledger(first: date, last: date) -> list[LedgerEntry]:
    rows = LedgerEntry.objects.select_related("client")
    return [row for row in rows if first <= day_of(row.created_at) <= last]


def days_between(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def spans(last: date) -> list[tuple[date, date]]:
    """Return date ranges: the whole history, the last week, a part in the middle, and one day."""
    ago = [last - timedelta(days=days) for days in range(DAYS)]
    return [(ago[-1], last), (ago[6], last), (ago[29], ago[12]), (ago[3], ago[3])]


def over_spans(test: Callable[[Any, tuple[date, date]], None]) -> Callable[[Any, date], None]:
    """Decorate a test so that it runs on all date ranges of one history.

    Making a separate history for each range would take too long.
    """

    def over_all(self: Any, used: date) -> None:
        for span in spans(used):
            test(self, span)

    return over_all


class TestNumbers:
    @over_spans
    def test_minutes_and_characters(self, span: tuple[date, date]) -> None:
        heard: Counter[date] = Counter()
        spoken: Counter[date] = Counter()
        for row in ledger(*span):
            if row.status in CHARGED_STATUSES:
                day = day_of(row.created_at)
                if row.kind == "speech":
                    spoken[day] += row.characters
                else:
                    heard[day] += row.audio_ms
        assert [(row["day"], row["minutes"]) for row in table("minutes", *span)] == [
            (day.isoformat(), f"{heard[day] / 60_000:.6f}".rstrip("0").rstrip(".")) for day in days_between(*span)
        ]
        assert [int(row["characters"]) for row in table("characters", *span)] == [
            spoken[day] for day in days_between(*span)
        ]

    @over_spans
    def test_active_users(self, span: tuple[date, date]) -> None:
        served = {(day_of(row.created_at), row.client_id, row.user) for row in LedgerEntry.objects.filter(status=200)}

        def active(day: date, days: int) -> int:
            return len({(client, user) for at, client, user in served if day - timedelta(days=days) < at <= day})

        found = [
            (int(row["users"]), int(row["users_7_days"]), int(row["users_30_days"]))
            for row in table("active-users", *span)
        ]
        assert found == [(active(day, 1), active(day, 7), active(day, 30)) for day in days_between(*span)]

    @over_spans
    def test_languages_and_voices(self, span: tuple[date, date]) -> None:
        heard: Counter[str] = Counter()
        spoken: Counter[str] = Counter()
        voices: Counter[str] = Counter()
        for entry in ledger(*span):
            if entry.status in CHARGED_STATUSES:
                heard[entry.language] += 0 if entry.kind == "speech" else entry.audio_ms
                spoken[entry.language] += entry.characters
                voices[entry.voice] += entry.characters
        names = {"ms": "Malay", "en": "English", "zh": "Mandarin", "ta": "Tamil"}
        found = {row["language"]: row for row in table("languages", *span)}
        for language, name in names.items():
            row = found.get(name, {"minutes": "0", "characters": "0", "minutes_share": ""})
            assert float(row["minutes"]) == pytest.approx(heard[language] / 60_000, abs=1e-6)
            assert int(row["characters"]) == spoken[language]
            if row["minutes_share"]:
                assert float(row["minutes_share"]) == pytest.approx(heard[language] / heard.total(), abs=1e-6)
        by_voice: Counter[str] = Counter()
        for row in table("voices", *span):
            by_voice[row["voice"]] += int(row["characters"])
        del voices[""]
        assert by_voice == voices  # a voice without characters equals an absent one

    @over_spans
    def test_clients(self, span: tuple[date, date]) -> None:
        requests = Counter(row.client.name for row in ledger(*span))
        active: dict[str, set[str]] = defaultdict(set)
        for row in ledger(span[1] - timedelta(days=29), span[1]):
            if row.status == 200:
                active[row.client.name].add(row.user)
        found = {row["client"]: (int(row["requests"]), int(row["active_30_days"])) for row in table("clients", *span)}
        assert found == {name: (number, len(active[name])) for name, number in requests.items()}

    @over_spans
    def test_errors(self, span: tuple[date, date]) -> None:
        codes = Counter(row.error_code for row in ledger(*span))
        requests = codes.total()
        del codes[""]
        found = table("errors", *span)
        assert {row["code"]: int(row["requests"]) for row in found} == codes
        for row in found:
            assert float(row["share"]) == pytest.approx(codes[row["code"]] / requests, abs=1e-6)

    @over_spans
    def test_error_rate(self, span: tuple[date, date]) -> None:
        for row in table("error-rate", *span):
            day = date.fromisoformat(row["day"])
            statuses = [entry.status for entry in ledger(day, day)]
            counted = [status for status in statuses if status not in (403, 429, 499)]
            failed = sum(status >= 500 for status in counted)
            assert (int(row["failed"]), int(row["requests"])) == (failed, len(statuses))
            assert (
                row["failure_rate"] == ""
                if len(counted) < 20
                else float(row["failure_rate"]) == pytest.approx(failed / len(counted), abs=1e-6)
            )

    @over_spans
    def test_response_times(self, span: tuple[date, date]) -> None:
        for row in table("response-times", *span):
            day = date.fromisoformat(row["day"])
            for half, kinds in (("asr", ("transcription", "translation")), ("tts", ("speech",))):
                took = sorted(
                    entry.total_ms
                    for entry in ledger(day, day)
                    if entry.kind in kinds and entry.status == 200 and not entry.is_live
                )
                for rank in (50, 95):
                    found = row[f"{half}_p{rank}_s"]
                    if not took:
                        assert found == ""
                        continue
                    exact = took[-(-rank * len(took) // 100) - 1]  # nearest rank
                    ceiling = next(ceiling for ceiling in CEILINGS_MS if ceiling >= exact)
                    assert float(found) == ceiling / 1000
                    assert exact <= ceiling <= 1.2 * exact + 1

    @over_spans
    def test_retention(self, span: tuple[date, date]) -> None:
        served: dict[tuple[int, str], set[date]] = defaultdict(set)
        for entry in LedgerEntry.objects.filter(status=200):
            served[entry.client_id, entry.user].add(week_of(day_of(entry.created_at)))
        rows = table("retention", *span)
        assert rows
        for row in rows:
            first = date.fromisoformat(row["week_of_first_use"])
            cohort = [weeks for weeks in served.values() if min(weeks) == first]
            back = sum(first + timedelta(weeks=int(row["weeks_later"])) in weeks for weeks in cohort)
            assert (int(row["cohort"]), int(row["users"])) == (len(cohort), back)
            assert float(row["share"]) == pytest.approx(back / len(cohort), abs=1e-6)

    @over_spans
    def test_cost(self, span: tuple[date, date]) -> None:
        InfrastructureCost.objects.all().delete()
        long_ago = timezone.now() - timedelta(days=400)
        InfrastructureCost.objects.create(
            resource="t4", price_micros=500_000, per="hour", speech_to_text_percent=75, starts_at=long_ago
        )
        last_day = min(timezone.now(), datetime.combine(span[1], datetime.max.time(), timezone.get_current_timezone()))
        first_day = datetime.combine(span[0], datetime.min.time(), timezone.get_current_timezone())
        hours = (last_day - first_day).total_seconds() / 3600
        rows = table("cost", *span)
        assert sum(float(row["cost_usd"]) for row in rows) == pytest.approx(hours * 0.5, rel=1e-3)
        charged = [row for row in ledger(*span) if row.status in CHARGED_STATUSES]
        heard = sum(row.audio_ms for row in charged if row.kind != "speech") / 3_600_000
        characters = sum(row.characters for row in charged)
        money = board(*span).money
        if heard:
            assert money.speech_to_text.micros == pytest.approx(hours * 0.375 / heard * 1e6, rel=1e-3)
        if characters:
            assert money.text_to_speech.micros == pytest.approx(hours * 0.125 / characters * 1e9, rel=1e-3)

    @over_spans
    def test_quality(self, span: tuple[date, date]) -> None:
        good = board(*span).quality
        in_span = [row.pk for row in ledger(*span)]
        corrections = Correction.objects.filter(entry__in=in_span)
        words = sum(row.reference_words for row in corrections)
        wrong = sum(row.reference_words * row.word_error_rate for row in corrections)
        assert (good.words.count, good.words.words) == (len(corrections), words)
        assert good.words.value == (pytest.approx(wrong / words) if words else None)
        scores = [row.score for row in Rating.objects.filter(entry__in=in_span)]
        assert good.opinion.count == len(scores)
        if len(scores) > 1:
            margin = 1.96 * statistics.stdev(scores) / len(scores) ** 0.5
            assert good.opinion.value == pytest.approx(statistics.mean(scores))
            assert good.opinion.low == pytest.approx(max(1, statistics.mean(scores) - margin))
        rows = table("quality", *span)
        assert sum(int(row["corrections"]) for row in rows) == len(corrections)
        assert sum(int(row["ratings"]) for row in rows) == len(scores)

    @over_spans
    def test_peak_concurrent_users(self, span: tuple[date, date]) -> None:
        for row in table("peak-users", *span):
            day = date.fromisoformat(row["day"])
            of_day = [peak for peak in HourlyPeak.objects.all() if day_of(peak.hour) == day]
            assert int(row["asr_users"]) == max(peak.asr_users for peak in of_day)
            assert int(row["tts_users"]) == max(peak.tts_users for peak in of_day)

    @over_spans
    def test_the_daily_mix_counts_every_row(self, span: tuple[date, date]) -> None:
        rows = table("daily-mix", *span)
        assert sum(int(row["requests"]) for row in rows) == len(ledger(*span))
        assert {row["client"] for row in rows} == {row.client.name for row in ledger(*span)}


class TestAdoption:
    def test_the_funnel_from_chat_users_to_active_users(self, used: date) -> None:
        chat, web = (ClientApplication.objects.get(name=name) for name in ("chat-android", "chat-web"))
        voice = Flag.objects.get(name="voice")
        ClientShare.objects.create(flag=voice, client=web, percent=10)
        adoption = board(used, used).adoption
        android, of_web = (ChatUsers.objects.get(client=client).users for client in (chat, web))
        active = {(row.client_id, row.user) for row in ledger(used - timedelta(days=29), used) if row.status == 200}

        def active_of(client: ClientApplication) -> int:
            return sum(1 for client_id, _user in active if client_id == client.pk)

        having = max(round(android * 0.07), active_of(chat)) + max(round(of_web * 0.10), active_of(web))
        assert [step.users for step in adoption.steps[:3]] == [android + of_web, having, len(active)]
        assert adoption.rate == len(active) / (android + of_web)
        assert dict(adoption.features)["Text to speech"] == "7–10 %"
        Flag.objects.update(killed=True)
        assert board(used, used).adoption.steps[1].users == len(active)  # active users must have had voice

    def test_the_newest_number_of_chat_users_counts(self, used: date) -> None:
        chat = ClientApplication.objects.get(name="chat-android")
        ChatUsers.objects.create(client=chat, day=used - timedelta(days=5), users=10_000)
        of_web = ChatUsers.objects.get(client__name="chat-web").users
        assert board(used, used).adoption.eligible == 10_000 + of_web
        before = used - timedelta(days=6)
        assert (board(before, before).adoption.eligible or 0) < 10_000

    def test_clients_without_a_number_of_chat_users_are_left_out(self, used: date) -> None:
        ChatUsers.objects.filter(client__name="chat-web").delete()
        adoption = board(used, used).adoption
        assert adoption.unreported == ("chat-web",)
        active = {row.user for row in ledger(used - timedelta(days=29), used) if row.status == 200}
        android = {
            row.user
            for row in ledger(used - timedelta(days=29), used)
            if row.status == 200 and row.client.name == "chat-android"
        }
        assert adoption.steps[2].users == len(android) < len(active)
        ChatUsers.objects.all().delete()
        adoption = board(used, used).adoption
        assert (adoption.eligible, adoption.rate, adoption.verdict) == (None, None, "not enough data")
        assert adoption.steps[2].users == len(active)


class TestScorecard:
    def test_scores_have_the_measured_values(self, used: date) -> None:
        first = used - timedelta(days=29)
        scores = {score.targets.metric: score for score in board(first, used).scores}
        probes = ProbeDay.objects.filter(day__range=(first, used))
        up = 1 - sum(day.failures for day in probes) / sum(day.probes for day in probes)
        assert scores[Metric.UPTIME].value == pytest.approx(up)
        assert (scores[Metric.UPTIME].launch, scores[Metric.UPTIME].growth) == ("met", "met")
        peaks = [peak for peak in HourlyPeak.objects.all() if first <= day_of(peak.hour) <= used]
        assert scores[Metric.PEAK_USERS].value == max(peak.users for peak in peaks)
        assert scores[Metric.PEAK_USERS].launch == "not judged"  # a low number of users is not a failure
        active = {(row.client_id, row.user) for row in ledger(first, used) if row.status == 200}
        assert (scores[Metric.ACTIVE_USERS].value, scores[Metric.ACTIVE_USERS].launch) == (len(active), "not met")
        forecast = cost.month_cost().forecast_micros / 1e6
        assert scores[Metric.MONTH_COST].value == pytest.approx(forecast, abs=0.01)

    def test_no_verdict_without_enough_data(self, used: date) -> None:
        Rating.objects.filter(pk__in=list(Rating.objects.values_list("pk", flat=True)[25:])).delete()
        HourlyPeak.objects.all().delete()
        InfrastructureCost.objects.all().delete()
        scores = {score.targets.metric: score for score in board(used - timedelta(days=DAYS), used).scores}
        for metric in (Metric.OPINION_SCORE, Metric.CONCURRENT_USERS, Metric.MONTH_COST, Metric.AUDIO_HOUR_COST):
            assert scores[metric].launch == "not enough data", metric
        assert "30 are needed" in scores[Metric.OPINION_SCORE].basis


def test_erasing_people_does_not_change_the_numbers(used: date) -> None:
    first = used - timedelta(days=DAYS - 1)
    before = {name: b"".join(csv_of(name, board(first, used))) for name in FILES if name != "cost"}
    user = LedgerEntry.objects.filter(status=200).first()
    call_command("erase_user", user.client.name, user.user, yes=True)
    call_command("prune_usage", days=1)
    call_command("rebuild_usage")
    after = {name: b"".join(csv_of(name, board(first, used))) for name in FILES if name != "cost"}
    del before["scorecard"], after["scorecard"]  # its monthly cost depends on the time
    assert after == before
