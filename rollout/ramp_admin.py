"""Admin pages for ramps: create and delete drafts, edit their steps, and start, pause, resume or abort ramps."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from unfold.admin import TabularInline
from unfold.decorators import action, display

from core.admin_base import AuditedAdmin, exists, found, page_of
from core.confirmation import ask_for_reason
from core.quantities import NONE, SpanField, span
from rollout import ramp as ramps
from rollout.models import Ramp, RampStep
from rollout.percentage import shown

HOUR = timedelta(hours=1)


class RampStepForm(forms.ModelForm):  # type: ignore[type-arg]
    hold = SpanField(unit=HOUR, label="Hold, hours", help_text="How long it must last without a critical alert.")

    class Meta:
        model = RampStep
        fields = ["percent", "hold"]


class RampStepInline(TabularInline):
    model = RampStep
    form = RampStepForm
    extra = 0
    hide_title = True
    verbose_name_plural = "steps"

    @display(description="Percent")
    def shown_percent(self, step: RampStep) -> str:
        return str(step)

    @display(description="Hold")
    def shown_hold(self, step: RampStep) -> str:
        return span(step.hold)

    def get_fields(self, request: HttpRequest, obj: Ramp | None = None) -> Any:
        return ["percent", "hold"] if self._is_editable(request, obj) else ["shown_percent", "shown_hold"]

    def get_readonly_fields(self, request: HttpRequest, obj: Ramp | None = None) -> Any:
        return [] if self._is_editable(request, obj) else ["shown_percent", "shown_hold"]

    def _is_editable(self, request: HttpRequest, ramp: Ramp | None) -> bool:
        return self.has_add_permission(request, ramp) or self.has_change_permission(request, ramp)

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
    empty_text = "A ramp raises a flag's percentage step by step, as long as no critical alert fires."
    list_display = ["shown", "shown_state", "step", "held", "started_by", "started_at", "reason"]
    list_filter = ["state", "flag"]
    list_select_related = ["flag", "step"]
    search_fields = ["flag__name", "reason", "started_by"]
    fields = ["flag", "shown_state", "step", "held", "base", "started_by", "started_at", "ended_at", "reason"]
    actions_detail = ["start", "pause", "resume", "abort"]

    @display(description="Ramp", ordering="id")
    def shown(self, ramp: Ramp) -> str:
        return f"Ramp {ramp.pk} of {ramp.flag.name}"

    @display(description="Before the first step")
    def base(self, ramp: Ramp) -> str:
        return NONE if ramp.base_percent is None else shown(ramp.base_percent)

    @display(
        description="State",
        ordering="state",
        label={"Running": "success", "Paused": "warning", "Rolled back": "danger", "Finished": "info"},
    )
    def shown_state(self, ramp: Ramp) -> str:
        return ramp.get_state_display()

    @display(description="Held")
    def held(self, ramp: Ramp) -> str:
        if ramp.step is None:
            return "–"
        return f"{span(timedelta(seconds=ramp.watched_s))} of {span(ramp.step.hold)}"

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
        return HttpResponseRedirect(page_of(obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_draft = isinstance(obj, Ramp) and obj.state == Ramp.State.DRAFT
        return is_draft and super().has_delete_permission(request, obj)

    def _may(self, request: HttpRequest, object_id: Any, *states: Ramp.State) -> bool:
        return self.has_change_permission(request) and exists(Ramp.objects.filter(state__in=states), object_id)

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
        ramp = found(Ramp, object_id)
        steps = ", ".join(f"{step} for {span(step.hold)}" for step in ramp.steps.all())
        consequence = (
            f"The percentage of {ramp.flag.name} is raised automatically: {steps}. At the first critical alert it goes"
            " back to the last step that was held for its full time. Steps at or below the current percentage are left"
            " out."
        )
        return self._ask(request, ramp, "Start", consequence, lambda why: ramps.start(ramp.pk, timezone.now(), why))

    @action(description="Pause", url_path="pause", permissions=["pause"], icon="pause")
    def pause(self, request: HttpRequest, object_id: str) -> HttpResponse:
        ramp = found(Ramp, object_id)
        consequence = "The percentage stays as it is until the ramp is resumed, even if a critical alert fires."
        return self._ask(request, ramp, "Pause", consequence, lambda why: ramps.pause(ramp.pk, why))

    @action(description="Resume", url_path="resume", permissions=["resume"], icon="play_arrow")
    def resume(self, request: HttpRequest, object_id: str) -> HttpResponse:
        ramp = found(Ramp, object_id)
        consequence = "The hold time of the present step starts again from zero. Then the ramp goes on."
        return self._ask(request, ramp, "Resume", consequence, lambda why: ramps.resume(ramp.pk, timezone.now(), why))

    @action(description="Abort", url_path="abort", permissions=["abort"], icon="stop")
    def abort(self, request: HttpRequest, object_id: str) -> HttpResponse:
        ramp = found(Ramp, object_id)
        consequence = (
            "The ramp ends and cannot be restarted. The percentage stays as it is; change it on the flag's page."
        )
        return self._ask(request, ramp, "Abort", consequence, lambda why: ramps.abort(ramp.pk, timezone.now(), why))

    def _ask(self, request: HttpRequest, ramp: Ramp, verb: str, consequence: str, move: Any) -> HttpResponse:
        def do(why: str) -> str:
            moved: Ramp = move(why)
            return f"{moved} is {moved.get_state_display().lower()}.".capitalize()

        return ask_for_reason(
            request,
            self,
            title=f"{verb} {ramp}",
            consequence=consequence,
            button=f"{verb} this ramp",
            back=page_of(ramp),
            do=do,
            is_harmful=verb in ("Start", "Abort"),
        )
