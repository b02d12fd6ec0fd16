"""Forms of new links. Valid means made, by the service that the API calls too."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from connections.choices import Access
from connections.models import Connection, LinkSession
from connections.services import linking
from connections.services.linking.outcomes import plural_of
from core.errors import LineshaftError
from integrations.entities import ENTITIES
from integrations.registry import catalogue
from workspaces.choices import Environment

__all__ = ["NewLinkForm", "RenewLinkForm"]

VALID = {"30": "30 minutes", "240": "4 hours", "1d": "1 day", "3d": "3 days", "7d": "7 days"}


class _LinkForm(forms.ModelForm):  # type: ignore[type-arg]  # Django cannot subscript it
    """`token` is the new link's, for the one answer that shows it."""

    renewed: ClassVar[Connection | None] = None
    by: ClassVar[str] = ""
    token: str = ""

    valid = forms.ChoiceField(
        label="Valid for",
        choices=list(VALID.items()),
        initial="7d",
        widget=UnfoldAdminSelectWidget(),
        help_text="Whoever has the address can connect until then: send it to the customer alone.",
    )

    def _post_clean(self) -> None:
        if self.errors:
            return
        try:
            self.instance, self.token = linking.create_link_session(**self.wanted(), created_by=self.by)
        except LineshaftError as error:
            for fault in error.errors:
                name = fault.pointer.strip("/").split("/")[0]
                self.add_error(name if name in self.fields else None, fault.detail)
            if not error.errors:
                self.add_error(None, error.detail)

    def wanted(self) -> dict[str, Any]:
        """What the service is asked for."""
        chosen = str(self.cleaned_data["valid"])
        if chosen.endswith("d"):
            return {"is_magic": True, "valid_days": int(chosen[:-1])}
        return {"valid_minutes": int(chosen)}

    def save(self, commit: bool = True) -> Any:
        """It is made already."""
        return self.instance

    def save_m2m(self) -> None:
        """There are none."""


class NewLinkForm(_LinkForm):
    """For a new connection."""

    NAMES: ClassVar[tuple[str, ...]] = (
        "workspace", "environment", "system", "name", "customer_reference", "reads", "writes", "passthrough", "valid",
    )  # fmt: skip

    environment = forms.ChoiceField(choices=Environment.choices, widget=UnfoldAdminSelectWidget())
    system = forms.ChoiceField(
        choices=lambda: [
            ("", "The customer chooses"),
            *((slug, kind.title) for slug, kind in sorted(catalogue().items())),
        ],
        required=False,
        widget=UnfoldAdminSelectWidget(),
    )
    name = forms.CharField(
        required=False,
        max_length=120,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Of the connection, e.g. the customer and plant. Empty: the system's name.",
    )
    customer_reference = forms.CharField(
        required=False,
        max_length=120,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Your own id of the customer. With it, connecting the same system again renews its connection.",
    )
    reads = forms.MultipleChoiceField(
        label="Ask to read",
        choices=lambda: [(name, plural_of(name)) for name in ENTITIES],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Tick nothing here and below to ask for everything the system has.",
    )
    writes = forms.MultipleChoiceField(
        label="Ask to read and write",
        choices=lambda: [(name, plural_of(name)) for name in ENTITIES],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    passthrough = forms.BooleanField(label="Ask for raw calls", required=False, widget=UnfoldBooleanSwitchWidget())

    class Meta:
        model = LinkSession
        fields = ()  # the admin gives NAMES: workspaces can be listed within a request's scope only

    def wanted(self) -> dict[str, Any]:
        data = self.cleaned_data
        plain = ("workspace", "environment", "system", "name", "customer_reference", "passthrough")
        asked = dict.fromkeys(data["reads"], Access.READ.value) | dict.fromkeys(data["writes"], Access.READ_WRITE.value)
        return {**super().wanted(), **{name: data[name] for name in plain}, "entities": asked or None}


class RenewLinkForm(_LinkForm):
    """To sign an existing connection in again; everything else is that one's."""

    NAMES: ClassVar[tuple[str, ...]] = ("valid",)

    class Meta:
        model = LinkSession
        fields = ()

    def wanted(self) -> dict[str, Any]:
        connection = self.renewed
        if connection is None:
            raise TypeError("the admin names the connection")
        return {
            **super().wanted(),
            "workspace": connection.workspace,
            "environment": connection.environment,
            "connection": connection,
        }
