"""Scale the rates (the machine time of requests) so that they match the throughput of a stored load test.

The load test is assumed to have used its machines fully.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist

from tools.planning.demand import RequestRate
from tools.planning.plan import Planner
from tools.planning.rates import DEPLOYMENTS, Rates


class NoSuchTest(ValueError):
    """The load test does not exist or cannot be used for a plan."""


def as_tested(planner: Planner, number: int, *, gpus: int, pods: int) -> Rates:
    """Return the planner's rates, scaled to the throughput of a stored load test.

    That throughput is assumed to be the maximum of the machines that the test ran on.

    ``number``: the primary key of the load test.
    ``gpus``: the number of GPUs that the test ran on.
    ``pods``: the number of pods of each deployment in the test.

    Raise ``NoSuchTest`` if the load test does not exist, was interrupted, or had no successful request.
    """
    try:
        stored: Any = apps.get_app_config("capacity").get_model("LoadTestRun")
        run = stored.objects.get(pk=number)
    except (LookupError, ObjectDoesNotExist) as error:
        raise NoSuchTest(f"there is no load test {number}") from error
    if not run.is_complete:
        raise NoSuchTest(f"the load test {number} was interrupted")
    return scaled(planner, run.report.get("kinds", {}), f"{run} on {run.host}", gpus=gpus, pods=pods)


def scaled(planner: Planner, kinds: Mapping[str, Mapping[str, Any]], name: str, *, gpus: int, pods: int) -> Rates:
    """Return the planner's rates, scaled to the throughput in a load-test report.

    That throughput is assumed to be the maximum of the machines that the test ran on.

    ``kinds``: the report's figures by kind of work. The keys are ``asr``, ``tts``, ``live_asr`` and ``live_tts``.
    ``name``: what to call the load test in the note that is added to the rates.
    ``gpus``: the number of GPUs that the test ran on.
    ``pods``: the number of pods of each deployment in the test.

    Raise ``NoSuchTest`` if no request succeeded.
    """

    def per_second(kind: str) -> float:
        found = kinds.get(kind, {})
        requests = float(found.get("requests") or 0)
        return float(found.get("rps") or 0.0) * float(found.get("ok", requests)) / max(1.0, requests)

    rate = RequestRate(per_second("asr"), per_second("tts") + per_second("live_tts"), per_second("live_asr"))
    if sum(rate) <= 0:
        raise NoSuchTest("nothing succeeded in that load test")
    use = replace(planner.use, stream_s=planner.crowd.stream_s)
    engines = sum(planner.gpu_work(rate, use).values()) / gpus
    processor = max(planner.station(kind, rate, use, pods).utilisation for kind in DEPLOYMENTS)
    note = (
        f"scaled to the load test {name}: {rate.asr:.1f} ASR, {rate.tts:.1f} TTS and {rate.streams:.1f} live a second "
        f"are TAKEN TO fill {gpus} GPUs and {pods} pods of each deployment; a run that left them idle makes the plan "
        "too large"
    )
    return planner.rates.faster(engines, note, processor=processor)
