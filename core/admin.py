"""Admin pages to create, monitor and revoke client applications and API keys.

The pages for staff accounts and roles are in ``core.user_admin``.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.formats import date_format
from unfold.decorators import action, display

from core import user_admin
from core.admin_base import AuditedAdmin, exists, found
from core.confirmation import Question, ask
from core.models import ApiKey, ClientApplication

__all__ = ["user_admin"]

REFUSED = "Calls with it are refused everywhere within 5 seconds, and it can never be used again."


@admin.register(ClientApplication)
class ClientApplicationAdmin(AuditedAdmin):
    empty_text = "A client application is a program that calls the service for its users, such as the chat front end."
    list_display = ["name", "description", "state", "keys_in_use", "created_at"]
    list_filter = ["is_active"]
    search_fields = ["name", "description"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ClientApplication]:
        rows: QuerySet[ClientApplication] = super().get_queryset(request)
        return rows.annotate(number_of_keys=Count("keys", filter=Q(keys__revoked_at=None)))

    @display(description="State", ordering="is_active", label={"Active": "success", "Off": "danger"})
    def state(self, client: ClientApplication) -> str:
        return "Active" if client.is_active else "Off"

    @display(description="Keys", ordering="number_of_keys")
    def keys_in_use(self, client: ClientApplication) -> int:
        return int(client.number_of_keys)  # type: ignore[attr-defined]


@admin.register(ApiKey)
class ApiKeyAdmin(AuditedAdmin):
    empty_text = "A key lets a client application in. It is shown once, when it is made."
    list_display = ["shown_prefix", "client", "label", "state", "created_at", "used", "expiry"]
    list_filter = ["client", ("revoked_at", admin.EmptyFieldListFilter)]
    list_select_related = ["client"]
    search_fields = ["prefix", "label", "client__name"]
    actions = ["revoke"]
    actions_detail = ["revoke_one"]
    readonly_fields = ["shown_prefix", "state", "created_at", "used", "revoked_at"]
    ordering = ["-created_at"]

    @display(description="Begins with", ordering="prefix")
    def shown_prefix(self, key: ApiKey) -> str:
        return f"{key.prefix}…"

    @display(
        description="State",
        ordering="revoked_at",
        label={"In use": "success", "Revoked": "danger", "Expired": "danger"},
    )
    def state(self, key: ApiKey) -> str:
        if key.revoked_at is not None:
            return "Revoked"
        if key.is_expired:
            return "Expired"
        return "Never used" if key.last_used_at is None else "In use"

    @display(description="Last used", ordering="last_used_at", empty_value="–")
    def used(self, key: ApiKey) -> str | None:
        return date_format(timezone.localtime(key.last_used_at), "DATETIME_FORMAT") if key.last_used_at else None

    @display(description="Expires", ordering="expires_at")
    def expiry(self, key: ApiKey) -> str:
        return date_format(timezone.localtime(key.expires_at), "DATETIME_FORMAT") if key.expires_at else "never"

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        typed = ["client", "label", "expires_at"]
        return typed if obj is None else [*typed, *self.readonly_fields]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        return [] if obj is None else ["client", *self.readonly_fields]

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False  # revoked keys stay, so that the callers of past ledger rows can be identified

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        row, key = ApiKey.issue(obj.client, label=obj.label, expires_at=obj.expires_at)
        obj.__dict__.update(row.__dict__)
        request.issued_key = key  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """Show the new key, in this response only.

        A Django message is not used for this, because Django might store the message, and the key in it, in a cookie.
        """
        context = {
            **self.admin_site.each_context(request),
            "title": "New API key",
            "opts": self.opts,
            "row": obj,
            "key": request.issued_key,  # type: ignore[attr-defined]
        }
        response = TemplateResponse(request, "admin/voiceproject/apikey/issued.html", context)
        add_never_cache_headers(response)
        return response

    @admin.action(description="Revoke selected API keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse:
        keys = list(queryset)
        chosen = [(ACTION_CHECKBOX_NAME, str(key.pk)) for key in keys]
        question = Question(
            title=f"Revoke {len(keys)} API key{'s' * (len(keys) != 1)}",
            consequence=f"{', '.join(str(key) for key in keys)}. {REFUSED}",
            do=lambda _form: self._revoke(request, keys),
            back=reverse("admin:voiceproject_apikey_changelist"),
            carried=[("action", "revoke"), ("sure", "yes"), *chosen],
        )
        return ask(request, self, question, is_sent="sure" in request.POST)

    def has_revoke_one_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_change_permission(request) and exists(ApiKey.objects.filter(revoked_at=None), object_id)

    @action(description="Revoke", url_path="revoke", permissions=["revoke_one"], icon="block")
    def revoke_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = found(ApiKey.objects.select_related("client"), object_id)
        question = Question(
            title=f"Revoke {key}",
            consequence=REFUSED,
            do=lambda _form: self._revoke(request, [key]),
            back=reverse("admin:voiceproject_apikey_change", args=[key.pk]),
        )
        return ask(request, self, question)

    def _revoke(self, request: HttpRequest, keys: list[ApiKey]) -> str:
        for key in keys:
            key.revoke()
            self.log_change(request, key, "Revoked.")
        return f"Revoked {len(keys)}; refused everywhere within 5 seconds."
