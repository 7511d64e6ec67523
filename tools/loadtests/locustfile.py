"""The load generator: a Locust file that runs in a separate process without Django.

Each Locust user is one end user with a separate connection. The user makes a request of one of the four kinds, thinks,
and makes the next request. After a refusal (429, 503) the user waits at least as long as ``Retry-After`` says. The
generator reads its configuration from a file (``tools.loadtests.generator_config``) and writes its events to a pipe
(``tools.loadtests.events``).
"""

from __future__ import annotations

import itertools
import math
import os
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, events, task
from locust.env import Environment
from websocket import WebSocketTimeoutException

from capacity.latency_targets import Workload
from tools.loadtests import live_clients
from tools.loadtests.events import Outcome, Pulse, RequestEvent, line
from tools.loadtests.generator_config import CONFIG_VARIABLE, MAX_SPEECH_S, PIPE_VARIABLE, GeneratorConfig
from tools.loadtests.live_clients import Live, LiveEndpoint, Refused
from tools.loadtests.response_checks import WrongResponse, check_audio, check_words
from tools.loadtests.scenarios import MIX, THINK_S
from tools.loadtests.sentences import sentence

RETRY_AFTER_S = 1.0  # used if a refusal has no Retry-After
PULSE_S = 1.0
LAG_PROBE_S = 0.05
DEGRADED_HEADER = "X-Voice-Degraded"

config = GeneratorConfig.read(os.environ[CONFIG_VARIABLE])
pipe = int(os.environ[PIPE_VARIABLE])
_numbers = itertools.count()
_sentences = itertools.count(config.first)
_in_flight = 0


class Hung(Exception):
    """The request did not end within ``GeneratorConfig.timeout_s``."""


class Failed(Exception):
    """The request neither succeeded nor was refused."""


@dataclass
class Spoken:
    """The speech that was received for a request, in fields named as in ``RequestEvent``."""

    voice: str = ""
    degraded: str = ""
    audio_s: float = 0.0


