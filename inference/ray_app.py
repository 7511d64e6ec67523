"""The inference tier on Ray Serve. Run ``serve run inference.ray_app:app``, or give this import path to KubeRay.

The inference tier is the group of servers that run the models for all API processes:

    API process ── HTTP ──► units (ingress, no model) ── handle ──► asr, tts (replicas with models)

The deployment ``units`` runs the same ``UnitServer`` as ``manage.py serve_inference``. But its handler passes each unit
of work to a replica of the deployment that runs the unit's engine. Serve's router chooses the less busy of two random
replicas. In each ingress replica, at most ``max_queued_requests`` requests wait for a deployment. Further requests are
refused with status 503 and the code ``over_capacity``. The number of replicas can depend on how long work waits
(``inference.scaling``).

A replica counts as started when its engines have run sample units. Ray restarts a replica if one of its engines is no
longer ready. Before a replica is removed, it has ``VOICE_GRACE_S`` seconds to finish its units. The settings
``VOICE_RAY_…`` determine the number of replicas and their CPUs and GPUs. For each deployment, a Serve config file can
override these options.

API processes do not need Ray, so only requirements-cluster.txt lists it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import django
from django.apps import apps

if not apps.ready:  # a worker of Ray imports this module before Django is set up
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
    os.environ["VOICE_INFERENCE_URL"] = ""  # this is the tier, even if it shares the API processes' environment
    django.setup()

from django.conf import settings
from ray import serve
from ray.exceptions import RayActorError, RayTaskError, TaskCancelledError
from ray.serve.context import _get_global_client
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError
from ray.serve.handle import DeploymentHandle
from ray.util import metrics

from core import tracing
from inference import gpu, runtime
from inference.errors import EngineUnavailable, OverCapacity, UnitFailed
from inference.scaling import LOOK_BACK_S, WorkMeter
from inference.unit_server import LocalUnitHandler, TierStatus, UnitServer
from inference.wire import Fields, Reply, failure_reply

logger = logging.getLogger(__name__)

ASR = "asr"
TTS = "tts"
INGRESS = "units"
STATUS_TIMEOUT_S = 1.0  # shorter than the timeout of API processes (2 s)
READING_NEW_S = 1.0  # a deployment is asked for its state only if its last reading is older than this
READING_FRESH_S = 3.0
DRAIN_POLL_S = 0.5
HEALTH_PERIOD_S = 2.0
HEALTH_TIMEOUT_S = 10.0
COUNTS_NEW_S = 2.0
COUNTS_KEPT_S = 60.0
LONGEST_START_S = 900.0  # time to start a replica: start a machine with a GPU, pull the image, load the models
MAX_IN_INGRESS = 2_000  # high, because requests only wait in the ingress; the deployments behind it limit the work
LOST = (RayActorError, DeploymentUnavailableError, ReplicaUnavailableError, TaskCancelledError)


class Replica:
    """One process of the inference tier, which runs the engines ``names``.

    The constructor loads the engines and runs sample units on each of them. So the replica is ready when it returns.
    """

    async def __init__(self, names: list[str]) -> None:  # type: ignore[misc]  # Serve awaits constructors
        _export_batches()
        tracing.start("voice-tier")
        self._names = names
        self._meter = WorkMeter(settings.VOICE_ASR_WAIT_S if names == [ASR] else settings.VOICE_TTS_WAIT_S)
        self._handler = LocalUnitHandler(names)
        await self._handler.load()

    async def answer(self, name: str, frame: bytes) -> tuple[Reply, Fields]:
        """Run the unit in a frame. Return the reply, and the engine's state as a dictionary."""
        self._meter.begin()
        is_done = False
        try:
            reply = await self._handler.answer(name, frame)
            is_done = reply.status == 200
        finally:
            self._meter.end(done=is_done)
        return reply, self._reading(name)

    async def status(self) -> dict[str, Fields]:
        return {name: self._reading(name) for name in self._names}

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Return the statistics of this replica. Serve's autoscaler calls this method."""
        return self._meter.stats()

    async def about(self) -> dict[str, Fields]:
        return await self._handler.about()

    def check_health(self) -> None:
        if not self._handler.is_ready:
            raise EngineUnavailable("an engine of this replica is not ready")

    async def __del__(self) -> None:
        await runtime.close_all()
        tracing.stop()

    def _reading(self, name: str) -> Fields:
        gpus = [asdict(reading) for reading in gpu.read()]
        return {"process": self._handler.process, "gpus": gpus, **asdict(runtime.local(name).stats())}


