"""The slow test files, and why each of them is worth its time.

They start first. Otherwise one worker could still be busy with a slow file when all others have finished (see
``conftest.py``). The numbers of seconds are for one of three workers on an idle machine with two cores.

Tests that take even longer have separate make targets, such as ``test-hostile``, ``test-damaged``, ``test-faults``,
``test-schema``, ``test-images`` and ``test-axe``.
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
        95, "waits for an alert, the roll-back of a ramp and renewals of the page, at their real intervals"
    ),
    "test_on_postgresql.py": Slow(90, "PostgreSQL is stricter than SQLite about types, locks and aggregates"),
    "tools/loadtests/test_command.py": Slow(
        79, "runs the command against a service that works, one that dies and one that hangs"
    ),
    "core/test_outages.py": Slow(45, "PostgreSQL and Redis are taken away from a running service and brought back"),
    "e2e/test_product.py": Slow(45, "a browser draws, filters, downloads and prints a quarter of use"),
    "tools/planning/test_plan_command.py": Slow(
        43, "each plan is simulated, and shorter simulations would not be steady"
    ),
    "e2e/test_accessibility.py": Slow(42, "axe-core and the keyboard on the pages that people see most"),
    "capacity/test_serve.py": Slow(42, "a sample is taken every 15 s"),
    "e2e/test_playground.py": Slow(40, "speech is recorded and played in real time"),
    "k8s/test_images.py": Slow(
        40, "installs the image's packages for its own version of Python, and starts it as in the cluster"
    ),
    "dashboard/test_every_page.py": Slow(36, "every list of the admin, sorted by every column"),
    "voiceproject/test_serve.py": Slow(32, "the service starts, migrates, and stops with requests in progress"),
    "asr/test_views.py": Slow(
        32, "recognises languages and translates with Whisper base, and decodes two hours of silence"
    ),
    "voiceproject/test_servers.py": Slow(31, "uvicorn and Daphne, each with real sockets and time limits"),
    "capacity/test_concurrent_users.py": Slow(
        28, "waits until the leases of killed processes expire, in three kinds of store"
    ),
    "e2e/test_frontend.py": Slow(
        27, "a conversation with the documented example, in real time, with a restart of the service"
    ),
    "e2e/test_developer.py": Slow(27, "a conversation with an interruption, in real time, on a phone and on a desktop"),
    "tools/planning/test_plan_measuring.py": Slow(26, "measures a service for a second with each kind of work"),
    "asr/test_live_words.py": Slow(26, "live streams and files are recognised with Whisper base"),
    "tts/test_kokoro_engine.py": Slow(25, "Kokoro is loaded three times"),
    "tts/test_views.py": Slow(24, "every voice and format of the API"),
    "tts/test_heard_again.py": Slow(24, "Whisper base transcribes what the voices say"),
    "inference/test_remote.py": Slow(20, "a tier is killed, frozen and stopped while units are in progress"),
    "asr/test_encoding.py": Slow(20, "full batches are recognised with Whisper base"),
    "hostile/test_hostile_clients.py": Slow(
        19, "runs hostile clients for some seconds; `make test-hostile` runs them for ten minutes"
    ),
    "k8s/test_rules.py": Slow(18, "promtool evaluates every alerting rule on hours of samples"),
    "asr/test_busy_engine.py": Slow(17, "live recognition runs while files keep the engine busy"),
    "tools/demo/test_seed_demo.py": Slow(17, "writes a quarter of plausible use"),
    "asr/test_streaming.py": Slow(16, "compares live transcripts with those of files, also with Whisper base"),
    "asr/test_real_speech.py": Slow(15, "names, accents and noise, with Whisper base"),
    "model_store/test_command.py": Slow(
        14, "an installation is interrupted and repeated, and the service then uses the real weights"
    ),
    "inference/test_model_change.py": Slow(14, "changes the model under load, without downtime"),
    "gateway/test_revocation.py": Slow(14, "open sockets of every endpoint end when their key is revoked"),
    "capacity/test_alerts.py": Slow(14, "evaluates every rule over simulated hours"),
    "inference/test_api_process.py": Slow(13, "an API process runs before, while and after its tier does"),
    "asr/test_stream_lifetime.py": Slow(13, "a thousand connections are opened and dropped"),
    "asr/test_realtime.py": Slow(11, "speech is sent in real time"),
    "model_store/test_install.py": Slow(11, "downloads are interrupted, damaged and resumed"),
    "dashboard/test_dashboard.py": Slow(11, "computes figures from ten thousand rows, and counts the queries"),
    "k8s/test_dashboard.py": Slow(11, "Prometheus answers every query of the dashboard"),
    "asr/test_consumer.py": Slow(10, "speech is sent in real time"),
    "voiceproject/test_upgrade.py": Slow(6, "a database of the first release is migrated with its data"),
    "usage/test_two_processes.py": Slow(6, "two services on PostgreSQL use up the quota of one user"),
    "dashboard/test_same_figures.py": Slow(6, "a figure that appears on two pages is the same on both"),
}
