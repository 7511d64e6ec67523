"""Admin pages for the roll-out: flags and who has them, allow-lists and deny-lists, and the audit trail.

The pages for cohorts are in ``rollout.cohort_admin``, and those for ramps in ``rollout.ramp_admin``.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, QueryDict
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminNullBooleanSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from core.admin_base import AuditedAdmin, ReadOnly, exists, found, page_of
from core.confirmation import ask_for_reason, reason_field
from core.quantities import NONE
from rollout import cohort_admin, preview, ramp_admin
from rollout.feature import VOICE
from rollout.flag_page import who_is_in
from rollout.models import Change, ClientShare, Flag, ListedUser, Ramp
from rollout.percentage import QUEUE, shown
from rollout.policy import ACTS_WITHIN_S
from rollout.status import UNDER_WAY

__all__ = ["cohort_admin", "ramp_admin"]

ASK_ABOVE_POINTS = 10  # percentage points; a larger increase may be a typing error, so the user must confirm it

EMERGENCY = "Emergency: switched off until the cause is known."
ACTS = f"This takes effect everywhere within {ACTS_WITHIN_S:g} seconds."


class EveryoneWidget(UnfoldAdminNullBooleanSelectWidget):
    """Select widget with a label for each of the three values of ``Flag.everyone``: None, True and False."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        self.choices = [("unknown", "As set below"), ("true", "On for everyone"), ("false", "Off for everyone")]


