"""Which values each setting may have. ``manage.py check`` and every server apply these rules.

docs/configuration.md explains what each setting does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from core.mail_recipients import Recipient
from voiceproject.environment import Problem

LOG_LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")
DEVICES = ("auto", "cpu", "cuda")
COMPUTE_TYPES = "default auto int8 int8_float32 int8_float16 int8_bfloat16 int16 float16 bfloat16 float32".split()
WHISPER_LANGUAGES = """
af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy id is it ja
jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sd si sk sl sn so sq
sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo yue zh
""".split()
MIN_JWT_SECRET_BYTES = 32  # RFC 7518, section 3.2: a key for HS256 must be at least as long as the hash


@dataclass(frozen=True)
class Rule:
    """Which values a setting may have.

    ``allowed``: the valid values in words, as the end of the sentence "It must be …".
    ``accepts``: returns True if a value is valid.
    """

    allowed: str
    accepts: Callable[[Any], bool]


def at_least(minimum: float) -> Rule:
    return Rule(f"at least {minimum:g}", lambda value: math.isfinite(value) and value >= minimum)


def more_than(bound: float) -> Rule:
    return Rule(f"more than {bound:g}", lambda value: math.isfinite(value) and value > bound)


def between(minimum: float, maximum: float) -> Rule:
    return Rule(f"between {minimum:g} and {maximum:g}", lambda value: minimum <= value <= maximum)


def one_of(choices: Iterable[str]) -> Rule:
    offered = tuple(choices)
    return Rule("one of " + ", ".join(offered), lambda value: value in offered)


def address(*schemes: str, optional: bool = True) -> Rule:
    """Return a rule for a URL that has a host and one of the schemes. If ``optional``, the value may be empty."""
    shown = " or ".join(f"{scheme}://…" for scheme in schemes)
    return Rule(f"an address such as {shown}", lambda value: (optional and not value) or _is_address(value, schemes))


def all_of(rule: Rule, *, minimum: int = 0) -> Rule:
    """Return a rule for a list of at least ``minimum`` values that all comply with ``rule``."""
    several = "a list, separated by commas, each of them "
    return Rule(several + rule.allowed, lambda values: len(values) >= minimum and all(map(rule.accepts, values)))


def _is_address(value: str, schemes: Iterable[str]) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in schemes and bool(parts.hostname or parts.scheme == "unix") and parts.port != 0
    except ValueError:
        return False


def _is_origin(value: str) -> bool:
    parts = urlsplit(value)
    return value == "*" or (parts.scheme in ("http", "https") and bool(parts.netloc) and not parts.path)


def _is_replicas(value: str) -> bool:
    """Return True for a positive number such as ``3`` or an ascending range such as ``1-4``."""
    first, dash, last = value.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        return False
    return 1 <= int(first) <= int(last or first)


_ORIGINS = all_of(Rule("an origin such as https://chat.example.com, or *", _is_origin))
_REPLICAS = Rule("a number from 1, or from-to such as 1-4", _is_replicas)
_ANY = Rule("text", lambda value: True)
_LANGUAGE = Rule("a language that Whisper knows, such as ms, en, zh or ta", lambda code: code in WHISPER_LANGUAGES)

RULES: Mapping[str, Rule] = {
    "PORT": between(0, 65_535),
    "DATABASE_URL": _ANY,  # checked where it is parsed
    "OTEL_EXPORTER_OTLP_ENDPOINT": address("http", "https"),
    "REDIS_URL": address("redis", "rediss", "unix"),
    "SECRET_KEY": _ANY,
    "DEBUG": _ANY,
    "VOICE_STATE_DIR": _ANY,
    "VOICE_HOST": _ANY,
    "VOICE_ALLOWED_HOSTS": _ANY,
    "VOICE_TRUSTED_PROXIES": _ANY,
    "VOICE_CORS_ORIGINS": _ORIGINS,
    "VOICE_CSRF_TRUSTED_ORIGINS": all_of(Rule("an origin such as https://voice.example.com", _is_origin)),
    "VOICE_GRACE_S": at_least(0),
    "VOICE_DEADLINE_S": more_than(0),
    "VOICE_CPU_THREADS": at_least(0),
    "VOICE_LOG_LEVEL": one_of(LOG_LEVELS),
    "VOICE_TIME_ZONE": Rule("a time zone such as Asia/Kuala_Lumpur", lambda name: name in available_timezones()),
    "VOICE_DATABASE_POOL": at_least(0),
    "VOICE_DATABASE_OUTAGE_S": at_least(0),
    "VOICE_MAX_UPLOAD_BYTES": at_least(1),
    "VOICE_MAX_JSON_BYTES": at_least(1_024),
    "VOICE_BODY_GRACE_S": more_than(0),
    "VOICE_BODY_MIN_BYTES_S": more_than(0),
    "VOICE_HEAD_BYTES": at_least(4_096),
    "VOICE_HEAD_S": more_than(0),
    "VOICE_MAX_AUDIO_S": more_than(0),
    "VOICE_RATE_LIMIT": at_least(0),
    "VOICE_IDEMPOTENCY_TTL_S": at_least(0),
    "VOICE_IDEMPOTENCY_BYTES": at_least(1),
    "VOICE_WS_MAX_BYTES": at_least(1_024),
    "VOICE_WS_MAX_JSON_BYTES": at_least(1_024),
    "VOICE_WS_IDLE_S": more_than(0),
    "VOICE_WS_MAX_S": more_than(0),
    "VOICE_WS_DRAIN_S": at_least(0),
    "VOICE_STREAMS_PER_USER": at_least(0),
    "VOICE_CLIENT_SECRET_S": at_least(10),
    "VOICE_JWT_SECRET": Rule(
        f"at least {MIN_JWT_SECRET_BYTES} bytes long",
        lambda secret: not secret or len(secret.encode()) >= MIN_JWT_SECRET_BYTES,
    ),
    "VOICE_JWT_JWKS_URL": address("https", "http"),
    "VOICE_JWT_AUDIENCE": _ANY,
    "VOICE_JWT_ISSUER": _ANY,
    "VOICE_JWT_CLIENT": Rule("a name of 1 to 100 characters", lambda name: 1 <= len(name) <= 100),
    "VOICE_DEMO_API_KEY": _ANY,
    "VOICE_DEMO_ADMIN_PASSWORD": _ANY,
    "VOICE_INFERENCE_URL": all_of(address("http", "https", optional=False)),
    "VOICE_RAY_ASR_REPLICAS": _REPLICAS,
    "VOICE_RAY_TTS_REPLICAS": _REPLICAS,
    "VOICE_RAY_INGRESS_REPLICAS": at_least(1),
    "VOICE_RAY_ASR_GPUS": at_least(0),
    "VOICE_RAY_TTS_GPUS": at_least(0),
    "VOICE_RAY_ASR_CPUS": at_least(0),
    "VOICE_RAY_TTS_CPUS": at_least(0),
    "VOICE_RAY_ONGOING": at_least(1),
    "VOICE_RAY_UPSCALE_DELAY_S": at_least(0),
    "VOICE_RAY_DOWNSCALE_DELAY_S": at_least(0),
    "VOICE_MODELS_DIR": _ANY,
    "VOICE_UNKNOWN_MODELS": one_of(("refuse", "default")),
    "VOICE_ASR_MODEL": _ANY,  # checked by the model store
    "VOICE_ASR_DEVICE": one_of(DEVICES),
    "VOICE_ASR_COMPUTE_TYPE": one_of(COMPUTE_TYPES),
    "VOICE_ASR_NATIVE": one_of(("auto", "off")),
    "VOICE_ASR_THREADS": at_least(0),
    "VOICE_ASR_BATCH": at_least(1),
    "VOICE_ASR_BEAM": between(1, 20),
    "VOICE_ASR_BUSY_BEAM": between(1, 20),
    "VOICE_ASR_CONTEXT": one_of(("auto", "full", "dynamic")),
    "VOICE_ASR_LANGUAGES": all_of(_LANGUAGE, minimum=1),
    "VOICE_ASR_IDLE_UNLOAD_S": at_least(0),
    "VOICE_ASR_QUEUE": at_least(1),
    "VOICE_ASR_WAIT_S": at_least(0),
    "VOICE_ASR_TUNING": _ANY,
    "VOICE_CORRECTION_WINDOW_S": at_least(0),
    "VOICE_TTS_MODEL": _ANY,
    "VOICE_TTS_DEVICE": one_of(DEVICES),
    "VOICE_TTS_THREADS": at_least(0),
    "VOICE_TTS_WORKERS": at_least(0),
    "VOICE_TTS_BROWNOUT": _ANY,
    "VOICE_TTS_BROWNOUT_S": at_least(0),
    "VOICE_TTS_DEFAULT_VOICE": _ANY,
    "VOICE_TTS_MAX_CHARACTERS": at_least(1),
    "VOICE_TTS_QUEUE": at_least(1),
    "VOICE_TTS_WAIT_S": at_least(0),
    "VOICE_TTS_CACHE_BYTES": at_least(0),
    "VOICE_COQUI_MODELS": _ANY,
    "VOICE_COQUI_DEVICE": one_of(DEVICES),
    "VOICE_COQUI_THREADS": at_least(0),
    "VOICE_COQUI_BATCH": at_least(1),
    "VOICE_USAGE_RETENTION_DAYS": at_least(1),
    "VOICE_PHASE": at_least(0),
    "VOICE_MAX_CONCURRENT_USERS": at_least(0),
    "VOICE_PHASE_DIR": _ANY,
    "VOICE_LEASE_S": more_than(0),
    "VOICE_PROBE_URL": address("http", "https"),
    "VOICE_RUNBOOK_URL": address("http", "https"),
    "VOICE_ALERT_EMAILS": all_of(Rule("an e-mail address", lambda value: "@" in value)),
    "VOICE_SUMMARY_EMAILS": all_of(Rule("an e-mail address, after ms: for Malay", Recipient.is_one)),
    "VOICE_ALERT_WEBHOOKS": all_of(address("https", "http", optional=False)),
    "VOICE_EMAIL_URL": _ANY,  # checked where it is parsed
    "VOICE_EMAIL_FROM": Rule("an e-mail address", lambda value: "@" in value),
}


def usable(name: str, value: Any, *, otherwise: Any) -> Any:
    """Return the value if it is valid for the setting, else ``otherwise``.

    This is for settings that Django uses before the checks can report them.
    """
    return value if RULES[name].accepts(value) else otherwise


def broken_rules(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a problem for each setting with an invalid value."""
    for name, rule in RULES.items():
        value = settings[name]
        if not rule.accepts(value):
            shown = ",".join(value) if isinstance(value, list) else value
            yield Problem(name, str(shown), rule.allowed)
