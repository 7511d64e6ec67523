"""The arguments of ``manage.py plan_capacity``, and the values that they may have."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from tools.planning import rates
from tools.planning.demand import Demand
from tools.planning.plan import P95_S, Targets
from tools.planning.rates import ASR, TTS
from tools.planning.simulation.load import Crowd


def add_to(parser: ArgumentParser) -> None:
    """Add all arguments to the command's parser."""
    _add_use(parser)
    _add_targets(parser)
    _add_machines(parser)
    _add_output(parser)


def _add_use(parser: ArgumentParser) -> None:
    use = parser.add_argument_group("use")
    use.add_argument("--users", type=_positive, default=20_000, help="number of chat users (default: 20,000)")
    use.add_argument(
        "--voice-share", type=_share, default=0.07, help="fraction of the chat users who use voice (default: 0.07)"
    )
    use.add_argument(
        "--audio-minutes",
        type=_amount,
        default=Demand.audio_minutes,
        help="minutes of audio to recognise per voice user and day (default: %(default)g)",
    )
    use.add_argument(
        "--characters",
        type=_amount,
        default=Demand.characters,
        help="characters to speak per voice user and day (default: %(default)g)",
    )
    use.add_argument(
        "--live-share",
        type=_share,
        default=Demand.live_share,
        help="fraction of the audio minutes in live streams (default: %(default)g)",
    )
    use.add_argument(
        "--clip-s",
        type=_positive,
        default=Demand.clip_s,
        help="mean duration of a recording in seconds (default: %(default)g)",
    )
    use.add_argument(
        "--text-characters",
        type=_positive,
        default=Demand.text_characters,
        help="mean length of a text to speak, in characters (default: %(default)g)",
    )
    use.add_argument(
        "--stream-s",
        type=_positive,
        default=Demand.stream_s,
        help="mean duration of a live stream in seconds (default: %(default)g)",
    )
    use.add_argument(
        "--peak-factor",
        type=_peak,
        help="activity of the busiest hour divided by the mean (default: that of the built-in daily curve)",
    )
    use.add_argument(
        "--think-s",
        type=_amount,
        default=Crowd.think_s,
        help="mean pause of a concurrent user between two requests, in seconds (default: %(default)g)",
    )
    use.add_argument(
        "--mix",
        type=_mix,
        default=Crowd.mix,
        metavar="ASR,TTS,LIVE",
        help="shares of the concurrent users' requests (default: 0.40,0.45,0.15)",
    )


def _add_targets(parser: ArgumentParser) -> None:
    targets = parser.add_argument_group("targets")
    targets.add_argument(
        "--asr-p95-s",
        type=_positive,
        default=P95_S[ASR],
        help="upper limit for the p95 response time of speech to text, in seconds (default: %(default)g)",
    )
    targets.add_argument(
        "--tts-p95-s",
        type=_positive,
        default=P95_S[TTS],
        help="upper limit for the p95 response time of text to speech, in seconds (default: %(default)g)",
    )
    targets.add_argument(
        "--utilisation",
        type=_bound,
        default=Targets.utilisation,
        help="upper limit for the utilisation in the busiest hour, from 0 to 1 (default: %(default)g)",
    )
    targets.add_argument(
        "--pod-cores",
        type=_positive,
        default=Targets.pod_cores,
        help="CPU cores that each pod requests (default: %(default)g)",
    )


def _add_machines(parser: ArgumentParser) -> None:
    measured = parser.add_argument_group("speed and prices of the machines")
    measured.add_argument(
        "--rates", type=Path, metavar="FILE", help="file written by measure_rates (default: the bundled file)"
    )
    measured.add_argument(
        "--speed-factor",
        type=_positive,
        default=1.0,
        help="speed of a T4 divided by that of the measured device; the output marks it as an assumption (default: 1)",
    )
    measured.add_argument(
        "--asr-model",
        default=rates.PLANNED_ASR,
        help="speech-to-text model that the machines will run (default: %(default)s)",
    )
    measured.add_argument(
        "--tts-model",
        default=rates.PLANNED_TTS,
        help="text-to-speech model that the machines will run (default: %(default)s)",
    )
    measured.add_argument(
        "--load-test",
        type=int,
        metavar="ID",
        help="id of a stored load test; the machines are as fast as they were in it",
    )
    measured.add_argument("--tested-gpus", type=_count, default=1, help="number of GPUs in that load test (default: 1)")
    measured.add_argument(
        "--tested-pods",
        type=_count,
        default=1,
        help="number of pods of each deployment in that load test (default: 1)",
    )
    measured.add_argument(
        "--t4-hour-usd", type=_amount, help="price of a T4 GPU per hour (default: from the admin, else assumed)"
    )
    measured.add_argument(
        "--pod-month-usd",
        type=_amount,
        help="price of --priced-cores cores per month (default: from the admin, else assumed)",
    )
    measured.add_argument(
        "--priced-cores",
        type=_positive,
        default=2.0,
        help="number of CPU cores in the price of a pod; a pod that requests fewer costs proportionally less "
        "(default: 2)",
    )


def _add_output(parser: ArgumentParser) -> None:
    output = parser.add_argument_group("output")
    output.add_argument(
        "--csv", metavar="FILE", help="write the table as CSV; - prints only the CSV to standard output"
    )
    output.add_argument(
        "--plots", type=Path, metavar="FOLDER", help="draw a day, the growth phases and 1,000,000 users"
    )
    output.add_argument(
        "--simulate",
        action="store_true",
        help="simulate a day of these users, and a sudden rise of load, with the autoscaler",
    )
    output.add_argument(
        "--steps",
        type=_people,
        metavar="50,100,200",
        help="simulate these numbers of concurrent users, one after the other, with the required autoscaler and "
        "with one that also uses the metric of concurrent users; --plots then draws only this",
    )
    output.add_argument("--gpus", type=_count, default=1, help="number of GPUs for --steps (default: 1)")
    output.add_argument("--no-phases", action="store_true", help="leave out the growth phases")
    output.add_argument("--seed", type=int, default=1, help="seed of the simulations (default: 1)")


def _amount(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e12:
        raise ValueError
    return value


def _positive(text: str) -> float:
    value = _amount(text)
    if value <= 0:
        raise ValueError
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _share(text: str) -> float:
    value = _amount(text)
    if value > 1:
        raise ValueError
    return value


def _bound(text: str) -> float:
    value = _positive(text)
    if value >= 1:
        raise ValueError
    return value


def _peak(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 12:
        raise ValueError
    return value


def _people(text: str) -> list[int]:
    return [_count(part) for part in text.split(",")]


def _mix(text: str) -> tuple[float, float, float]:
    asr, tts, live = (_amount(part) for part in text.split(","))
    total = asr + tts + live
    if not total:
        raise ValueError
    return asr / total, tts / total, live / total
