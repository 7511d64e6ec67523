"""What voice did: minutes heard and characters spoken, in which languages and voices, how fast, and what failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from django.db.models import Sum

from capacity.measure import ASR_KINDS, TTS_KINDS
from core.error_codes import ErrorCode, Fault
from core.percentiles import histogram_percentile
from dashboard.date_range import Span
from dashboard.tables import Column, Form, Table, csv_lines, plain
from usage.entry import Kind, Measure
from usage.rollups import DailyLatency, DailyMix
from usage.weeks import Active

MS_PER_MINUTE = 60_000
LANGUAGES = {"ms": "Malay", "en": "English", "zh": "Mandarin", "ta": "Tamil", "": "Not told"}
SHOWN_VOICES = SHOWN_CLIENTS = 10

# By the code that the caller got: the service's own failures, and what was neither served nor failed (as in
# capacity.measure). All others are mistakes in the request.
FAILURES = {code.value for code in ErrorCode if code.fault is Fault.SERVICE}
REFUSALS = {code.value for code in ErrorCode if code.fault in (Fault.POLICY, Fault.LEFT)}
ENOUGH_REQUESTS = 20  # an error rate of fewer says nothing


@dataclass
class Amount:
    """``audio_ms`` and ``characters``: those that count for money, corrections taken off."""

    requests: int = 0
    audio_ms: int = 0
    characters: int = 0

    def add(self, requests: int, audio_ms: int, characters: int) -> None:
        self.requests += requests
        self.audio_ms += audio_ms
        self.characters += characters


@dataclass
class UsageTotals:
    """Sums of a span. ``audio_ms`` are of kinds measured by audio, ``characters`` of those measured by characters."""

    by_day: dict[tuple[date, Kind], Amount] = field(default_factory=lambda: defaultdict(Amount))
    by_code: dict[str, Amount] = field(default_factory=lambda: defaultdict(Amount))
    codes_by_day: dict[tuple[date, str], int] = field(default_factory=lambda: defaultdict(int))

    def of_day(self, day: date, kinds: Iterable[Kind] = Kind) -> Amount:
        total = Amount()
        for kind in kinds:
            if (day, kind) in self.by_day:
                one = self.by_day[day, kind]
                is_audio = kind.measure is Measure.AUDIO
                total.add(one.requests, one.audio_ms if is_audio else 0, 0 if is_audio else one.characters)
        return total

    def total(self, span: Span) -> Amount:
        total = Amount()
        for day in span.days:
            one = self.of_day(day)
            total.add(one.requests, one.audio_ms, one.characters)
        return total

    def failure_rate(self, day: date | None = None) -> float | None:
        """The service's own failures among the requests that it served or failed to; None with too few of them."""
        counts = self.codes_by_day.items()
        counted = [(code, n) for (at, code), n in counts if day in (None, at) and code not in REFUSALS]
        requests = sum(number for _code, number in counted)
        failed = sum(number for code, number in counted if code in FAILURES)
        return failed / requests if requests >= ENOUGH_REQUESTS else None


def work(span: Span) -> UsageTotals:
    found = UsageTotals()
    for day, kind, code, *amounts in _mix(span, "day", "kind", "error_code"):
        found.by_day[day, Kind(kind)].add(*amounts)
        found.by_code[code].add(*amounts)
        found.codes_by_day[day, code] += amounts[0]
    return found


def total_before(span: Span) -> Amount:
    """Of as many days before."""
    total = Amount()
    for kind, requests, audio_ms, characters in _mix(span.before, "kind"):
        is_audio = Kind(kind).measure is Measure.AUDIO
        total.add(requests, audio_ms if is_audio else 0, 0 if is_audio else characters)
    return total


def _mix(span: Span, *by: str) -> Iterator[tuple]:  # type: ignore[type-arg]
    rows = DailyMix.objects.filter(day__range=(span.first, span.last)).order_by()
    sums = rows.values_list(*by).annotate(Sum("requests"), Sum("audio_ms"), Sum("characters"))
    yield from sums


def minutes(ms: int) -> float:
    return ms / MS_PER_MINUTE


def minutes_by_day(span: Span, found: UsageTotals) -> Table:
    kinds = [kind for kind in Kind if kind.measure is Measure.AUDIO]
    return Table(
        "minutes",
        "Minutes heard",
        [
            Column("day", "Day", Form.DAY),
            Column("minutes", "Minutes", Form.TENTHS),
            *(Column(f"{kind}_minutes", kind.capitalize(), Form.TENTHS, is_drawn=False) for kind in kinds),
            Column("requests", "Requests", is_drawn=False),
        ],
        [
            (
                day,
                minutes(found.of_day(day, kinds).audio_ms),
                *(minutes(found.of_day(day, [kind]).audio_ms) for kind in kinds),
                found.of_day(day, kinds).requests,
            )
            for day in span.days
        ],
        chart="bars",
    )


