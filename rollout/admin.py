"""The roll-out's pages: flags with who is in, lists, cohorts, ramps, and the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextareaWidget

from rollout import ramp as ramps
from rollout.audit import acting
from rollout.confirmation import ask, why_field
from rollout.models import Change, ClientShare, Cohort, CohortMember, Flag, ListedUser, Ramp, RampStep, valid_end_user
from rollout.policy import ACTS_WITHIN_S
from rollout.share import shown
from rollout.whoisin import who_is_in

ASK_ABOVE_POINTS = 10  # a larger raise at once is more likely a slip of the finger than a plan

ACTS = f"It acts everywhere within {ACTS_WITHIN_S:g} seconds."


class AuditedAdmin(ModelAdmin):
    """What is changed here is recorded with who is logged in, and why when the form asks."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        why = request.POST.get("why", "") or request.POST.get("note", "")
        with acting(request.user.get_username(), why):
            return super().changeform_view(request, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with acting(request.user.get_username()):
            return super().delete_view(request, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with acting(request.user.get_username()):
            return super().changelist_view(request, *args, **kwargs)

    def page_of(self, object_id: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[object_id])


class FlagForm(forms.ModelForm):  # type: ignore[type-arg]
    why = why_field()
    is_meant = forms.BooleanField(
        required=False, label="I mean it", help_text="Needed to take voice from users, or to give it to many at once."
    )

    class Meta:
        model = Flag
        fields = ["percent", "everyone", "staff", "superusers", "cohorts", "groups", "users", "note"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        doubt = _doubt(self.instance, cleaned)
        if doubt and not cleaned.get("is_meant"):
            self.add_error("is_meant", f"{doubt} Tick to confirm.")
        return cleaned


def _doubt(flag: Flag, wanted: Mapping[str, Any]) -> str:
    """What the operator should be sure of."""
    stored = Flag.objects.get(pk=flag.pk)
    before, after = stored.percent or Decimal(0), wanted.get("percent") or Decimal(0)
    everyone = wanted.get("everyone")
    if everyone != stored.everyone and everyone is not None:
        return f"This switches it {'on' if everyone else 'off'} for everyone."
    if everyone != stored.everyone and stored.everyone:
        return f"This takes it from all but {shown(after)} of end users."
    if after < before:
        return f"This takes it from {shown(before - after)} of all end users."
    if after - before > ASK_ABOVE_POINTS:
        return f"This gives it to another {shown(after - before)} of all end users at once."
    return ""


class ClientShareInline(TabularInline):
    model = ClientShare
    extra = 0
    verbose_name_plural = "client applications with a percentage of their own"


@admin.register(Flag)
class FlagAdmin(AuditedAdmin):
    form = FlagForm
    inlines = [ClientShareInline]
    list_display = ["name", "note", "state", "percent", "killed", "modified"]
    search_fields = ["name", "note"]
    list_filter = ["killed", "everyone"]
    autocomplete_fields = ["users", "groups", "cohorts"]
    readonly_fields = ["name"]
    actions_list = ["kill_all"]
    actions_detail = ["kill", "revive"]
    change_form_outer_before_template = "admin/rollout/who_is_in.html"

    @display(description="Who has it")
    def state(self, flag: Flag) -> str:
        return flag.in_words()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # one for each feature, made by a migration

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Flag | None = None) -> Any:
        main = ["name", "percent", "everyone"]
        people = ["cohorts", "staff", "superusers", "groups", "users"]
        fieldsets: list[Any] = [
            (None, {"fields": main}),
            ("Also on for", {"fields": people}),
            (None, {"fields": ["note"]}),
        ]
        if self.has_change_permission(request, obj):
            fieldsets.append((None, {"fields": ["why", "is_meant"]}))
        return fieldsets

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        flag = self.get_object(request, object_id)
        extra = {"who": who_is_in(flag, request.GET)} if flag else {}
        return super().change_view(request, object_id, *args, extra_context=extra, **kwargs)

    def has_kill_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_change_permission(request) and Flag.objects.filter(pk=object_id, killed=False).exists()

    def has_revive_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_change_permission(request) and Flag.objects.filter(pk=object_id, killed=True).exists()

    @action(description="Kill switch", url_path="kill", permissions=["kill"], icon="power_settings_new")
    def kill(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._switch(request, Flag.objects.get(pk=object_id), killed=True)

    @action(description="Let go of the kill switch", url_path="revive", permissions=["revive"], icon="power")
    def revive(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._switch(request, Flag.objects.get(pk=object_id), killed=False)

    def _switch(self, request: HttpRequest, flag: Flag, *, killed: bool) -> HttpResponse:
        def do(_why: str) -> str:
            Flag.objects.filter(pk=flag.pk).update(killed=killed)
            return f"{flag.name} is {Flag.objects.get(pk=flag.pk).in_words()}. {ACTS}"

        consequence = (
            f"{flag.note or flag.name} stops for everybody at once: requests are refused, open streams end. {ACTS}"
        )
        revived = f"{flag.note or flag.name} is on again for whom it was before: nothing else was changed. {ACTS}"
        return ask(
            request, self, title=f"Kill switch of {flag.name}", consequence=consequence if killed else revived,
            button="Switch off for everybody" if killed else "Switch on again", back=self.page_of(flag.pk), do=do,
            is_harmful=killed,
        )  # fmt: skip

    @action(
        description="Kill switch for all voice", url_path="kill-all", permissions=["change"], icon="power_settings_new"
    )
    def kill_all(self, request: HttpRequest) -> HttpResponse:
        def do(_why: str) -> str:
            Flag.objects.update(killed=True)
            return f"All voice is off. {ACTS}"

        return ask(
            request, self, title="Kill switch for all voice", button="Switch off for everybody", do=do,
            back=reverse("admin:rollout_flag_changelist"),
            consequence=f"All of voice stops for everybody at once: requests are refused, open streams end. {ACTS}",
        )  # fmt: skip


@admin.register(ListedUser)
class ListedUserAdmin(AuditedAdmin):
    list_display = ["user", "list", "flag", "client", "note"]
    list_filter = ["list", "flag", "client"]
    list_select_related = ["flag", "client"]
    search_fields = ["user", "note"]


class CohortForm(forms.ModelForm):  # type: ignore[type-arg]
    add_members = forms.CharField(
        required=False, widget=UnfoldAdminTextareaWidget({"rows": 4}), help_text="End users' ids, one a line."
    )
    remove_members = forms.CharField(
        required=False, widget=UnfoldAdminTextareaWidget({"rows": 4}), help_text="End users' ids, one a line."
    )

    class Meta:
        model = Cohort
        fields = ["name", "note"]

    def clean_add_members(self) -> list[str]:
        ids = _lines(self.cleaned_data["add_members"])
        for number, user in enumerate(ids, 1):
            try:
                valid_end_user(user)
            except ValidationError as error:
                raise ValidationError(f"Line {number}: {error.messages[0]}") from error
        return ids

    def clean_remove_members(self) -> list[str]:
        return _lines(self.cleaned_data["remove_members"])


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


@admin.register(Cohort)
class CohortAdmin(AuditedAdmin):
    form = CohortForm
    list_display = ["name", "note", "size"]
    search_fields = ["name", "note", "=members__user"]
    readonly_fields = ["size", "first_members"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Cohort]:
        members = CohortMember.objects.filter(cohort=OuterRef("pk")).order_by().values("cohort")
        counted: QuerySet[Cohort] = super().get_queryset(request)
        return counted.annotate(member_count=Coalesce(Subquery(members.annotate(n=Count("pk")).values("n")), 0))

    @display(description="Members", ordering="member_count")
    def size(self, cohort: Cohort) -> int:
        return int(getattr(cohort, "member_count", 0))  # a cohort that is being added has none

    @display(description="The first of them")
    def first_members(self, cohort: Cohort) -> str:
        return ", ".join(cohort.members.values_list("user", flat=True)[:50]) or "–"

    def get_fields(self, request: HttpRequest, obj: Cohort | None = None) -> Any:
        if not self.has_change_permission(request, obj):
            return ["name", "note", *self.readonly_fields]
        return ["name", "note", "add_members"] + (["remove_members", *self.readonly_fields] if obj else [])

    def save_model(self, request: HttpRequest, obj: Cohort, form: Any, change: Any) -> None:
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            obj.add(form.cleaned_data.get("add_members", []))
            obj.remove(form.cleaned_data.get("remove_members", []))


class RampStepInline(TabularInline):
    model = RampStep
    extra = 0

    def _is_open(self, ramp: Ramp | None) -> bool:
        return ramp is None or ramp.state == Ramp.State.DRAFT

    def has_add_permission(self, request: HttpRequest, obj: Ramp | None = None) -> bool:
        return self._is_open(obj) and super().has_add_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Ramp | None = None) -> bool:
        return self._is_open(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Ramp | None = None) -> bool:
        return self._is_open(obj) and super().has_delete_permission(request, obj)

    def get_extra(self, request: HttpRequest, obj: Ramp | None = None, **kwargs: Any) -> int:
        return 0 if obj else len(ramps.USUAL_STEPS)


@admin.register(Ramp)
class RampAdmin(AuditedAdmin):
    inlines = [RampStepInline]
    list_display = ["__str__", "shown_state", "step", "held", "started_by", "started_at", "reason"]
    list_filter = ["state", "flag"]
    list_select_related = ["flag", "step"]
    search_fields = ["flag__name", "reason", "started_by"]
    fields = ["flag", "state", "step", "held", "base_percent", "started_by", "started_at", "ended_at", "reason"]
    actions_detail = ["start", "pause", "resume", "abort"]

    @display(
        description="State", ordering="state",
        label={"Running": "success", "Paused": "warning", "Rolled back": "danger", "Finished": "info"},
    )  # fmt: skip
    def shown_state(self, ramp: Ramp) -> str:
        return ramp.get_state_display()

    @display(description="Held and watched")
    def held(self, ramp: Ramp) -> str:
        if ramp.step is None:
            return "–"
        return f"{ramp.watched_s / 3600:.1f} of {ramp.step.hold.total_seconds() / 3600:.1f} hours"

    def get_fields(self, request: HttpRequest, obj: Ramp | None = None) -> Any:
        return self.fields if obj else ["flag"]

    def get_readonly_fields(self, request: HttpRequest, obj: Ramp | None = None) -> Any:
        return [name for name in self.fields if name != "flag" or obj] if obj else []

    def get_formset_kwargs(self, request: HttpRequest, obj: Ramp, inline: Any, prefix: str) -> dict[str, Any]:
        kwargs: dict[str, Any] = super().get_formset_kwargs(request, obj, inline, prefix)
        if request.method == "GET" and obj.pk is None:
            kwargs["initial"] = [{"percent": percent, "hold": hold} for percent, hold in ramps.USUAL_STEPS]
        return kwargs

    def response_add(self, request: HttpRequest, obj: Ramp, post_url_continue: str | None = None) -> HttpResponse:
        self.message_user(request, f"{obj} is a draft: nothing changes until it is started.".capitalize())
        return HttpResponseRedirect(self.page_of(obj.pk))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_draft = isinstance(obj, Ramp) and obj.state == Ramp.State.DRAFT
        return is_draft and super().has_delete_permission(request, obj)

    def _may(self, request: HttpRequest, object_id: Any, *states: Ramp.State) -> bool:
        return self.has_change_permission(request) and Ramp.objects.filter(pk=object_id, state__in=states).exists()

    def has_start_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may(request, object_id, Ramp.State.DRAFT)

    def has_pause_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may(request, object_id, Ramp.State.RUNNING)

    def has_resume_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may(request, object_id, Ramp.State.PAUSED)

    def has_abort_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may(request, object_id, Ramp.State.DRAFT, Ramp.State.RUNNING, Ramp.State.PAUSED)

    @action(description="Start", url_path="start", permissions=["start"], icon="play_arrow")
    def start(self, request: HttpRequest, object_id: str) -> HttpResponse:
        ramp = Ramp.objects.get(pk=object_id)
        steps = ", ".join(f"{step} for {step.hold}" for step in ramp.steps.all())
        consequence = (
            f"{ramp.flag.name} goes up by itself: {steps}. At the first critical alert it goes back to the last step"
            " that was held to its end. Steps at or below the present percentage are left out."
        )
        return self._ask(request, ramp, "Start", consequence, lambda why: ramps.start(ramp.pk, timezone.now(), why))

    @action(description="Pause", url_path="pause", permissions=["pause"], icon="pause")
    def pause(self, request: HttpRequest, object_id: str) -> HttpResponse:
        ramp = Ramp.objects.get(pk=object_id)
        consequence = "The percentage stays as it is until the ramp is resumed, also when a critical alert fires."
        return self._ask(request, ramp, "Pause", consequence, lambda why: ramps.pause(ramp.pk, why))

    @action(description="Resume", url_path="resume", permissions=["resume"], icon="play_arrow")
    def resume(self, request: HttpRequest, object_id: str) -> HttpResponse:
        ramp = Ramp.objects.get(pk=object_id)
        consequence = "The step is held from its beginning again, then the ramp goes on."
        return self._ask(request, ramp, "Resume", consequence, lambda why: ramps.resume(ramp.pk, timezone.now(), why))

    @action(description="Abort", url_path="abort", permissions=["abort"], icon="stop")
    def abort(self, request: HttpRequest, object_id: str) -> HttpResponse:
        ramp = Ramp.objects.get(pk=object_id)
        consequence = "The ramp ends here for good. The percentage stays as it is; change it at the flag."
        return self._ask(request, ramp, "Abort", consequence, lambda why: ramps.abort(ramp.pk, timezone.now(), why))

    def _ask(self, request: HttpRequest, ramp: Ramp, verb: str, consequence: str, move: Any) -> HttpResponse:
        def do(why: str) -> str:
            moved: Ramp = move(why)
            return f"{moved} is {moved.get_state_display().lower()}.".capitalize()

        return ask(
            request, self, title=f"{verb} {ramp}", consequence=consequence, button=f"{verb} this ramp",
            back=self.page_of(ramp.pk), do=do, is_harmful=verb in ("Start", "Abort"),
        )  # fmt: skip


@admin.register(Change)
class ChangeAdmin(ModelAdmin):
    """The audit trail, to look at."""

    list_display = ["at", "who", "subject", "summary", "why"]
    list_filter = ["who"]
    search_fields = ["who", "subject", "why"]
    date_hierarchy = "at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
