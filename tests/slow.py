"""The slow test files, and why each of them is worth its time.

They start first. Otherwise one worker could still be busy with a slow file when all others have finished (see
``conftest.py``). The numbers of seconds are for one of three workers on an idle machine with two cores.

Even slower tests have separate make targets: ``test-hostile``, ``test-damaged``, ``test-faults``, ``test-schema``,
``test-images`` and ``test-axe``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Slow:
    seconds: int
    why: str


def slow_files() -> dict[str, Slow]:
    return {f"tests/{name}": one for name, one in _SLOW.items()}


_SLOW = {
    "e2e/test_operator.py": Slow(
        100, "an alert fires, a ramp rolls back and the page renews itself, as they do in use"
    ),
    "test_on_postgresql.py": Slow(120, "SQLite forgives what PostgreSQL does not: types, locks, aggregates"),
    "tools/loadtests/test_command.py": Slow(79, "the command against a service, one that dies and one that hangs"),
    "e2e/test_playground.py": Slow(46, "a microphone and a loudspeaker run in real time"),
    "e2e/test_accessibility.py": Slow(52, "axe-core and the keyboard on the pages that people see most"),
    "core/test_outages.py": Slow(45, "PostgreSQL and Redis are taken away from a running service and brought back"),
    "e2e/test_product.py": Slow(55, "a quarter of use, drawn, filtered, downloaded and printed in a browser"),
    "voiceproject/test_servers.py": Slow(31, "uvicorn and Daphne, each with real sockets and time limits"),
    "capacity/test_concurrent_users.py": Slow(28, "leases of killed processes run out in three kinds of store"),
    "voiceproject/test_serve.py": Slow(32, "the service starts, migrates, and stops with work under way"),
    "e2e/test_frontend.py": Slow(21, "the documented example's conversation, in real time, through a restart"),
    "k8s/test_images.py": Slow(49, "what the image holds, installed for its own Python and started as in the cluster"),
    "tools/planning/test_plan_command.py": Slow(43, "plans come from simulations; fewer requests would not settle"),
    "e2e/test_developer.py": Slow(27, "a conversation that is interrupted, in real time, on a phone and at a desk"),
    "asr/test_views.py": Slow(32, "Whisper base with languages and translation; two hours of silence"),
    "inference/test_remote.py": Slow(20, "a tier is killed, frozen and stopped while units are under way"),
    "model_store/test_command.py": Slow(14, "installing is interrupted and tried again, then real weights serve"),
    "tools/planning/test_plan_measuring.py": Slow(26, "a service is measured, a second for each kind of work"),
    "dashboard/test_every_page.py": Slow(39, "every list of the admin, sorted by every column"),
    "inference/test_api_process.py": Slow(13, "an API process before, beside and after its tier"),
    "k8s/test_rules.py": Slow(33, "promtool plays hours of samples to every alerting rule"),
    "hostile/test_hostile_clients.py": Slow(19, "the short form of ten minutes of hostile clients"),
    "tts/test_views.py": Slow(33, "every voice and format of the API"),
    "capacity/test_serve.py": Slow(21, "a sample is taken every 15 s"),
    "asr/test_busy_engine.py": Slow(17, "live recognition beside files that fill the engine"),
    "asr/test_realtime.py": Slow(11, "speech is sent as fast as it is spoken"),
    "asr/test_consumer.py": Slow(10, "speech is sent as fast as it is spoken"),
    "voiceproject/test_upgrade.py": Slow(10, "the first release's database is migrated with its data"),
    "inference/test_model_change.py": Slow(14, "a rolling change of model under load"),
    "tts/test_heard_again.py": Slow(23, "what the voices say is transcribed again by Whisper base"),
    "gateway/test_revocation.py": Slow(14, "open sockets of every endpoint end when their key is revoked"),
    "asr/test_stream_lifetime.py": Slow(13, "a thousand connections are opened and dropped"),
    "usage/test_two_processes.py": Slow(9, "two services share one plan's last characters in PostgreSQL"),
    "model_store/test_install.py": Slow(17, "downloads break off, lie and are resumed"),
    "tools/demo/test_seed_demo.py": Slow(22, "a quarter of believable use"),
    "dashboard/test_dashboard.py": Slow(20, "figures of ten thousand rows, and what they cost the database"),
    "dashboard/test_same_figures.py": Slow(15, "a figure that appears on two pages is the same on both"),
    "capacity/test_alerts.py": Slow(14, "hours of evaluations, by every rule"),
    "asr/test_streaming.py": Slow(13, "live words are those of the file, with Whisper base too"),
    "asr/test_real_speech.py": Slow(12, "names, accents and noise, with Whisper base"),
    "k8s/test_dashboard.py": Slow(11, "Prometheus answers every query of the dashboard"),
}