def characters_by_day(span: Span, found: UsageTotals) -> Table:
    days = [(day, found.of_day(day, [Kind.SPEECH])) for day in span.days]
    return Table(
        "characters",
        "Characters spoken",
        [
            Column("day", "Day", Form.DAY),
            Column("characters", "Characters"),
            Column("requests", "Requests", is_drawn=False),
        ],
        [(day, one.characters, one.requests) for day, one in days],
        chart="bars",
    )


def mixes(span: Span) -> tuple[Table, Table]:
    """Languages, and voices: the one query that both need."""
    languages: dict[str, Amount] = defaultdict(Amount)
    voices: dict[tuple[str, str], Amount] = defaultdict(Amount)
    for kind, language, voice, requests, audio_ms, characters in _mix(span, "kind", "language", "voice"):
        is_audio = Kind(kind).measure is Measure.AUDIO
        languages[language].add(requests, audio_ms if is_audio else 0, 0 if is_audio else characters)
        if not is_audio and voice:
            voices[voice, language].add(requests, 0, characters)
    heard = sum(one.audio_ms for one in languages.values())
    spoken = sum(one.characters for one in languages.values())
    in_order = sorted(languages.items(), key=lambda item: (-item[1].requests, item[0]))
    by_language = Table(
        "languages",
        "Languages",
        [
            Column("language", "Language", Form.TEXT),
            Column("minutes", "Minutes heard", Form.TENTHS),
            Column("minutes_share", "Of all minutes", Form.SHARE, bar=True),
            Column("characters", "Characters spoken"),
            Column("characters_share", "Of all characters", Form.SHARE, bar=True),
        ],
        [
            (
                LANGUAGES.get(language, language),
                minutes(one.audio_ms),
                _share(one.audio_ms, heard),
                one.characters,
                _share(one.characters, spoken),
            )
            for language, one in in_order
        ],
    )
    most = sorted(voices.items(), key=lambda item: (-item[1].characters, item[0]))
    by_voice = Table(
        "voices",
        "Voices",
        [
            Column("voice", "Voice", Form.TEXT),
            Column("language", "Language", Form.TEXT),
            Column("requests", "Requests"),
            Column("characters", "Characters"),
            Column("share", "Of all characters", Form.SHARE, bar=True),
        ],
        [
            (voice, LANGUAGES.get(language, language), one.requests, one.characters, _share(one.characters, spoken))
            for (voice, language), one in most
        ],
        shown_rows=SHOWN_VOICES,
    )
    return by_language, by_voice