class Deck:
    """Chooses the kind of each request, for all users together.

    It works like a deck of cards that is dealt out and shuffled again, so the proportions of ``MIX`` are exact even in
    a short run. The first four requests are one of each kind.
    """

    def __init__(self) -> None:
        self._cards = list(Workload)

    def draw(self) -> Workload:
        """Return the kind of the next request."""
        if not self._cards:
            common = math.gcd(*MIX.values())
            self._cards = [work for work, share in MIX.items() for _ in range(share // common)]
            random.shuffle(self._cards)
        return self._cards.pop()


_deck = Deck()


class VoiceUser(FastHttpUser):
    """An end user who makes requests of random kinds, with think time between them unless the loop is closed."""

    host = config.host
    network_timeout = connection_timeout = config.timeout_s
    insecure = False

    def on_start(self) -> None:
        self.retry_after_s = 0.0
        self.spoken = Spoken()
        self.headers = {
            "Authorization": f"Bearer {config.key}",
            "X-Voice-User": f"{config.user_prefix}-{next(_numbers)}",
        }
        self.line = LiveEndpoint(config.host, self.headers, config.timeout_s)
        if not config.is_closed_loop:
            gevent.sleep(random.uniform(0, THINK_S[0]))  # users do not start together

    def wait_time(self) -> float:
        """Return the seconds until the next request.

        This is the think time, or the ``Retry-After`` of a refusal if that is longer.
        """
        think = 0.0 if config.is_closed_loop else random.uniform(*THINK_S)
        waits = max(think, self.retry_after_s)
        self.retry_after_s = 0.0
        return waits

    def context(self) -> dict[str, Any]:
        """Return the data that Locust passes to ``_send_event`` with each request."""
        return {"spoken": self.spoken}

    @task
    def use_voice(self) -> None:
        self.spoken = Spoken()
        match _deck.draw():
            case Workload.ASR:
                self.transcribe()
            case Workload.TTS:
                self.speak()
            case Workload.LIVE_ASR:
                self.recognise_live()
            case Workload.LIVE_TTS:
                self.read_aloud_live()

    def transcribe(self) -> None:
        clip = random.choice(config.clips)
        body, content_type = _form({"model": "whisper-1", "language": config.language}, clip.file, clip.content_type)
        path = "/v1/audio/transcriptions"
        self._post(Workload.ASR, path, body, content_type, lambda answer: check_words(answer.content))

    def speak(self) -> None:
        name = random.choices(("mp3", "opus", "wav"), (60, 25, 15))[0]
        spoken = self.spoken = Spoken(config.voice)

        def check(answer: Any) -> None:
            spoken.audio_s = check_audio(answer.content, name)
            spoken.degraded = answer.headers.get(DEGRADED_HEADER) or ""

        words = {"model": "tts-1", "voice": config.voice, "input": _reply(), "response_format": name}
        self._post(Workload.TTS, "/v1/audio/speech", words, "application/json", check)

    def recognise_live(self) -> None:
        clip = random.choice(config.clips)
        self._live(Workload.LIVE_ASR, lambda: live_clients.recognise(self.line, config.language, _read(clip.pcm)))

    def read_aloud_live(self) -> None:
        self.spoken = Spoken(config.voice)
        self._live(Workload.LIVE_TTS, lambda: live_clients.read_aloud(self.line, config.voice, _reply(at_least=2)))

    def _post(self, work: Workload, path: str, body: Any, content_type: str, check: Callable[[Any], None]) -> None:
        kind: dict[str, Any] = {"json": body} if isinstance(body, dict) else {"data": body}
        headers = {**self.headers, "Content-Type": content_type}
        with _Counted():
            with gevent.Timeout(config.timeout_s):  # limits the whole request, even while the server sends data
                answer: Any = self.client.post(path, **kind, headers=headers, name=work.value, catch_response=True)
            with answer:
                error = self._judge(answer, check)
                if error is not None:
                    answer.failure(error)

    def _judge(self, answer: Any, check: Callable[[Any], None]) -> Exception | None:
        """Return the error to record for a response; None if the response is good.

        ``answer``: the response of Locust's HTTP client. Its status is 0 if no response arrived.
        ``check``: raises ``WrongResponse`` if the response does not contain what was asked for.
        """
        match answer.status_code:
            case 200:
                try:
                    check(answer)
                except WrongResponse as wrong:
                    return wrong
                return None
            case 429 | 503 as status:
                self.retry_after_s = _seconds(answer.headers.get("Retry-After"))
                return Refused(f"{status} {_code(answer.content)}")
            case 0:
                error = getattr(answer.error, "original", None) or answer.error  # the client wraps some errors
                if isinstance(error, gevent.Timeout | TimeoutError):
                    return Hung(f"nothing within {config.timeout_s:g} s")
                return Failed(f"{type(error).__name__}: {error}")
            case status:
                return Failed(f"{status} {_code(answer.content)}")

    def _live(self, work: Workload, talk: Callable[[], Live]) -> None:
        seconds = 0.0
        size = 0
        error: Exception | None = None
        with _Counted():
            try:
                with gevent.Timeout(config.timeout_s + MAX_SPEECH_S, Hung(f"no end within {config.timeout_s:g} s")):
                    done = talk()
                seconds = done.seconds
                size = done.size
                self.spoken.audio_s = done.audio_s
                self.spoken.degraded = done.degraded
            except Refused as refusal:
                self.retry_after_s = refusal.retry_after_s or RETRY_AFTER_S
                error = refusal
            except (WebSocketTimeoutException, TimeoutError):
                error = Hung(f"nothing within {config.timeout_s:g} s")
            except Exception as failure:  # noqa: BLE001 - the user goes on after any failure
                error = failure
        self.environment.events.request.fire(
            request_type="WS",
            name=work.value,
            response_time=1000 * seconds,
            response_length=size,
            exception=error,
            context=self.context(),
        )


class _Counted:
    """A context manager that counts a request as in progress."""

    def __enter__(self) -> None:
        global _in_flight
        _in_flight += 1

    def __exit__(self, *_error: object) -> None:
        global _in_flight
        _in_flight -= 1


def _reply(at_least: int = 1) -> str:
    return " ".join(sentence(next(_sentences)) for _ in range(random.randint(at_least, 2)))


def _form(fields: dict[str, str], file: str, content_type: str) -> tuple[bytes, str]:
    """Return the body and the content type of a multipart form.

    ``fields``: the text fields.
    ``file``: the path of the file to upload.
    ``content_type``: the content type of that file.
    """
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    name = Path(file).name.encode("ascii", "replace").decode().replace('"', "_")
    about = f'name="file"; filename="{name}"\r\nContent-Type: {content_type}'
    parts += [f"--{boundary}\r\nContent-Disposition: form-data; {about}\r\n\r\n".encode(), _read(file)]
    parts.append(f"\r\n--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


@cache
def _read(file: str) -> bytes:
    return Path(file).read_bytes()


def _seconds(text: str | None) -> float:
    try:
        return max(0.0, float(text or RETRY_AFTER_S))
    except ValueError:
        return RETRY_AFTER_S


def _code(body: bytes | None) -> str:
    """Return the error code of a JSON error response, or "without an error code"."""
    return live_clients.error_code(body or b"") or "without an error code"


@events.request.add_listener
def _send_event(
    name: str, response_time: float, context: dict[str, Any], exception: BaseException | None = None, **_more: Any
) -> None:
    match exception:
        case None:
            outcome = Outcome.OK
        case Refused():
            outcome = Outcome.REFUSED
        case Hung():
            outcome = Outcome.HUNG
        case _:
            outcome = Outcome.FAILED
    why = "" if exception is None else str(exception) or type(exception).__name__
    spoken: Spoken = context["spoken"]
    asked = RequestEvent(
        time.time(),
        Workload(name),
        response_time / 1000,
        outcome,
        why[:200],
        voice=spoken.voice,
        degraded=spoken.degraded,
        audio_s=round(spoken.audio_s, 3),
    )
    os.write(pipe, line(asked))


@events.test_start.add_listener
def _begin(environment: Environment, **_more: Any) -> None:
    gevent.spawn(_pulse, environment)


def _pulse(environment: Environment) -> None:
    while True:
        until = time.monotonic() + PULSE_S
        lag = 0.0
        while (now := time.monotonic()) < until:
            gevent.sleep(LAG_PROBE_S)
            lag = max(lag, time.monotonic() - now - LAG_PROBE_S)
        users = environment.runner.user_count if environment.runner else 0
        os.write(pipe, line(Pulse(time.time(), users, _in_flight, lag)))
