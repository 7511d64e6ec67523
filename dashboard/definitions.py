"""Definitions of the dashboard's numbers: shown on the page and in docs/dashboard.md; a test compares both."""

from __future__ import annotations

from django.utils.translation import gettext_lazy

DEFINITIONS = {
    "active users": gettext_lazy("people served on the day, in the 7 and in the 30 days that end with it"),
    "chat users": gettext_lazy(
        "entered by hand, because the service sees only voice users. Admin → Chat users, a row for each client "
        "application and day; the newest counts. Without one no share is shown, and client applications without one "
        "are left out of it"
    ),
    "have voice switched on": gettext_lazy(
        "chat users × the share that has any part of voice by the roll-out's percentages now (each client "
        "application's own where it has one); at least those who used it in 30 days. So chat users ≥ "
        "switched on ≥ used in 30 days ≥ used in 7 days, always"
    ),
    "adoption": gettext_lazy("people active in 30 days among the chat users; the aim is 5–10 %"),
    "retention": gettext_lazy(
        "of those first served in a week (Monday to Sunday), how many were in each later week. At least the last 8 "
        "weeks, at most 26"
    ),
    "minutes heard": gettext_lazy(
        "of transcription, translation and live recognition, as charged: successful requests, and what was heard of "
        "those that the caller left; what was taken back by counter-entries is off"
    ),
    "characters spoken": gettext_lazy("of speech, as charged"),
    "languages, voices, clients": gettext_lazy("the same, by what the request asked for or was found to be"),
    "response times": gettext_lazy(
        "of files and texts that succeeded, not of live streams; the time that half (p50) and 95 % (p95) of the "
        "requests stayed below. From a histogram, so at most a fifth too high"
    ),
    "error rate, failed": gettext_lazy(
        "our own failures (internal_error, over_capacity, engine_unavailable) among the requests that were served or "
        "failed. Refusals (roll-out, quota, rates) and callers who left are neither. Fewer than 20 requests give no "
        "rate"
    ),
    "most users at once": gettext_lazy("the highest number in the day, as the capacity watcher saw it"),
    "cost": gettext_lazy("infrastructure at the prices in the admin, by the hour; today until now"),
    "cost of an hour of audio, of 1,000 characters": gettext_lazy(
        "what speech to text (the other way: text to speech) cost in those days over what it did in them"
    ),
    "word error rate": gettext_lazy(
        "errors over words in the corrected transcripts of those days' requests, with the interval that holds the true "
        "value with 95 % confidence"
    ),
    "mean opinion score": gettext_lazy("mean of the ratings of those days' requests, likewise"),
    "people": gettext_lazy(
        "a client application's end users by their pseudonyms, the busiest first, from their daily use. The same "
        "person keeps the pseudonym; whose it is cannot be told without the service's secret key"
    ),
    "events": gettext_lazy(
        "changes of the roll-out's percentages and kill switches, outages seen by the service's own probes, and the "
        "first day on which the users active in 30 days were more than a phase of growth has"
    ),
    "revenue, cost, margin": gettext_lazy(
        "of whole months: a client application's statements less its credit notes; infrastructure, shared out by audio "
        "heard and characters spoken; what is left. In ringgit, a dollar's rate being a row in the admin"
    ),
    "before": gettext_lazy(
        "as many days just before; in charts the faint line. Today, which is not over, is compared with nothing, and "
        "its point stands apart from the line"
    ),
}

# The definition that is shown beside a table, by the table's name.
OF_TABLE = {
    "active-users": "active users",
    "adoption": "adoption",
    "adoption-by-client": "have voice switched on",
    "retention": "retention",
    "minutes": "minutes heard",
    "characters": "characters spoken",
    "languages": "languages, voices, clients",
    "voices": "languages, voices, clients",
    "clients": "languages, voices, clients",
    "response-times": "response times",
    "error-rate": "error rate, failed",
    "errors": "error rate, failed",
    "peak-users": "most users at once",
    "cost": "cost of an hour of audio, of 1,000 characters",
    "quality": "word error rate",
    "people": "people",
    "events": "events",
    "margins": "revenue, cost, margin",
}


def of_table(name: str) -> str:
    """Return the definition of a table's numbers, or "" if it needs none."""
    return str(DEFINITIONS[OF_TABLE[name]]) if name in OF_TABLE else ""