class DeploymentUnitHandler:
    """A ``UnitHandler`` that runs units in replicas of Serve deployments.

    It keeps the latest state that each replica has reported.

    ``handles``: deployment handles, by the name of the engine that each deployment runs.
    """

    def __init__(self, handles: Mapping[str, DeploymentHandle]) -> None:
        self._handles = dict(handles)
        self._readings: dict[str, dict[str, tuple[float, Fields]]] = {name: {} for name in handles}
        self._counts = ReplicaCounts()

    async def answer(self, name: str, frame: bytes) -> Reply:
        response = self._handles[name].answer.remote(name, frame)
        try:
            reply, reading = await response
        except asyncio.CancelledError:
            response.cancel()
            raise
        except BackPressureError:
            return failure_reply(OverCapacity(max(1.0, self._wait_s(name))))
        except LOST:
            return failure_reply(EngineUnavailable(f"a replica of {name} went away"))
        except RayTaskError as error:
            return failure_reply(UnitFailed(f"{name} failed ({type(error.cause).__name__})"))
        self._note(name, reading)
        return reply  # type: ignore[no-any-return]  # handles have no types

    async def status(self) -> TierStatus:
        """Return the state of the inference tier.

        Each reply to a unit contains the replica's state. If no replica of a deployment has reported its state within
        the last second, ask one of them. Every replica is included with the state that it last reported, if that is at
        most ``READING_FRESH_S`` seconds old.
        """
        new = {name for name in self._handles if self._fresh(name, READING_NEW_S)}
        quiet = {handle.deployment_name: name for name, handle in self._handles.items() if name not in new}
        counting = asyncio.ensure_future(self._counts.read())
        await asyncio.gather(*(self._ask(self._handles[name]) for name in quiet.values()))
        counts = await counting
        known = {name: self._fresh(name) for name in self._handles}
        heard = [reading for readings in known.values() for reading in readings]
        # Replicas of an earlier version do not send "gpus".
        gpus = {each["gpu"]: each for reading in heard for each in reading.get("gpus", ())}
        engines: dict[str, list[Fields]] = {
            name: [{key: value for key, value in reading.items() if key != "gpus"} for reading in readings]
            for name, readings in known.items()
        }
        replicas = {
            name: counts[handle.deployment_name]
            for name, handle in self._handles.items()
            if handle.deployment_name in counts
        }
        return TierStatus(engines, list(gpus.values()), replicas)

    async def about(self) -> dict[str, Fields]:
        of_each = {handle.deployment_name: handle for handle in self._handles.values()}
        answers = await asyncio.gather(*(handle.about.remote() for handle in of_each.values()))
        return {name: about for answer in answers for name, about in answer.items()}

    async def _ask(self, handle: DeploymentHandle) -> None:
        response = handle.status.remote()
        try:
            async with asyncio.timeout(STATUS_TIMEOUT_S):
                readings = await response
        except (TimeoutError, BackPressureError, RayTaskError, *LOST):
            response.cancel()
            return
        for name, reading in readings.items():
            self._note(name, reading)

    def _note(self, name: str, reading: Fields) -> None:
        self._readings[name][str(reading["process"])] = (time.monotonic(), reading)

    def _fresh(self, name: str, age_s: float = READING_FRESH_S) -> list[Fields]:
        now = time.monotonic()
        known = self._readings[name]
        for process in [process for process, (at, _reading) in known.items() if now - at > READING_FRESH_S]:
            del known[process]
        return [reading for at, reading in known.values() if now - at <= age_s]

    def _wait_s(self, name: str) -> float:
        return max((float(reading["estimated_wait_s"]) for reading in self._fresh(name)), default=1.0)


class ReplicaCounts:
    """The present and the maximum number of replicas of each deployment, as Serve's controller reports them."""

    def __init__(self) -> None:
        self._known: dict[str, Fields] = {}
        self._asked_at = self._reported_at = float("-inf")
        self._wanted_since: dict[str, float] = {}

    async def read(self) -> dict[str, Fields]:
        """Return the latest counts of each deployment, by its name. They are at most ``COUNTS_KEPT_S`` seconds old.

        The counts have the fields ``running`` (number of running replicas) and ``most`` (maximum number of replicas).
        Return an empty dictionary if the controller has not answered for a longer time.
        """
        if time.monotonic() - self._asked_at < COUNTS_NEW_S:
            return self._known
        self._asked_at = time.monotonic()
        try:
            async with asyncio.timeout(STATUS_TIMEOUT_S):
                details = await asyncio.to_thread(_get_global_client().get_serve_details)
            application = details["applications"][serve.get_replica_context().app_name]
            self._known = {name: self._count(name, one) for name, one in application["deployments"].items()}
            self._reported_at = time.monotonic()
        except Exception as error:  # noqa: BLE001 units run without the counts, whatever the error is
            logger.warning("the replicas cannot be counted", extra={"error": type(error).__name__})
            if time.monotonic() - self._reported_at > COUNTS_KEPT_S:
                self._known = {}
        return self._known

    def _count(self, name: str, deployment: Mapping[str, Any]) -> Fields:
        running = sum(replica["state"] == "RUNNING" for replica in deployment["replicas"])
        scaling = deployment["deployment_config"].get("autoscaling_config")
        most = scaling["max_replicas"] if scaling else deployment["target_num_replicas"]
        if running >= deployment["target_num_replicas"]:
            self._wanted_since.pop(name, None)
        elif time.monotonic() - self._wanted_since.setdefault(name, time.monotonic()) > LONGEST_START_S:
            most = running  # a new machine is unlikely to start, so no work should wait for it
        return {"running": running, "most": max(running, most)}


