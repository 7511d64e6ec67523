"""Tables of the roll-out, which decide who has voice.

There is a flag for voice as a whole, and one for each part of voice. A flag has a percentage, percentages for single
client applications, lists and cohorts of end users, and ramps that raise the percentage.

End users have no accounts in this service; their ids come from the client applications. In contrast, a flag's users,
groups, staff and superusers are accounts of this service. If an end user's id equals the name of such an account, the
flag is on for the end user too.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.lookups import Exact
from django.utils import timezone

from core.audit import Audited, AuditedQuerySet, Change, names, record
from core.identity import end_user
from core.models import ClientApplication
from rollout.feature import VOICE
from rollout.percentage import shown

__all__ = ["Change", "ClientShare", "Cohort", "CohortMember", "Flag", "ListedUser", "Ramp", "RampStep"]

NONE = Decimal(0)
ALL = Decimal(100)
LISTED_ALREADY = "This end user is on a list of this flag already."


def percent_field(verbose_name: str | None = None, **options: Any) -> models.DecimalField[Any, Any]:
    limits = [MinValueValidator(NONE), MaxValueValidator(ALL)]
    return models.DecimalField(verbose_name, max_digits=5, decimal_places=2, validators=limits, **options)


def valid_end_user(value: str) -> None:
    from core.errors import ApiError

    try:
        end_user(value, "The end user's id")
    except ApiError as error:
        raise ValidationError(error.message) from error


class Flag(Audited):
    """Rules for who has voice (the flag ``VOICE``) or one part of it (``Feature``). ``rollout.policy`` applies them.

    ``percent``: percentage of all end users. For voice, None means nobody. For a part, None means all who have voice.
    ``kept_percent``: for a part, the percentage of end users whom the part's own queue (``rollout.percentage``)
    selected before there was one flag for voice as a whole. They keep the part.

    The database columns of ``percent`` and ``kept_percent`` have other names, because processes of release 0.2 read a
    column ``percent``, and must keep working while an upgrade replaces them.
    """

    recorded = ("killed", "everyone", "percent", "kept_percent", "staff", "superusers", "note")

    name = models.CharField(max_length=100, unique=True)
    note = models.TextField(blank=True, help_text="The name shown in the admin.")
    killed = models.BooleanField("kill switch", default=False, help_text="Off for everyone, whatever else is set.")
    everyone = models.BooleanField(
        null=True, blank=True, help_text="Yes: on for all but the deny-list. No: off for all. Unknown: as set below."
    )
    percent = percent_field(
        null=True,
        blank=True,
        db_column="reach",
        help_text="Of all end users. Raising it adds users, lowering it removes the latest.",
    )
    kept_percent = percent_field(
        "kept from before",
        null=True,
        blank=True,
        db_column="percent",
        help_text="Of end users: had this part by its own percentage before voice was one flag, and keep the part.",
    )
    staff = models.BooleanField(
        default=False, help_text="On for end users whose id is the name of a staff account of this service."
    )
    superusers = models.BooleanField(
        default=False, help_text="On for end users whose id is the name of a superuser's account of this service."
    )
    users = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, help_text="These accounts of this service.")
    groups = models.ManyToManyField(Group, blank=True, help_text="Accounts of this service in these groups.")
    cohorts = models.ManyToManyField("rollout.Cohort", blank=True, help_text="Groups of end users for which it is on.")
    created = models.DateTimeField(default=timezone.now, db_index=True, editable=False)
    modified = models.DateTimeField(default=timezone.now, editable=False)

    objects = AuditedQuerySet.as_manager()

    class Meta:
        # ``When(name=VOICE)`` would fail where Django orders related models by flag, so this is a lookup expression.
        ordering = [Case(When(Exact(F("name"), Value(VOICE)), then=Value(0)), default=Value(1)), "id"]
        verbose_name = "flag"

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.modified = timezone.now()
        super().save(*args, **kwargs)

    def subject(self) -> str:
        return self.name

    @property
    def is_voice(self) -> bool:
        return self.name == VOICE

    @property
    def label(self) -> str:
        return self.note or self.name

    @property
    def reach(self) -> Decimal:
        """The percentage, with its default in place of None.

        For a part of voice, this is an upper limit, because only end users who have voice can have the part.
        """
        percent: Decimal | None = self.percent
        if percent is None:
            return NONE if self.is_voice else ALL
        return percent

    @property
    def is_off(self) -> bool:
        """True if the kill switch or ``everyone`` keeps the feature from every end user."""
        return self.killed or self.everyone is False

    @property
    def effective_percent(self) -> Decimal:
        """The percentage that applies: the kill switch comes first, then ``everyone``, then ``reach``."""
        if self.is_off:
            return NONE
        return ALL if self.everyone else self.reach

    def in_words(self) -> str:
        """Return a short description of who has the feature."""
        if self.killed:
            return "off for everyone: kill switch"
        whom = "everyone" if self.is_voice else "all who have voice"
        if self.everyone is not None:
            return f"on for {whom}" if self.everyone else "off for everyone"
        if self.is_voice:
            return f"{shown(self.percent)} of end users"
        return whom if self.reach == ALL else f"at most {shown(self.percent)} of end users"


class ClientShare(Audited):
    """Percentages for one client application, which replace the flag's ``percent`` and ``kept_percent``."""

    recorded = ("percent", "kept_percent")

    flag = models.ForeignKey(Flag, on_delete=models.CASCADE, related_name="shares")
    client = models.ForeignKey(ClientApplication, on_delete=models.CASCADE, related_name="+")
    percent = percent_field(
        db_default=ALL,
        db_column="reach",
        help_text="Of this client's end users. For a part of voice, 100 means all who have voice.",
    )
    kept_percent = percent_field("kept from before", default=NONE, editable=False, db_column="percent")

    objects = AuditedQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["flag", "client"], name="share_of_flag_and_client")]

    def __str__(self) -> str:
        return f"{self.client} {shown(self.percent)}"

    def subject(self) -> str:
        return f"{self.flag.name}: client {self.client}"


