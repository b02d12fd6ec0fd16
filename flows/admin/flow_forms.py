"""Forms of flows. They read what was typed; the services judge it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django import forms
from unfold.widgets import (
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from connections.models import Connection
from core import ids
from core.errors import ValidationFailedError
from core.json import loads_strict
from flows.definitions.ready import READY
from flows.models import Flow
from workspaces.choices import Environment
from workspaces.models import Workspace

__all__ = ["MOST_CHOICES", "BindingsForm", "DraftForm", "JsonField", "NewFlowForm", "SecretForm", "json_area"]

MOST_CHOICES = 1000
EMPTY, EXPORT = "empty", "export"


def json_area(rows: int) -> UnfoldAdminTextareaWidget:
    return UnfoldAdminTextareaWidget(attrs={"rows": rows, "spellcheck": "false", "class": "lsh-code", "wrap": "off"})


class JsonField(forms.CharField):
    """JSON, refused as strictly as in the API. `kind` is the class that the value must be of."""

    def __init__(self, *args: Any, kind: type[Any] | None = None, rows: int = 12, **kwargs: Any) -> None:
        super().__init__(*args, widget=json_area(rows), **kwargs)
        self.kind = kind

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            read = loads_strict(text.encode("utf-8", "surrogatepass"))
        except ValidationFailedError as error:
            raise forms.ValidationError(error.detail) from error
        if self.kind is not None and not isinstance(read, self.kind):
            raise forms.ValidationError("This must be a JSON object: it begins with { and ends with }.")
        return read


class NewFlowForm(forms.Form):
    """Where it is to be, and what it begins with."""

    workspace: Any = forms.ModelChoiceField(Workspace.objects.none(), widget=UnfoldAdminSelectWidget)
    environment = forms.ChoiceField(choices=Environment.choices, widget=UnfoldAdminSelectWidget)
    name = forms.CharField(
        max_length=80,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Empty: that of what it begins with.",
    )
    start = forms.ChoiceField(widget=UnfoldAdminRadioSelectWidget, label="Begin with")
    export = JsonField(
        kind=dict, required=False, rows=8, help_text="The JSON of an exported flow, for the last choice above."
    )

    def __init__(self, data: Any, *, workspaces: Any, initial: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, initial=dict(initial or {}))
        fields: Any = self.fields
        fields["workspace"].queryset = workspaces
        ready = [(slug, flow.title) for slug, flow in READY.items()]
        fields["start"].choices = [(EMPTY, "An empty flow"), *ready, (EXPORT, "An exported flow")]
        fields["start"].initial = EMPTY
        fields["start"].help_text = " ".join(f"{flow.title}: {flow.summary}" for flow in READY.values())
        found = list(workspaces[:2])
        if len(found) == 1:
            fields["workspace"].initial = found[0].pk

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if data.get("start") == EXPORT and data.get("export") is None and "export" not in self.errors:
            self.add_error("export", "Paste the JSON of the exported flow.")
        if data.get("start") == EMPTY and not data.get("name"):
            self.add_error("name", "Give the flow a name.")
        return data


class DraftForm(forms.Form):
    """What people edit of a flow. The text of the definition is judged apart, with lines."""

    name = forms.CharField(max_length=80, widget=UnfoldAdminTextInputWidget)
    description = forms.CharField(max_length=500, required=False, widget=UnfoldAdminTextInputWidget)
    definition = forms.CharField(widget=json_area(28), strip=False)
    revision = forms.CharField(widget=forms.HiddenInput, required=False)


class BindingsForm(forms.Form):
    """A choice of connections for each name in a definition: those of the flow's place, and of the named system."""

    def __init__(self, data: Any, *, flow: Flow, slots: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(data, prefix="bind")
        here = Connection.objects.kept().present().filter(workspace_id=flow.workspace_id, environment=flow.environment)
        wanted = {slot.get("system") for slot in slots.values()}
        fitting = here if None in wanted else here.filter(system__in=wanted)
        rows = list(fitting.order_by("name", "pk").values_list("pk", "name", "system")[:MOST_CHOICES])
        for name, slot in slots.items():
            self.fields[name] = self._field(name, slot, rows, flow.bindings.get(name))

    @property
    def bindings(self) -> dict[str, str]:
        return {name: value for name, value in self.cleaned_data.items() if value}

    def _field(
        self, name: str, slot: Mapping[str, Any], rows: list[tuple[UUID, str, str]], chosen: Any
    ) -> forms.ChoiceField:
        system = slot.get("system")
        choices = {
            str(ids.show(Connection.PREFIX, pk)): f"{title} ({of})" for pk, title, of in rows if system in (None, of)
        }
        if chosen and chosen not in choices:
            choices[chosen] = f"A connection that was ended or removed ({chosen})"
        return forms.ChoiceField(
            choices=[("", "Choose a connection"), *choices.items()],
            required=False,
            initial=chosen,
            label=slot.get("title") or name,
            widget=UnfoldAdminSelectWidget,
            help_text=f"{name} in the definition" + (f", a connection of {system}" if system else ""),
        )


class SecretForm(forms.Form):
    """A secret by the name that the definition calls it."""

    name = forms.CharField(max_length=40, widget=UnfoldAdminTextInputWidget(attrs={"spellcheck": "false"}))
    value = forms.CharField(
        max_length=4000,
        widget=forms.PasswordInput(attrs={"class": "lsh-code", "autocomplete": "new-password"}),
        help_text="Stored encrypted, in place of one of the same name, and never shown.",
    )
