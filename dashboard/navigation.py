"""The admin's side bar and tabs: sections, each with the pages that the viewer may see.

A model that is not listed here appears at the end of the section of its app. Apps without a section share the section
"Other".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse


@dataclass(frozen=True)
class MenuEntry:
    """One line of the side bar. If it has several models, their pages are tabs.

    ``icon``: name of a Material symbol.
    ``models``: labels such as ``capacity.alert``.
    """

    title: str
    icon: str
    models: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """A titled group of lines in the side bar.

    ``apps``: labels of the Django apps whose models belong to the section.
    """

    title: str
    apps: tuple[str, ...]
    entries: tuple[MenuEntry, ...] = field(default=())


SECTIONS = (
    Section(
        "Roll-out",
        ("rollout",),
        (
            MenuEntry("Flags", "toggle_on", ("rollout.flag",)),
            MenuEntry("Ramps", "trending_up", ("rollout.ramp",)),
            MenuEntry("Lists and cohorts", "groups", ("rollout.listeduser", "rollout.cohort")),
            MenuEntry("Audit trail", "history", ("rollout.change",)),
        ),
    ),
    Section(
        "Capacity",
        ("capacity",),
        (
            MenuEntry("Alerts", "notifications", ("capacity.alert", "capacity.rule", "capacity.delivery")),
            MenuEntry("Phases", "stairs", ("capacity.phase",)),
            MenuEntry("History", "monitoring", ("capacity.sample", "capacity.hourlypeak", "capacity.activeusers")),
            MenuEntry("Uptime", "monitor_heart", ("capacity.probeday", "capacity.outage")),
        ),
    ),
    Section(
        "Usage and billing",
        ("usage",),
        (
            MenuEntry("Ledger", "receipt_long", ("usage.ledgerentry", "usage.dailyuse", "usage.dailymix")),
            MenuEntry("Quotas used", "data_usage", ("usage.consumption",)),
            MenuEntry("Plans", "sell", ("usage.plan", "usage.planassignment")),
            MenuEntry("Statements", "request_quote", ("usage.statement",)),
            MenuEntry("Costs", "payments", ("usage.infrastructurecost", "usage.exchangerate")),
            MenuEntry("Quality", "star_rate", ("usage.correction", "usage.rating")),
        ),
    ),
    Section(
        "Access",
        ("voiceproject", "auth"),
        (
            MenuEntry("API keys", "key", ("voiceproject.apikey",)),
            MenuEntry("Client applications", "apps", ("voiceproject.clientapplication",)),
            MenuEntry("People", "person", ("auth.user",)),
            MenuEntry("Roles", "badge", ("auth.group",)),
        ),
    ),
)
TITLES = {
    "capacity.delivery": "Notifications",
    "capacity.hourlypeak": "Peaks by hour",
    "capacity.probeday": "By day",
    "rollout.listeduser": "Allow and deny lists",
    "usage.dailymix": "By day and model",
    "usage.dailyuse": "By day and end user",
    "usage.ledgerentry": "Entries",
    "usage.planassignment": "Assignments",
}
LINKS = (
    ("Product dashboard", "bar_chart", "/dashboard/"),
    ("Playground", "graphic_eq", "/"),
    ("API pages", "api", "/docs/"),
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the side bar for unfold's setting ``SIDEBAR.navigation``, without sections that the viewer may not see."""
    home = {"title": "Capacity now", "icon": "speed", "link": reverse("admin:index")}
    groups: list[dict[str, Any]] = [{"items": [home]}]
    for section in _sections():
        items = [item for entry in _entries(section) if (item := _item(request, entry))]
        if items:
            groups.append({"title": section.title, "separator": True, "items": items})
    links = [{"title": title, "icon": icon, "link": link, "active": False} for title, icon, link in LINKS]
    return [*groups, {"title": "Elsewhere", "separator": True, "items": links}]


def tabs(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the tabs for unfold's setting ``TABS``: one group for each line of the side bar with several models."""
    found = []
    for section in SECTIONS:
        for entry in section.entries:
            seen = _seen(request, entry)
            if len(seen) > 1:
                items = [{"title": _title(model), "link": _list_of(model)} for model in seen]
                found.append({"models": list(entry.models), "items": items})
    return found


def _sections() -> list[Section]:
    """Return ``SECTIONS`` and a section for all other apps, so that the side bar can link to every model's page."""
    known = {app for section in SECTIONS for app in section.apps}
    others = {model._meta.app_label for model in admin.site._registry} - known
    return [*SECTIONS, Section("Other", tuple(sorted(others)))]


def _entries(section: Section) -> list[MenuEntry]:
    placed = {name for entry in section.entries for name in entry.models}
    others = [
        MenuEntry(_title(model), "article", (model._meta.label_lower,))
        for model in admin.site._registry
        if model._meta.app_label in section.apps and model._meta.label_lower not in placed
    ]
    return [*section.entries, *others]


def _item(request: HttpRequest, entry: MenuEntry) -> dict[str, Any] | None:
    seen = _seen(request, entry)
    if not seen:
        return None
    item: dict[str, Any] = {"title": entry.title, "icon": entry.icon, "link": _list_of(seen[0])}
    if "capacity.alert" in entry.models and (number := _firing()):
        item |= {"badge": str(number), "badge_variant": "danger", "badge_style": "solid"}
    return item


def _seen(request: HttpRequest, entry: MenuEntry) -> list[type[Model]]:
    models = [apps.get_model(name) for name in entry.models]
    registered = admin.site._registry
    return [model for model in models if model in registered and registered[model].has_view_permission(request)]


def _title(model: type[Model]) -> str:
    name = str(model._meta.verbose_name_plural)
    return TITLES.get(model._meta.label_lower) or name[:1].upper() + name[1:]


def _list_of(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def _firing() -> int:
    from capacity.models import Alert

    return Alert.objects.filter(state=Alert.State.FIRING).count()