class FlagForm(forms.ModelForm):  # type: ignore[type-arg]
    why = reason_field()
    is_meant = forms.BooleanField(
        required=False,
        label="Confirm",
        widget=UnfoldBooleanSwitchWidget,
        help_text="Required to take voice away from users, or to give it to many at once.",
    )

    previewed = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Flag
        fields = ["percent", "kept_percent", "everyone", "staff", "superusers", "cohorts", "groups", "users", "note"]
        labels = {"percent": "Percentage"}
        widgets = {"everyone": EveryoneWidget, "note": UnfoldAdminTextInputWidget}
        help_texts = {
            "everyone": "“On for everyone” excludes only the deny-list.",
            "kept_percent": "Had this part by its own percentage before voice was one flag. 0 takes it from them.",
            "groups": "Accounts of this service in these groups.",
            "users": "These accounts of this service.",
            "note": "The name shown in the admin.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("percent", "kept_percent"):
            percent = self.initial.get(name)
            if isinstance(percent, Decimal) and percent == percent.to_integral_value():
                self.initial[name] = percent.to_integral_value()  # show 7, not 7.00
        if not self.instance.is_voice and "percent" in self.fields:
            self.fields["percent"].label = "Upper limit, percentage"
            self.fields[
                "percent"
            ].help_text = "Of all end users. Empty: all who have voice. Nobody without voice gets this part."

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        self._show_before_it_is_saved(cleaned)
        warning = _warning(self.instance, cleaned)
        if warning and not cleaned.get("is_meant"):
            self.add_error("is_meant", f"{warning} Tick to confirm.")
        return cleaned

    def _show_before_it_is_saved(self, cleaned: Mapping[str, Any]) -> None:
        """Refuse to save a changed percentage until its preview has been shown.

        With JavaScript, the page shows the preview while the user types a percentage. Without JavaScript, the first
        attempt to save returns the form with the preview, and the second attempt saves it.
        """
        if "percent" not in cleaned:
            return
        stored = Flag.objects.get(pk=self.instance.pk)
        wanted = Flag(name=stored.name, percent=cleaned["percent"]).reach
        typed = str(self.data.get("percent", "")).strip()
        if wanted == stored.reach or str(self.data.get("previewed", "")).strip() == typed:
            return
        self.instance.wanted = wanted  # for the page's preview
        seen = QueryDict(mutable=True)
        seen.update(self.data)
        seen["previewed"] = typed
        self.data = seen
        self.add_error("percent", "See the effects below, then save again.")


def _warning(flag: Flag, wanted: Mapping[str, Any]) -> str:
    """Return the warning that the user must confirm before this change is saved; "" if no warning is needed.

    ``wanted``: cleaned fields of the form.
    """
    stored = Flag.objects.get(pk=flag.pk)
    before = stored.reach
    after = Flag(name=flag.name, percent=wanted.get("percent")).reach
    everyone = wanted.get("everyone")
    if everyone != stored.everyone and everyone is not None:
        return f"This switches the feature {'on' if everyone else 'off'} for everyone."
    if everyone != stored.everyone and stored.everyone:
        return f"This takes the feature from all but {shown(after)} of end users."
    if after < before:
        return f"This takes the feature from {shown(before - after)} of all end users."
    if (wanted.get("kept_percent") or 0) < (stored.kept_percent or 0) and "kept_percent" in wanted:
        return "This takes the part from end users who have had it since before voice was one flag."
    if after - before > ASK_ABOVE_POINTS and flag.is_voice:
        return f"This gives the feature to another {shown(after - before)} of all end users at once."
    return ""


class ClientShareInline(TabularInline):
    model = ClientShare
    extra = 0
    hide_title = True
    verbose_name_plural = "percentages of client applications"


@admin.register(Flag)
class FlagAdmin(AuditedAdmin):
    class Media:
        js = ["admin-pages/preview.js"]

    form = FlagForm
    inlines = [ClientShareInline]
    list_display = ["name", "note", "state", "ramp", "shown_killed", "modified"]
    search_fields = ["name", "note"]
    list_filter = ["killed", "everyone"]
    autocomplete_fields = ["users", "groups", "cohorts"]
    actions_list = ["kill_all"]
    actions_detail = ["kill", "release"]
    change_form_outer_before_template = "admin/rollout/who_is_in.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Flag]:
        under_way = Ramp.objects.filter(state__in=UNDER_WAY).select_related("step")
        rows: QuerySet[Flag] = super().get_queryset(request)
        return rows.prefetch_related(Prefetch("ramps", under_way, to_attr="under_way"))

    @display(description="Feature")
    def feature(self, flag: Flag) -> str:
        return f"{flag.note} ({flag.name})" if flag.note else flag.name

    @display(description="Who has it")
    def state(self, flag: Flag) -> str:
        return flag.in_words()

    @display(description="Ramp")
    def ramp(self, flag: Flag) -> str:
        for ramp in flag.under_way:  # type: ignore[attr-defined]
            return format_html(
                '<a href="{}">{} at {}</a>',
                reverse("admin:rollout_ramp_change", args=[ramp.pk]),
                ramp.get_state_display(),
                ramp.step,
            )
        return NONE

    @display(description="Kill switch", ordering="killed", label={"On": "danger", "Off": "default"})
    def shown_killed(self, flag: Flag) -> str:
        return "On" if flag.killed else "Off"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # migrations create one flag per feature

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Flag | None = None) -> Any:
        if not self.has_change_permission(request, obj):
            return [(None, {"fields": ["feature", "state", "staff", "superusers", "groups", "users"]})]
        kept = ["kept_percent"] if obj and not obj.is_voice and obj.kept_percent and obj.name != QUEUE else []
        return [
            (None, {"fields": ["feature", ("percent", "why"), "preview", "is_meant", *kept, "everyone", "previewed"]}),
            ("Also on for", {"fields": ["cohorts", "staff", "superusers", "groups", "users"]}),
            (None, {"fields": ["note"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Flag | None = None) -> list[str]:
        return ["feature", "state", "preview"]

    @display(description="Effects")
    def preview(self, flag: Flag) -> str:
        """Render the HTML element for the preview of a percentage.

        If the form is returned with a percentage whose preview the user has not seen, the element contains the preview.
        Otherwise the element is empty, and preview.js fills it while the user types a percentage.
        """
        stored = Flag.objects.get(pk=flag.pk)
        wanted = getattr(flag, "wanted", flag.reach)
        shown_now = preview.render(stored, wanted) if wanted != stored.reach else ""
        return format_html(
            '<div id="percent-preview" class="percent-preview" role="status" data-url="{}"{}>{}</div>'
            '<p class="percent-hint">Enter another percentage above to see its effects before you save.</p>',
            reverse("admin:rollout_flag_preview", args=[flag.pk]),
            "" if shown_now else mark_safe(" hidden"),  # nosec B308 # a constant
            shown_now,
        )

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.preview_view)
        return [path("<path:object_id>/preview/", view, name="rollout_flag_preview"), *super().get_urls()]

    def preview_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return an HTML fragment that shows the effects of the percentage in the query parameter ``percent``."""
        flag = found(Flag, object_id)
        if not self.has_change_permission(request, flag):
            raise PermissionDenied
        percent = preview.percent_from_text(flag, request.GET.get("percent", ""))
        if percent is None:
            return HttpResponseBadRequest("A percentage is a number from 0 to 100.")
        return HttpResponse(preview.render(flag, percent))

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        flag = self.get_object(request, object_id)
        extra = {"who": who_is_in(flag, request.GET)} if flag else {}
        return super().change_view(request, object_id, *args, extra_context=extra, **kwargs)

    def has_kill_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_change_permission(request) and exists(Flag.objects.filter(killed=False), object_id)

    def has_release_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_change_permission(request) and exists(Flag.objects.filter(killed=True), object_id)

    @action(description="Kill switch", url_path="kill", permissions=["kill"], icon="power_settings_new")
    def kill(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._switch(request, found(Flag, object_id), killed=True)

    @action(description="Release the kill switch", url_path="revive", permissions=["release"], icon="power")
    def release(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._switch(request, found(Flag, object_id), killed=False)

    def _switch(self, request: HttpRequest, flag: Flag, *, killed: bool) -> HttpResponse:
        def do(_why: str) -> str:
            Flag.objects.filter(pk=flag.pk).update(killed=killed)
            return f"{flag.name} is {Flag.objects.get(pk=flag.pk).in_words()}. {ACTS}"

        consequence = (
            f"{flag.note or flag.name} stops for everybody at once: requests are refused, open streams end. {ACTS}"
        )
        released = f"{flag.note or flag.name} is on again for the same users as before. {ACTS}"
        return ask_for_reason(
            request,
            self,
            title=f"Kill switch of {flag.name}",
            consequence=consequence if killed else released,
            button="Switch off for everybody" if killed else "Switch on again",
            back=page_of(flag),
            do=do,
            is_harmful=killed,
            why=EMERGENCY if killed else "",
        )

    @action(
        description="Kill switch for all voice", url_path="kill-all", permissions=["change"], icon="power_settings_new"
    )
    def kill_all(self, request: HttpRequest) -> HttpResponse:
        def do(_why: str) -> str:
            Flag.objects.filter(name=VOICE).update(killed=True)
            return f"All voice is off. {ACTS}"

        return ask_for_reason(
            request,
            self,
            title="Kill switch for all voice",
            button="Switch off for everybody",
            do=do,
            why=EMERGENCY,
            back=reverse("admin:rollout_flag_changelist"),
            consequence=f"All of voice stops for everybody at once: requests are refused, open streams end. {ACTS}",
        )


@admin.register(ListedUser)
class ListedUserAdmin(AuditedAdmin):
    empty_text = "End users for whom a feature is always on or always off, whatever the percentage is."
    list_display = ["user", "shown_list", "flag", "of_client", "note"]
    list_filter = ["list", "flag", "client"]
    list_select_related = ["flag", "client"]
    search_fields = ["user", "note"]

    @display(description="List", ordering="list", label={"Allow": "success", "Deny": "danger"})
    def shown_list(self, row: ListedUser) -> str:
        return row.get_list_display()

    @display(description="Client application", ordering="client")
    def of_client(self, row: ListedUser) -> str:
        return str(row.client or "any")


@admin.register(Change)
class ChangeAdmin(ReadOnly, ModelAdmin):
    """Read-only admin pages for the audit trail."""

    empty_text = "Every change of the roll-out, by a person or a ramp, is recorded here."
    list_display = ["at", "who", "subject", "summary", "why"]
    list_filter = ["who"]
    search_fields = ["who", "subject", "why"]
    date_hierarchy = "at"
    fields = readonly_fields = ["at", "who", "subject", "changed", "why"]

    @display(description="What")
    def summary(self, change: Change) -> str:
        return change.summary()

    @display(description="What")
    def changed(self, change: Change) -> str:
        rows = format_html_join("", "<tr><th scope='row'>{}</th><td>{}</td><td>{}</td></tr>", change.fields_in_words())
        head = format_html("<tr><th></th><th scope='col'>{}</th><th scope='col'>{}</th></tr>", "Before", "After")
        return format_html('<table class="changed-fields">{}{}</table>', head, rows)
