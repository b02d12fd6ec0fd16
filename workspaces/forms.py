"""Forms of this room's screens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib.auth import get_user_model
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from workspaces import tokens
from workspaces.choices import Overlap
from workspaces.models import ApiToken, Membership
from workspaces.roles import beyond
from workspaces.scopes import scope_choices


class MemberForm(forms.ModelForm):  # type: ignore[type-arg]  # Django cannot subscript it
    """A member is named by user name: a list to choose from would show every user of the installation."""

    user = forms.ModelChoiceField(
        queryset=get_user_model()._default_manager.all(),
        to_field_name="username",
        widget=UnfoldAdminTextInputWidget,
        label="User name",
        error_messages={"invalid_choice": "There is no such user. Ask the operator of this installation for one."},
    )

    class Meta:
        model = Membership
        fields = ("user", "role", "tells_by_mail")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            # A membership stays its person's: another one is added, so that both stand in the audit log.
            self.initial["user"] = self.instance.user
            self.fields["user"].disabled = True


NEW_TOKEN_FIELDS = ("workspace", "name", "environment", "scopes", "allowed_networks", "expires_at", "for_myself")


class NewTokenForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a token may do and from where. The service makes it."""

    scopes = forms.MultipleChoiceField(
        choices=scope_choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=(
            "What it may do; write includes read, and records:... includes every entity. Tick as little as the service"
            " needs."
        ),
    )
    allowed_networks = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="CIDR networks it may be used from, one a line, e.g. 203.0.113.0/24. Empty: from anywhere.",
    )
    for_myself = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        label="For myself",
        help_text="Your own: it may do no more than your role, and ends when you leave. Leave it off for a service.",
    )

    roles: ClassVar[Mapping[UUID, str] | None] = None  # the person's, by workspace; None gives everything

    class Meta:
        model = ApiToken
        fields = ()  # the admin gives NEW_TOKEN_FIELDS: workspaces can be listed within a request's scope only

    def clean_allowed_networks(self) -> list[str]:
        """One network a line, or separated by spaces or commas."""
        return str(self.cleaned_data["allowed_networks"]).replace(",", " ").split()

    def clean(self) -> dict[str, Any]:
        """Tell beside each field what the service would refuse."""
        data = super().clean() or self.cleaned_data
        if not self.errors:
            values = ("name", "scopes", "environment", "expires_at", "allowed_networks")
            for error in tokens.wrong_values(**{value: data[value] for value in values}):
                self.add_error(error.pointer.split("/")[1], error.detail)
        if not self.errors and self.roles is not None:
            missing = beyond(data["scopes"], self.roles[data["workspace"].pk])
            if missing:
                self.add_error("scopes", f"Your role has not {', '.join(missing)}, so it cannot give that.")
        return data


class RotateTokenForm(forms.Form):
    """How long the old token works beside the new one."""

    overlap = forms.TypedChoiceField(
        choices=Overlap.choices,
        coerce=int,
        initial=Overlap.DAY,
        widget=UnfoldAdminRadioSelectWidget,
        label="The old token works on for",
        help_text="Long enough to give the new one to every place that uses it.",
    )
