"""The watcher: take samples, evaluate alert rules, advance ramps, send notifications and probe the service.

Several watchers may run at once, but only the leader does the work. Each has three threads, with a database connection
each:

- the watch takes samples, evaluates rules and advances ramps. It never waits for mail servers, webhooks or the service.
- the messenger sends notifications.
- the prober checks whether the service is ready, and does slow jobs.

All threads end when ``stopping`` is set.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta

from django.db import close_old_connections
from django.utils import timezone

from capacity import alert_metrics, alerts, concurrent_users, deployment, notifications, phase_outlook, uptime
from capacity.leader_election import LEASE_S, Election, election
from capacity.models import Sample
from capacity.presence import Presence, merged
from inference import gpu
from rollout import ramp

logger = logging.getLogger(__name__)

TICKS_PER_BEAT = 2  # leases are read more often than processes publish them, so that no busy instant is missed
RENEW_EVERY_S = 5.0
EVALUATE_EVERY = timedelta(seconds=15)
PROBE_EVERY_S = 15.0
SEND_EVERY_S = 2.0
COUNT_EVERY = timedelta(hours=1)  # how often to count active users and delete old rows
KEEP_SAMPLES = timedelta(days=8)
STOP_S = 10.0

Clock = Callable[[], datetime]


def read_presence() -> Presence | None:
    """Return the end users that all processes serve, and the load of the busiest GPU, including this machine's GPUs.

    Return None if the leases cannot be read.
    """
    try:
        served = concurrent_users.now_served()
    except Exception:  # evaluate the other metrics without it
        logger.warning("the leases cannot be read", exc_info=True)
        return None
    return merged([served, Presence().with_gpu(gpu.busiest(gpu.read()))])


class Watch:
    """Collects the end users being served at each tick of the leading watcher, and evaluates the rules every 15 s."""

    def __init__(self) -> None:
        self._busiest: Presence | None = None
        self._evaluated_at: datetime | None = None

    def tick(self, now: datetime, presence: Presence | None) -> bool:
        """Note the end users being served. If the last evaluation was at least 15 s ago, evaluate and return True."""
        self._note(presence)
        if self._evaluated_at is not None and now - self._evaluated_at < EVALUATE_EVERY:
            return False
        self._evaluated_at = now
        busiest = self._busiest
        self._busiest = None
        evaluate(now, busiest)
        return True

    def _note(self, presence: Presence | None) -> None:
        """Keep the largest sets of end users since the last evaluation.

        Sets of different ticks are not merged, because these users were not served at the same time.
        """
        if presence is None:
            return
        known = self._busiest or presence
        self._busiest = Presence(
            max(known.asr, presence.asr, key=len),
            max(known.tts, presence.tts, key=len),
            max(known.together, presence.together, key=len),
            presence.gpu_percent,
            gpu_memory_percent=presence.gpu_memory_percent,
        )


def evaluate(now: datetime, presence: Presence | None) -> None:
    """Take a sample, update the alerts, and advance the ramps or, if critical alerts fire, roll them back.

    ``presence``: the end users at the busiest instant since the last evaluation; None if unknown.
    """
    alerts.evaluate(now, alert_metrics.take_sample(now, presence))
    try:
        ramp.tick(now, alerts.critical_in_words(alerts.firing()))
    except Exception:  # the next evaluation tries again
        logger.exception("the ramps could not be moved")


class Watcher:
    """Runs the watcher's threads in this process. They do work only while this process is the leader.

    ``stopping``: set it, from any thread or a signal handler, to end ``run``.
    """

    def __init__(self, stopping: threading.Event, *, clock: Clock = timezone.now) -> None:
        self.name = concurrent_users.process_name()
        self._clock = clock
        self._election: Election | None = None
        self._is_leader = threading.Event()
        self._stopping = stopping
        self._renewed_at = float("-inf")
        self._watch = Watch()
        self._counted_at: datetime | None = None

    @property
    def is_leader(self) -> bool:
        return self._is_leader.is_set()

    def run(self) -> None:
        """Run until ``stopping`` is set, then give up the lead."""
        helpers = [
            threading.Thread(target=self._loop, args=args, name=name, daemon=True)
            for name, args in {
                "capacity-messenger": (self._send, SEND_EVERY_S),
                "capacity-prober": (self._probe, PROBE_EVERY_S),
            }.items()
        ]
        for helper in helpers:
            helper.start()
        self._loop(self._tick, concurrent_users.beat_s() / TICKS_PER_BEAT, is_for_leaders=False)
        self._resign()
        for helper in helpers:
            helper.join(STOP_S)

    def _loop(self, work: Callable[[], None], every_s: float, is_for_leaders: bool = True) -> None:
        """Call ``work`` every ``every_s`` seconds until ``stopping`` is set. An error is logged and the loop goes on.

        ``is_for_leaders``: whether to skip calls while this process is not the leader.
        """
        while not self._stopping.wait(every_s):
            if is_for_leaders and not self.is_leader:
                continue
            try:
                work()
            except Exception:
                logger.exception("the watcher goes on after an error")
            finally:
                close_old_connections()

    def _tick(self) -> None:
        if time.monotonic() - self._renewed_at >= RENEW_EVERY_S:
            self._renew()
        if self.is_leader:
            self._watch.tick(self._clock(), read_presence())

    def _renew(self) -> None:
        try:
            is_leader = self._elected().renew(self.name, LEASE_S)
        except Exception:
            self._is_leader.clear()  # a process that can reach the store may lead instead
            raise
        self._renewed_at = time.monotonic()
        if is_leader != self.is_leader:
            logger.info("leads the watch" if is_leader else "another process leads the watch")
            if is_leader:
                deployment.note_version(self._clock())
        (self._is_leader.set if is_leader else self._is_leader.clear)()

    def _elected(self) -> Election:
        if self._election is None:
            self._election = election("watch")
        return self._election

    def _resign(self) -> None:
        if self.is_leader:
            self._is_leader.clear()
            try:
                self._elected().resign(self.name)
            except Exception:
                logger.warning("the lead could not be given back; it expires by itself", exc_info=True)
            finally:
                close_old_connections()

    def _send(self) -> None:
        while notifications.send_due(self._clock()) and not self._stopping.is_set():
            pass

    def _probe(self) -> None:
        failure = uptime.probe(uptime.url())
        if self._stopping.is_set():
            return  # the probe may have failed because the service is stopping too
        now = self._clock()
        uptime.record(now, failure)
        if self._counted_at is None or now - self._counted_at >= COUNT_EVERY:
            self._counted_at = now
            count_and_forget(now, timezone.localdate(now))


def count_and_forget(now: datetime, today: date) -> None:
    """Do the slow jobs: count active users, and delete old samples and expired leases."""
    phase_outlook.count_active_users(today)
    Sample.objects.filter(at__lt=now - KEEP_SAMPLES).delete()
    concurrent_users.DatabaseStore().forget_expired()
