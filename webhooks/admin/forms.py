"""Forms of endpoints: the same fields as the API's, stored by the same services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelect2MultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from connections.models import Connection
from core.errors import LineshaftError
from webhooks.models import WebhookEndpoint
from webhooks.serializers import TEST_TYPES
from webhooks.services.endpoints import create_endpoint, update_endpoint
from workspaces.event_catalogue import CATALOGUE, EVERY_CUSTOM

__all__ = ["EndpointForm", "RecoverForm", "SendTestForm"]

CHANGED = ("url", "description", "connections", "event_types", "include_initial", "payload")
ADDED = ("workspace", "environment", *CHANGED)
MOST_CHOICES = 1000
TYPE_CHOICES = [*((type.value, type.value) for type in CATALOGUE), (EVERY_CUSTOM, "custom.* (all that flows emit)")]


class EndpointForm(forms.ModelForm):  # type: ignore[type-arg]  # Django cannot subscript it
    """Valid means stored: what the services refuse must be told beside the fields, so they are asked while it is judged."""

    by: ClassVar[str] = ""
    allowed: ClassVar[Sequence[UUID] | None] = None  # workspaces in which the person may add; None: all they see

    url = forms.CharField(
        max_length=1000,
        widget=UnfoldAdminTextInputWidget(attrs={"spellcheck": "false", "placeholder": "https://"}),
        label="Address",
        help_text="Where to send to: https, in the test environment http too.",
    )
    connections = forms.MultipleChoiceField(
        required=False,
        widget=UnfoldAdminSelect2MultipleWidget,
        help_text="Only events of these; none chosen: all events, also those of no connection.",
    )
    event_types = forms.MultipleChoiceField(
        required=False,
        choices=TYPE_CHOICES,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Only these types; none ticked: all.",
    )

    class Meta:
        model = WebhookEndpoint
        fields = ()  # the admin names them: workspaces can be listed within a request's scope only

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.secret = ""
        if "connections" in self.fields:
            self._offer_connections()
        if "workspace" in self.fields:
            self._prefer_the_only_workspace()

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            self._check_connections(data)
        if not self.errors:
            self._store(data)
        return data

    def _store(self, data: Mapping[str, Any]) -> None:
        values = {name: data[name] for name in CHANGED if name != "connections"}
        values["connection_ids"] = [UUID(text) for text in data["connections"]]
        try:
            if self.instance._state.adding:
                where = {name: data[name] for name in ("workspace", "environment")}
                self.instance, self.secret = create_endpoint(**where, **values, created_by=self.by)
            else:
                self.instance = update_endpoint(self.instance, **values)
        except LineshaftError as error:
            self._tell(error)

    def _tell(self, error: LineshaftError) -> None:
        for found in error.errors:
            name = found.pointer.split("/")[1]
            self.add_error(name if name in self.fields else None, found.detail)
        if not error.errors:
            self.add_error(None, error.detail)

    def _offer_connections(self) -> None:
        """Those that may be chosen, by name; those that are chosen, whatever became of them."""
        endpoint, rows = self.instance, Connection.objects.kept().present()
        if endpoint._state.adding:
            rows = rows if self.allowed is None else rows.filter(workspace_id__in=self.allowed)
        else:
            rows = rows.filter(workspace_id=endpoint.workspace_id, environment=endpoint.environment)
            self.initial["connections"] = [str(pk) for pk in endpoint.connection_ids]
            self._offer_types(endpoint.event_types)
        found = rows.order_by("name", "pk").values_list("pk", "name", "environment")[:MOST_CHOICES]
        choices = {str(pk): f"{name} ({environment})" for pk, name, environment in found}
        gone = {str(pk): f"A connection that was ended ({pk})" for pk in endpoint.connection_ids}
        self.fields["connections"].choices = list({**gone, **choices}.items())  # type: ignore[attr-defined]

    def _offer_types(self, chosen: Sequence[str]) -> None:
        """With those of flows that were chosen by the API, or saving would take them away."""
        own = [(name, name) for name in chosen if name not in dict(TYPE_CHOICES)]
        self.fields["event_types"].choices = [*TYPE_CHOICES, *own]  # type: ignore[attr-defined]
        self.initial["event_types"] = chosen

    def _prefer_the_only_workspace(self) -> None:
        choices: Any = self.fields["workspace"]
        found = list(choices.queryset[:2])
        if len(found) == 1:
            self.initial.setdefault("workspace", found[0].pk)

    def _check_connections(self, data: Mapping[str, Any]) -> None:
        """A new endpoint's workspace is chosen in the same form, so what fits is known only now."""
        if not self.instance._state.adding:
            return
        chosen = {UUID(text) for text in data["connections"]}
        where = {"workspace": data["workspace"], "environment": data["environment"]}
        fitting = set(Connection.objects.filter(pk__in=chosen, **where).values_list("pk", flat=True))
        if chosen - fitting:
            detail = "Choose connections of the endpoint's own workspace and environment only."
            self.add_error("connections", detail)

    def _post_clean(self) -> None:
        """The row is the service's already; nothing of the form is written to it."""


class SendTestForm(forms.Form):
    """What to send."""

    type = forms.ChoiceField(
        choices=TEST_TYPES,
        widget=UnfoldAdminSelectWidget(),
        label="Type of event",
        help_text="A sample of it is sent, signed as ever. It is in no feed and not tried again.",
    )


class RecoverForm(forms.Form):
    """How far back."""

    hours = forms.TypedChoiceField(
        choices=[(1, "The last hour"), (24, "The last 24 hours"), (168, "The last 7 days"), (720, "The last 30 days")],
        coerce=int,
        initial=24,
        widget=UnfoldAdminRadioSelectWidget,
        label="What was missed in",
        help_text="What the endpoint took already is not sent again.",
    )

    @property
    def since(self) -> Any:
        return timezone.now() - timedelta(hours=self.cleaned_data["hours"])