class ListedUser(Audited):
    """An end user for whom a flag is on (allow-list) or off (deny-list), whatever the percentage is."""

    class List(models.TextChoices):
        ALLOW = "allow", "Allow"
        DENY = "deny", "Deny"

    recorded = ("list", "note")

    flag = models.ForeignKey(Flag, on_delete=models.CASCADE, related_name="listed")
    client = models.ForeignKey(
        ClientApplication,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="Empty: any client application.",
    )
    user = models.CharField("end user", max_length=200, validators=[valid_end_user])
    list = models.CharField(max_length=5, choices=List)
    note = models.CharField(max_length=200, blank=True)

    objects = AuditedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["flag", "client", "user"], name="listed_once", violation_error_message=LISTED_ALREADY
            ),
            models.UniqueConstraint(
                fields=["flag", "user"],
                condition=Q(client=None),
                name="listed_once_for_any_client",
                violation_error_message=LISTED_ALREADY,
            ),
        ]
        ordering = ["id"]

    def __str__(self) -> str:
        return self.user

    def subject(self) -> str:
        return f"{self.flag.name}: end user {self.user}" + (f" of {self.client}" if self.client else "")


class Cohort(Audited):
    """A named group of end users. Any number of flags can be on for a cohort."""

    recorded = ("name", "note")

    name = models.CharField(max_length=100, unique=True)
    note = models.CharField(max_length=200, blank=True)

    objects = AuditedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def subject(self) -> str:
        return f"cohort {self.name}"

    def add(self, users: Iterable[str]) -> int:
        """Add end users, and record one change in the audit trail. Return the number of new members.

        Raise ``ValidationError`` for an invalid id.
        """
        wanted = dict.fromkeys(users)
        for user in wanted:
            valid_end_user(user)
        with transaction.atomic():
            known = set(self.members.values_list("user", flat=True))
            new = [user for user in wanted if user not in known]
            CohortMember.objects.bulk_create([CohortMember(cohort=self, user=user) for user in new], batch_size=500)
            if new:
                record(self.subject(), {"members": len(known)}, {"members": len(known) + len(new), "added": names(new)})
        return len(new)

    def remove(self, users: Iterable[str]) -> int:
        """Remove end users, and record one change in the audit trail. Return the number of removed members."""
        unwanted = set(users)
        with transaction.atomic():
            known = list(self.members.values_list("user", flat=True))
            gone = [user for user in known if user in unwanted]
            for start in range(0, len(gone), 500):
                self.members.filter(user__in=gone[start : start + 500]).delete()
            if gone:
                left = len(known) - len(gone)
                record(self.subject(), {"members": len(known)}, {"members": left, "removed": names(gone)})
        return len(gone)


