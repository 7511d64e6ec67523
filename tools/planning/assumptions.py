"""Describe the assumptions of a plan. Every plan prints them. Otherwise readers could take them for measurements."""

from __future__ import annotations

from tools.planning import hpa
from tools.planning.plan import Planner
from tools.planning.rates import ASR, KINDS, Rates
from tools.planning.simulation.cluster import Shape
from tools.planning.simulation.service import LOOP_BEFORE


def measured(rates: Rates) -> list[str]:
    """Return lines of text that say where the rates were measured, and give the main rates in milliseconds."""
    lines = [
        f"engines on {rates.device}: {rates.asr_model}, {rates.tts_engine}; measured {rates.measured_at[:10]}",
        f"API's processor time on {rates.machine}",
    ]
    for kind in KINDS:
        of = rates.kind(kind)
        unit = "s of audio" if kind == ASR else "characters"
        one = of.batch.seconds(of.batch.cost(of.size))
        full = of.batch.limit(of.batch.cost(of.size))
        many = of.batch.seconds(full * of.batch.cost(of.size)) / full
        lines.append(
            f"{kind}: {of.size:.1f} {unit} take the engine {1000 * one:.1f} ms alone, {1000 * many:.1f} ms each in a "
            f"batch of {full}, and the API {1000 * of.processor.api_s:.1f} ms"
        )
    live = rates.live
    lines.append(
        f"live: {live.units_per_s:.1f} units for the engine and {1000 * live.api_s_per_s:.0f} ms of API a second"
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
        f"a voice user and day: {use.audio_minutes:g} minutes recognised ({use.live_share:.0%} of it live), "
        f"{use.characters:g} characters spoken",
        f"a request: {use.clip_s:g} s or {use.text_characters:g} characters on average, spread {use.size_cv:.0%} "
        f"(lognormal); a live stream {use.stream_s:g} s (exponential)",
        f"the day: Malaysia's curve, busiest at {peak.peak_hour}:00–{peak.peak_hour + 1}:00 with {peak.peak:.2f} "
        "times the mean; arrivals are Poisson, so no campaign, no broadcast, no outage before",
        f"at once: people who think {crowd.think_s:g} s (exponential) between two things, {asr:.0%} of them speech to "
        f"text, {tts:.0%} text to speech, {live:.0%} live for {crowd.stream_s:g} s",
        f"machines at most {targets.utilisation:.0%} busy in that hour; pods that request {targets.pod_cores:g} core, "
        f"at least {targets.least_pods} of each deployment",
        "a phase's pods are those of each deployment, as in the manifests: ASR, TTS and live have one each",
        "queueing: API pods M/G/c (Allen–Cunneen), fed by chance; GPUs as batch servers, simulated with the rest",
        f"a GPU does both kinds and divides its time; {LOOP_BEFORE:.0%} of the event loop's work comes before it",
        "database, Redis, network, ingress and clients cost no time; no pod and no GPU fails; one zone, no spare",
        f"autoscaling: every {hpa.SYNC_PERIOD_S:g} s, readings of {hpa.METRIC_WINDOW_S:g} s, new pods ready after "
        f"{Shape.pod_start_s:g} s, which may use {targets.pod_limit_cores:g} cores; GPUs are not scaled",
        *planner.prices.sources,
        "a month has 365/12 days; all machines run all of it, pods at the number of the busiest hour",
    ]