def by_client(span: Span, clients: Mapping[int, str], active: Mapping[int, Active]) -> Table:
    found: dict[int, Amount] = defaultdict(Amount)
    for client, kind, requests, audio_ms, characters in _mix(span, "client_id", "kind"):
        is_audio = Kind(kind).measure is Measure.AUDIO
        found[client].add(requests, audio_ms if is_audio else 0, 0 if is_audio else characters)
    requests = sum(one.requests for one in found.values())
    most = sorted(found.items(), key=lambda item: (-item[1].requests, clients.get(item[0], "")))
    return Table(
        "clients",
        "Top clients",
        [
            Column("client", "Client", Form.TEXT),
            Column("active_30_days", "Active, 30 days"),
            Column("requests", "Requests"),
            Column("share", "Of all requests", Form.SHARE, bar=True),
            Column("minutes", "Minutes heard", Form.TENTHS),
            Column("characters", "Characters spoken"),
        ],
        [
            (
                clients.get(client, str(client)),
                active.get(client, Active()).month,
                one.requests,
                _share(one.requests, requests),
                minutes(one.audio_ms),
                one.characters,
            )
            for client, one in most
        ],
        shown_rows=SHOWN_CLIENTS,
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


# --- Errors ----------------------------------------------------------------------------------------------------------


def errors_by_day(span: Span, found: UsageTotals) -> Table:
    of_day: dict[date, dict[str, int]] = defaultdict(dict)
    for (day, code), number in found.codes_by_day.items():
        of_day[day][code] = number
    rows = []
    for day in span.days:
        codes = of_day[day]
        requests = sum(codes.values())
        failed = sum(number for code, number in codes.items() if code in FAILURES)
        counted = requests - sum(number for code, number in codes.items() if code in REFUSALS)
        rate = failed / counted if counted >= ENOUGH_REQUESTS else None
        rows.append((day, rate, failed, requests - codes.get("", 0) - failed, requests))
    return Table(
        "error-rate",
        "Error rate",
        [
            Column("day", "Day", Form.DAY),
            Column("failure_rate", "Failed", Form.SHARE),
            Column("failed", "Our failures", is_drawn=False),
            Column("refused", "Refused, left, mistaken", is_drawn=False),
            Column("requests", "All requests", is_drawn=False),
        ],
        rows,
        chart="line",
        note=f"Our own failures among requests served. No point with fewer than {ENOUGH_REQUESTS} requests.",
    )


def errors_by_code(found: UsageTotals) -> Table:
    requests = sum(one.requests for one in found.by_code.values())
    rows = [
        (code, _whose(code), one.requests, _share(one.requests, requests))
        for code, one in found.by_code.items()
        if code and one.requests
    ]
    rows.sort(key=lambda row: (-row[2], row[0]))
    return Table(
        "errors",
        "Errors by code",
        [
            Column("code", "Code", Form.TEXT),
            Column("kind", "What it is", Form.TEXT),
            Column("requests", "Requests"),
            Column("share", "Of all requests", Form.SHARE, bar=True),
        ],
        rows,
        empty="No errors in these days.",
    )


def _whose(code: str) -> str:
    try:
        return ErrorCode(code).fault.value
    except ValueError:  # a row of an older version
        return Fault.CALLER.value


# --- Response times --------------------------------------------------------------------------------------------------

Histogram = dict[int, int]  # requests by ceiling, in ms


@dataclass(frozen=True)
class Speed:
    """Seconds, of a whole span; None without requests."""

    asr_p95: float | None
    tts_p95: float | None
    by_day: Table


def speed(span: Span) -> Speed:
    """Of files and texts; a live stream lasts as long as people talk."""
    halves: dict[str, dict[date, Histogram]] = {"asr": defaultdict(dict), "tts": defaultdict(dict)}
    rows = DailyLatency.objects.filter(day__range=(span.first, span.last)).order_by()
    for day, kind, ceiling, number in rows.values_list("day", "kind", "ceiling_ms", "requests"):
        half = "asr" if kind in ASR_KINDS else "tts" if kind in TTS_KINDS else None
        if half is not None:
            of_day = halves[half][day]
            of_day[ceiling] = of_day.get(ceiling, 0) + number
    table = Table(
        "response-times",
        "Response times",
        [
            Column("day", "Day", Form.DAY),
            *(
                Column(f"{half}_p{rank}_s", f"p{rank}", Form.SECONDS, plot=name)
                for half, name in (("asr", "Speech to text"), ("tts", "Text to speech"))
                for rank in (50, 95)
            ),
        ],
        [
            (day, *(_seconds_below(halves[half].get(day, {}), rank) for half in halves for rank in (50, 95)))
            for day in span.days
        ],
        chart="line",
        note="Read from a histogram: at most a fifth too high.",
    )
    asr, tts = (_seconds_below(_together(halves[half].values()), 95) for half in ("asr", "tts"))
    return Speed(asr, tts, table)


def _together(histograms: Iterable[Histogram]) -> Histogram:
    sums: Histogram = defaultdict(int)
    for histogram in histograms:
        for ceiling, number in histogram.items():
            sums[ceiling] += number
    return sums


def _seconds_below(histogram: Histogram, percent: float) -> float | None:
    """The ceiling, in seconds, that so many of the requests stay at or below."""
    ceiling_ms = histogram_percentile(histogram, percent)
    return None if ceiling_ms is None else ceiling_ms / 1000


# --- Everything ------------------------------------------------------------------------------------------------------

_EVERYTHING = {
    "day": Form.DAY,
    "client": Form.TEXT,
    "kind": Form.TEXT,
    "model": Form.TEXT,
    "voice": Form.TEXT,
    "language": Form.TEXT,
    "error_code": Form.TEXT,
    "requests": Form.NUMBER,
    "audio_ms": Form.NUMBER,
    "characters": Form.NUMBER,
    "queue_ms": Form.NUMBER,
    "total_ms": Form.NUMBER,
}


def everything(span: Span) -> Iterator[bytes]:
    """The roll-up that most of the page is made of, row by row as CSV."""
    fields = ["client__name" if name == "client" else name for name in _EVERYTHING]
    rows = DailyMix.objects.filter(day__range=(span.first, span.last)).order_by(*fields[:7])
    forms = list(_EVERYTHING.values())
    plainly = (
        [plain(value, form) for value, form in zip(row, forms, strict=True)]
        for row in rows.values_list(*fields).iterator(chunk_size=2000)
    )
    yield from csv_lines(list(_EVERYTHING), plainly)