class CohortMember(models.Model):
    """An end user in a cohort.

    Add and remove members only with ``Cohort.add`` and ``Cohort.remove``, which record the change in the audit trail.
    """

    cohort = models.ForeignKey(Cohort, on_delete=models.CASCADE, related_name="members")
    user = models.CharField("end user", max_length=200)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cohort", "user"], name="cohort_member_once")]
        ordering = ["id"]

    def __str__(self) -> str:
        return self.user


class Ramp(Audited):
    """A plan that raises a flag's percentage step by step. ``rollout.ramp`` carries it out.

    Each step is held for a given time. If no critical alert fires during this time, the next step follows. Otherwise
    the ramp is rolled back.
    """

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        FINISHED = "finished", "Finished"
        ROLLED_BACK = "rolled_back", "Rolled back"
        ABORTED = "aborted", "Aborted"

    recorded = ("state", "step", "reason")

    flag = models.ForeignKey(Flag, on_delete=models.PROTECT, related_name="ramps")
    state = models.CharField(max_length=11, choices=State, default=State.DRAFT, editable=False)
    step = models.ForeignKey(
        "rollout.RampStep",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        editable=False,
        help_text="The step that is being held.",
    )
    base_percent = percent_field(null=True, editable=False, help_text="The flag's percentage before the first step.")
    watched_s = models.FloatField(default=0, editable=False, help_text="How long this step has been held and watched.")
    ticked_at = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)
    started_by = models.CharField(max_length=150, blank=True, editable=False)
    reason = models.TextField(blank=True, editable=False, help_text="Why the ramp is in this state.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AuditedQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["flag"], condition=Q(state__in=["running", "paused"]), name="one_ramp_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"ramp {self.pk} of {self.flag.name}"

    def subject(self) -> str:
        return f"{self.flag.name}: ramp {self.pk}"


class RampStep(models.Model):
    """One step of a ramp.

    ``percent``: the flag's percentage during this step.
    ``hold``: time without a critical alert before the next step follows.
    """

    ramp = models.ForeignKey(Ramp, on_delete=models.CASCADE, related_name="steps")
    percent = percent_field()
    hold = models.DurationField(
        default=timedelta(hours=24),
        validators=[MinValueValidator(timedelta(0))],
        help_text="For example 24:00:00 for 24 hours.",
    )

    class Meta:
        ordering = ["percent"]
        constraints = [models.UniqueConstraint(fields=["ramp", "percent"], name="ramp_step_once")]

    def __str__(self) -> str:
        return shown(self.percent)


def relation_changed(
    instance: Flag, action: str, model: type[models.Model], pk_set: set[int] | None, **kw: Any
) -> None:
    """Record a change of a flag's users, groups or cohorts in the audit trail.

    Django's signal ``m2m_changed`` calls this function. Saving the flag would not record the change, because Django
    stores these relations separately.

    Raise ``NotImplementedError`` if the change was made from the other side of the relation.
    """
    if kw["reverse"]:
        raise NotImplementedError("change this from the flag's side, so that it is recorded")
    name = str(model._meta.verbose_name_plural)
    if action == "pre_clear":
        instance._cleared = {name: names(_related(instance, model))}  # type: ignore[attr-defined]
    elif action == "post_clear":
        if gone := instance.__dict__.pop("_cleared", {}).get(name):
            record(instance.subject(), {name: gone}, {name: ""})
    elif action in ("post_add", "post_remove") and pk_set:
        changed = names(str(row) for row in model._base_manager.filter(pk__in=pk_set))
        record(instance.subject(), *(({}, {name: changed}) if action == "post_add" else ({name: changed}, {})))


def _related(flag: Flag, model: type[models.Model]) -> Iterable[str]:
    relations: list[Any] = [flag.cohorts, flag.users, flag.groups]
    return [str(row) for relation in relations if relation.model is model for row in relation.all()]
