"""The definitions of the dashboard's numbers, for the page and docs/dashboard.md. A test checks that both agree."""

from __future__ import annotations

from django.utils.translation import gettext_lazy

DEFINITIONS = {
    "active users": gettext_lazy("people served on the day shown, and in the 7 and the 30 days up to and including it"),
    "chat users": gettext_lazy(
        "entered by hand, because the service sees only voice users: Admin → Chat users, one row for each client "
        "application and day. The newest row counts. A client application without a row is left out of the share. "
        "If none has a row, no share is shown"
    ),
    "have voice switched on": gettext_lazy(
        "how many chat users have any part of voice: the number of chat users × the share that the roll-out's "
        "current percentages allow (a client application's own percentages, where it has some). It is never below "
        "the number of users who used voice in 30 days. So always: chat users ≥ switched on ≥ used in 30 days ≥ "
        "used in 7 days"
    ),
    "adoption": gettext_lazy("people active in 30 days, as a share of the chat users; the target is 5–10 %"),
    "retention": gettext_lazy(
        "how many of the people first served in a week (Monday to Sunday) were served again in each later week. "
        "At least the last 8 weeks are shown, at most 26"
    ),
    "minutes recognised": gettext_lazy(
        "charged minutes of transcription, translation and live recognition: all of a successful request, and what "
        "was recognised before the caller left. Counter-entries are subtracted"
    ),
    "characters spoken": gettext_lazy("charged characters of text to speech"),
    "languages, voices, clients": gettext_lazy(
        "minutes recognised and characters spoken, by the language, voice or client application of the request. If the "
        "request named no language, the detected one counts"
    ),
    "response times": gettext_lazy(
        "the time within which half (p50) and 95 % (p95) of the successful requests were answered. Only requests "
        "with a file or a text count, not live streams. The times come from a histogram, so they may be up to a "
        "fifth too high"
    ),
    "error rate, failed": gettext_lazy(
        "failures of the service (internal_error, over_capacity, engine_unavailable) as a share of all requests "
        "except those that were refused (roll-out, quota, rate limits) or abandoned by the caller. Invalid "
        "requests count. With fewer than 20 requests no rate is shown"
    ),
    "peak concurrent users": gettext_lazy("the highest number on the day, as the capacity watcher recorded it"),
    "cost": gettext_lazy("infrastructure at the prices in the admin, counted by the hour; for today, until now"),
    "cost of an hour of audio, of 1,000 characters": gettext_lazy(
        "an hour of audio: the cost of speech to text in those days, divided by the hours of audio recognised. "
        "1,000 characters: the cost of text to speech in those days, divided by the thousands of characters "
        "spoken"
    ),
    "word error rate": gettext_lazy(
        "errors divided by words, in the corrected transcripts of those days' requests, with the 95 % confidence "
        "interval"
    ),
    "mean opinion score": gettext_lazy(
        "mean of the ratings of those days' requests, with the 95 % confidence interval"
    ),
    "people": gettext_lazy(
        "a client application's end users under pseudonyms, the busiest first, from their daily use. A person "
        "always has the same pseudonym, which can be traced back only with the service's secret key"
    ),
    "events": gettext_lazy(
        "changes to the roll-out's percentages and kill switches; flags switched on or off for everyone; outages "
        "seen by the service's own probes; and the first day on which the number of users active in 30 days exceeded "
        "the limit of a growth phase"
    ),
    "revenue, cost, margin": gettext_lazy(
        "figures of whole months, in ringgit; dollars are converted at the rate entered in the admin. Revenue is "
        "a client application's statements less its credit notes. Cost is infrastructure, divided among client "
        "applications by audio recognised and characters spoken. Margin is revenue less cost"
    ),
    "before": gettext_lazy(
        "the period of the same length just before; in charts the faint line. Today is not over, so it is not "
        "compared with anything, and its point stands apart from the line"
    ),
}

# Name of a table → key of the definition that is shown beside it.
OF_TABLE = {
    "active-users": "active users",
    "adoption": "adoption",
    "adoption-by-client": "have voice switched on",
    "retention": "retention",
    "minutes": "minutes recognised",
    "characters": "characters spoken",
    "languages": "languages, voices, clients",
    "voices": "languages, voices, clients",
    "clients": "languages, voices, clients",
    "response-times": "response times",
    "error-rate": "error rate, failed",
    "errors": "error rate, failed",
    "peak-users": "peak concurrent users",
    "cost": "cost of an hour of audio, of 1,000 characters",
    "quality": "word error rate",
    "people": "people",
    "events": "events",
    "margins": "revenue, cost, margin",
}


def of_table(name: str) -> str:
    """Return the definition of the numbers in a table, or "" if there is none."""
    return str(DEFINITIONS[OF_TABLE[name]]) if name in OF_TABLE else ""
