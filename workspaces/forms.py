"""Forms of this room's screens."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from workspaces import tokens
from workspaces.choices import Scope
from workspaces.models import ApiToken, Membership


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
        fields = ("user", "role")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["user"] = self.instance.user


NEW_TOKEN_FIELDS = ("workspace", "name", "environment", "scopes", "allowed_networks", "expires_at")


class NewTokenForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a token may do and from where. The service makes it."""

    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What it may do; write includes read. Tick as little as the service needs.",
    )
    allowed_networks = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="CIDR networks it may be used from, one a line, e.g. 203.0.113.0/24. Empty: from anywhere.",
    )

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
        return data