@serve.ingress()
class Ingress:
    """The deployment that receives units over HTTP and passes them to the replicas that run the engines."""

    def __init__(self, handles: dict[str, DeploymentHandle]) -> None:
        self._server = UnitServer(DeploymentUnitHandler(handles))

    def __serve_build_asgi_app__(self) -> Any:
        return self._server


def _export_batches() -> None:
    """Export the sizes and durations of batches as Ray metrics (``ray_voice_batch_…``)."""
    tags = ("engine",)
    size = metrics.Histogram("voice_batch_size", "Units run together", [1, 2, 4, 8, 16, 32, 64], tags)
    seconds = metrics.Histogram("voice_batch_seconds", "Running one batch", [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10], tags)

    def observe(engine: str, units: int, took_s: float) -> None:
        size.observe(units, {"engine": engine})
        seconds.observe(took_s, {"engine": engine})

    runtime.observe_batches(observe)


def _replicas(wanted: str) -> dict[str, Any]:
    """Return the options that set the number of replicas of a Serve deployment.

    ``wanted``: value of a setting: ``2`` for exactly two replicas, or ``1-4`` for one to four, depending on the work.
    """
    least, _, most = wanted.partition("-")
    if not most:
        return {"num_replicas": int(least)}
    scaling = {
        "min_replicas": int(least),
        "max_replicas": int(most),
        "target_ongoing_requests": settings.VOICE_RAY_ONGOING,
        "upscale_delay_s": settings.VOICE_RAY_UPSCALE_DELAY_S,
        "downscale_delay_s": settings.VOICE_RAY_DOWNSCALE_DELAY_S,
        "look_back_period_s": LOOK_BACK_S,
        "policy": {"policy_function": "inference.scaling:replicas_wanted"},
    }
    return {"autoscaling_config": scaling}


def _deployment(name: str, replicas: str, *, cpus: float, gpus: float, max_queued: int) -> Any:
    return serve.deployment(
        Replica,
        name=name,
        ray_actor_options={"num_cpus": cpus, "num_gpus": gpus},
        max_ongoing_requests=2 * settings.VOICE_RAY_ONGOING,
        max_queued_requests=max_queued,
        health_check_period_s=HEALTH_PERIOD_S,
        health_check_timeout_s=HEALTH_TIMEOUT_S,
        graceful_shutdown_wait_loop_s=DRAIN_POLL_S,
        graceful_shutdown_timeout_s=settings.VOICE_GRACE_S,
        **_replicas(replicas),
    )


def build() -> Any:
    """Build the Serve application according to the settings."""
    speech = [name for name in runtime.names() if name != ASR]
    asr = _deployment(
        ASR,
        settings.VOICE_RAY_ASR_REPLICAS,
        cpus=settings.VOICE_RAY_ASR_CPUS,
        gpus=settings.VOICE_RAY_ASR_GPUS,
        max_queued=settings.VOICE_ASR_QUEUE,
    ).bind([ASR])
    tts = _deployment(
        TTS,
        settings.VOICE_RAY_TTS_REPLICAS,
        cpus=settings.VOICE_RAY_TTS_CPUS,
        gpus=settings.VOICE_RAY_TTS_GPUS,
        max_queued=settings.VOICE_TTS_QUEUE,
    ).bind(speech)
    ingress = serve.deployment(
        Ingress,
        name=INGRESS,
        num_replicas=settings.VOICE_RAY_INGRESS_REPLICAS,
        ray_actor_options={"num_cpus": 0.1},
        max_ongoing_requests=MAX_IN_INGRESS,
        health_check_period_s=HEALTH_PERIOD_S,
        graceful_shutdown_wait_loop_s=DRAIN_POLL_S,
        graceful_shutdown_timeout_s=settings.VOICE_GRACE_S,
    )
    return ingress.bind({ASR: asr, **dict.fromkeys(speech, tts)})


app = build()
