"""The database models of client applications, such as the chat front end, and of their API keys."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from core.audit import Audited, record

KEY_START = "vk_"
PREFIX_LENGTH = len(KEY_START) + 8
LAST_USED_RESOLUTION = timedelta(minutes=1)


def digest_of(key: str) -> str:
    """Return the SHA-256 digest of an API key in hexadecimal. The database contains this digest instead of the key.

    A slow password hash is not needed, because a generated key has 256 random bits and cannot be guessed.
    """
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def not_expired() -> Q:
    """Return a query filter that selects API keys that have not expired."""
    return Q(expires_at=None) | Q(expires_at__gt=timezone.now())


class ClientApplication(Audited):
    """A program that calls the service on behalf of its users."""

    recorded = ("name", "description", "is_active")

    name = models.SlugField(max_length=64, unique=True)
    description = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True, help_text="Off refuses all of its keys and tokens.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ApiKey(Audited):
    """An API key of a client application. The database stores only the key's digest."""

    recorded = ("label", "revoked_at", "expires_at")

    client = models.ForeignKey(ClientApplication, on_delete=models.PROTECT, related_name="keys")
    label = models.CharField(max_length=100, blank=True, help_text="Where this key is used.")
    prefix = models.CharField(max_length=16, editable=False, help_text="The key's first characters.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    expires_at = models.DateTimeField(
        "expires", null=True, blank=True, help_text="From then on it is refused. Empty: never."
    )

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.client}: {self.prefix}…"

    @classmethod
    def issue(
        cls, client: ClientApplication, *, label: str = "", key: str = "", expires_at: datetime | None = None
    ) -> tuple[ApiKey, str]:
        """Create an API key, and return its row and the key itself.

        The key cannot be read again later, because only its digest is stored.

        ``key``: the key to use, or "" to generate a random key.
        """
        key = key or KEY_START + secrets.token_urlsafe(32)
        row = cls.objects.create(
            client=client, label=label, prefix=key[:PREFIX_LENGTH], digest=digest_of(key), expires_at=expires_at
        )
        return row, key

    @classmethod
    def find(cls, key: str) -> ApiKey | None:
        """Return the row of a valid key, with its client application; None if the key is not valid.

        A key is invalid if it is unknown, revoked or expired, or if its client application is switched off. The time
        of last use is updated at most once a minute.
        """
        rows = cls.objects.select_related("client").filter(digest=digest_of(key))
        row = rows.filter(not_expired(), revoked_at=None, client__is_active=True).first()
        if row is not None:
            row._note_use()
        return row

    @property
    def is_expired(self) -> bool:
        """Whether the key has expired."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def _note_use(self) -> None:
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at > LAST_USED_RESOLUTION:
            type(self).objects.filter(pk=self.pk).update(last_used_at=now)

    def revoke(self) -> None:
        """Revoke this key permanently. Do nothing if the key has already been revoked."""
        now = timezone.now()
        with transaction.atomic():
            if type(self).objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=now):
                record(self.subject(), {"revoked": False}, {"revoked": True})
