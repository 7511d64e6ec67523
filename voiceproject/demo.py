"""Everything a newcomer needs to try the service: an API key, an admin account, an audio sample and curl commands."""

from __future__ import annotations

import shlex
import wave
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model

from core.audit import acting
from core.models import ApiKey, ClientApplication, digest_of
from core.state_directory import kept_secret
from rollout.feature import VOICE
from rollout.models import ALL, Flag

CLIENT = "demo"
DESCRIPTION = "Made by `make run`"
STARTED_BY = "make run"  # the actor in the audit trail
ADMIN = "admin"
SPOKEN = "Selamat pagi. Apa khabar? Hari ini cuaca sangat baik."


@dataclass(frozen=True)
class Demo:
    key: str
    admin_password: str
    sample: Path

    def instructions(self, address: str) -> str:
        authorization = shlex.quote(f"Authorization: Bearer {self.key}")
        return f"""
  Voice service   {address}
  Try it          {address}/#key={self.key}
  API key         {self.key}
  API page        {address}/docs/
  Admin           {address}/admin/   user {ADMIN}, password {self.admin_password}

  Text to speech (writes malay.mp3):
    curl {address}/v1/audio/speech -H {authorization} -H 'Content-Type: application/json' \\
      -d '{{"input": "Selamat datang ke Kuala Lumpur. Harga tiket RM12.50.", "model": "tts-1", "voice": "alloy"}}' \\
      -o malay.mp3

  Speech to text (the sample is {self.sample}):
    curl {address}/v1/audio/transcriptions -H {authorization} \\
      -F {shlex.quote(f"file=@{self.sample}")} -F model=whisper-1 -F language=ms

  Ctrl-C stops.
"""


def prepare() -> Demo:
    """Create the demo's API key, admin account and audio sample where they are missing, and return them.

    ``VOICE_DEMO_API_KEY`` and ``VOICE_DEMO_ADMIN_PASSWORD`` set the key and the password. If one is empty, a random
    value for it is generated once and stored in the state directory.
    """
    state = settings.VOICE_STATE_DIR
    key = settings.VOICE_DEMO_API_KEY or kept_secret(state / "demo_api_key", prefix="vk_demo_", bytes_of_entropy=32)
    password = settings.VOICE_DEMO_ADMIN_PASSWORD or kept_secret(state / "demo_admin_password", bytes_of_entropy=9)
    with acting(STARTED_BY):
        _make_key(key)
    _make_admin(password)
    return Demo(key, password, _make_sample(state / "malay.wav"))


def _make_key(key: str) -> None:
    client, is_first_start = ClientApplication.objects.get_or_create(name=CLIENT, defaults={"description": DESCRIPTION})
    if not ApiKey.objects.filter(digest=digest_of(key)).exists():
        ApiKey.issue(client, label="demo", key=key)
    if is_first_start:
        _roll_out()


def _roll_out() -> None:
    """Roll voice out to everyone, because it is off by default.

    Call this only at the demo's first start, so that later changes in the admin are kept.
    """
    with acting(STARTED_BY, "Whoever tries the service has everything."):
        for flag in Flag.objects.filter(name=VOICE, percent=0):
            flag.percent = ALL
            flag.save()


def _make_admin(password: str) -> None:
    users = get_user_model().objects
    admin = users.filter(username=ADMIN).first()
    if admin is None:
        users.create_superuser(ADMIN, password=password)
    elif settings.VOICE_DEMO_ADMIN_PASSWORD and not admin.check_password(password):
        admin.set_password(password)
        admin.save()


def _make_sample(path: Path) -> Path:
    """Write a WAV file (16-bit mono) with a Malay sentence to ``path``, unless the file exists. Return ``path``."""
    if not path.exists():
        from tts.espeak import SAMPLE_RATE, speak  # the import loads the speech library, so only when needed

        draft = path.with_suffix(".draft")
        with wave.open(str(draft), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", "not compressed"))
            file.writeframes(speak(SPOKEN).tobytes())
        draft.replace(path)
    return path
