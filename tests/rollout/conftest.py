from __future__ import annotations

import pytest

from core.identity import Caller
from core.models import ClientApplication
from rollout import policy
from rollout.feature import VOICE, Feature
from rollout.models import Flag


@pytest.fixture
def flags(db) -> dict[str, Flag]:
    """The flags: voice is at 0 %, and the features have no percentages of their own."""
    policy.forget()
    voice = Flag.objects.get_or_create(name=VOICE, defaults={"percent": 0})[0]
    return {VOICE: voice, **{name: Flag.objects.get_or_create(name=name)[0] for name in Feature}}


@pytest.fixture
def chat(db) -> ClientApplication:
    return ClientApplication.objects.create(name="chat")


@pytest.fixture
def caller(chat: ClientApplication) -> Caller:
    return Caller(chat.pk, chat.name, "aminah", "vk_x", "key:vk_x")
