"""Describe the measurements and the assumptions of a plan as text, so that nobody takes one for the other.

``manage.py plan_capacity`` prints both, except with ``--steps`` and ``--csv -``.
"""

from __future__ import annotations

from tools.planning import hpa
from tools.planning.plan import Planner
from tools.planning.rates import ASR, KINDS, Rates
from tools.planning.simulation.cluster import Shape
from tools.planning.simulation.service import LOOP_BEFORE


def measured(rates: Rates) -> list[str]:
    """Return lines of text that say where the rates were measured, and give the main rates in milliseconds."""
    lines = [
        f"engines on {rates.device}: {rates.asr_model} and {rates.tts_engine}, measured on {rates.measured_at[:10]}",
        f"API's processor time on {rates.machine}",
    ]
    for kind in KINDS:
        of = rates.kind(kind)
        unit = "s of audio" if kind == ASR else "characters"
        one = of.batch.seconds(of.batch.cost(of.size))
        full = of.batch.limit(of.batch.cost(of.size))
        many = of.batch.seconds(full * of.batch.cost(of.size)) / full
        lines.append(
            f"{kind}: for {of.size:.1f} {unit} the engine needs {1000 * one:.1f} ms (in a batch of {full}: "
            f"{1000 * many:.1f} ms each), and the API {1000 * of.processor.api_s:.1f} ms of processor time"
        )
    live = rates.live
    lines.append(
        f"live: a second of audio is {live.units_per_s:.1f} units for the engine, and takes the API "
        f"{1000 * live.api_s_per_s:.0f} ms of processor time"
    )
    return lines


def assumptions(planner: Planner) -> list[str]:
    """Return one line of text for each assumption of the plan."""
    use = planner.use
    targets = planner.targets
    crowd = planner.crowd
    peak = use.curve
    asr, tts, live = crowd.mix
    return [
        f"use: a voice user sends {use.audio_minutes:g} minutes of audio a day ({use.live_share:.0%} of it live) and "
        f"has {use.characters:g} characters spoken",
        f"sizes: a recording has {use.clip_s:g} s and a text {use.text_characters:g} characters on average, with a "
        f"spread of {use.size_cv:.0%} (lognormal); a live stream lasts {use.stream_s:g} s on average (exponential)",
        f"time of day: as in Malaysia, busiest at {peak.peak_hour}:00–{peak.peak_hour + 1}:00 with {peak.peak:.2f} "
        "times the mean; requests arrive independently (Poisson), so no campaign or outage brings many at once",
        f"people at once: each pauses for {crowd.think_s:g} s on average (exponential) between two requests, of which "
        f"{asr:.0%} are speech to text, {tts:.0%} text to speech and {live:.0%} live streams of {crowd.stream_s:g} s",
        f"limits: machines are at most {targets.utilisation:.0%} busy in that hour; a pod requests "
        f"{targets.pod_cores:g} cores; each deployment has at least {targets.min_pods} pods",
        "phases: ASR, TTS and live are separate deployments, each with the number of pods that the phase names",
        "waiting: an API pod is an M/G/c queue (Allen–Cunneen) with a random share of the requests; GPUs are simulated",
        f"GPUs: each does both kinds of work and divides its time between them; {LOOP_BEFORE:.0%} of the event loop's "
        "work on a request comes before the GPU's",
        "left out: database, Redis, network, ingress and clients take no time; no pod, GPU or zone fails; no machine "
        "is spare",
        f"autoscaling: a decision every {hpa.SYNC_PERIOD_S:g} s on readings of {hpa.METRIC_WINDOW_S:g} s; a new pod "
        f"takes requests after {Shape.pod_start_s:g} s, and may use {targets.pod_limit_cores:g} cores; no GPU is added",
        *planner.prices.sources,
        "months: a month has 365/12 days, in which all machines run, with as many pods as the busiest hour needs",
    ]
