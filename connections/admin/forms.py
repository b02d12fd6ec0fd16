"""The form of a connection, drawn from what its connector declares and stored by the services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from zoneinfo import available_timezones

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from connections.admin.fields import JsonObjectField, PemField, reference_field, secret_field, setting_field
from connections.models import Connection
from connections.services import create_connection, needs_check, update_connection
from connections.services.opening import TLS_CLIENT_KEY
from core.errors import LineshaftError
from integrations.sdk.connector import Connector

__all__ = ["ConnectionForm", "form_for", "form_sections"]

SETTING, SECRET, REMOVE, REFERENCE = "config__", "secret__", "remove__", "reference__"
DATA = ("customer_reference", "metadata")
ADVANCED = ("time_zone", "page_size", "proxy", "ca_certificate", "client_certificate", "client_key")
PLAIN = ("name", *DATA, *ADVANCED)


class ConnectionForm(forms.ModelForm):  # type: ignore[type-arg]  # Django cannot subscript it
    """Valid means stored: what the services refuse must be told beside the fields, so they are asked while it is judged.

    Trying the connection out speaks to the system and comes later, outside of the transaction: see `needs_check`.
    """

    kind: ClassVar[type[Connector]]
    by: ClassVar[str]
    stored: ClassVar[frozenset[str]]
    needs_check = False

    metadata = JsonObjectField(help_text='A JSON object of yours, kept and shown as it is, e.g. {"plan": "gold"}.')
    time_zone = forms.ChoiceField(
        choices=lambda: [(zone, zone) for zone in sorted(available_timezones())],
        widget=UnfoldAdminSelectWidget(),
        initial="UTC",
        help_text="Of times the system writes without a zone.",
    )
    page_size = forms.IntegerField(
        required=False,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="Records a page; empty for what suits the system.",
    )
    proxy = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"spellcheck": "false"}),
        help_text="http(s) proxy to go through, without user name, e.g. http://proxy.example:3128.",
    )
    ca_certificate = PemField(
        label="CA certificate", help_text="PEM of the customer's own certificate authority, if its server uses one."
    )
    client_certificate = PemField(help_text="PEM of a client certificate, if the server asks for one.")
    client_key = PemField(secret=True, help_text="PEM of its private key; encrypted, never shown again.")

    class Meta:
        model = Connection
        fields = ()  # the admin names them: workspaces can be listed within a request's scope only

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self._referred():
            self.fields[SECRET + name].required = False
        if not self.instance._state.adding:
            self._show_stored()
        elif "workspace" in self.fields:
            self._prefer_the_only_workspace()

    def _show_stored(self) -> None:
        for setting in self.kind.config:
            if not setting.secret:
                self.initial[SETTING + setting.name] = self.instance.config.get(setting.name, setting.default)
        if TLS_CLIENT_KEY in self.stored:
            self.fields["client_key"].help_text += " Stored. Leave it empty to keep it."

    def _referred(self) -> list[str]:
        """Secrets for which a reference was entered."""
        names = [setting.name for setting in self.kind.config if setting.secret]
        return [
            name for name in names if self.is_bound and self.data.get(self.add_prefix(REFERENCE + name), "").strip()
        ]

    def clean(self) -> None:
        super().clean()
        for name in self._referred():
            if self.cleaned_data.get(SECRET + name):
                self.add_error(REFERENCE + name, "Enter the secret itself or where it is kept, not both.")

    def _prefer_the_only_workspace(self) -> None:
        choices: Any = self.fields["workspace"]
        found = list(choices.queryset[:2])
        if len(found) == 1:
            self.initial.setdefault("workspace", found[0].pk)

    def _post_clean(self) -> None:
        """Django would set the values on the row; the service does it instead and says what does not fit."""
        if self.errors:
            self._tell_that_secrets_are_gone()
            return
        try:
            self._create() if self.instance._state.adding else self._update()
        except LineshaftError as error:
            self._tell(error)
            self._tell_that_secrets_are_gone()

    def _create(self) -> None:
        data = self.cleaned_data
        self.instance = create_connection(
            workspace=data["workspace"],
            environment=data["environment"],
            system=self.kind.slug,
            config={name: value for name, value in self._config().items() if value is not None},
            secrets={name: value for name, value in self._secrets().items() if value is not None},
            by=self.by,
            check=False,
            **{name: data[name] for name in (*PLAIN, "client_key")},
        )
        self.needs_check = True

    def _update(self) -> None:
        """Only what was changed here, so that two people do not undo each other's work."""
        data, changed = self.cleaned_data, set(self.changed_data)
        changes: dict[str, Any] = {name: data[name] for name in PLAIN if name in changed and name != "client_key"}
        if "metadata" in changes:
            changes["metadata"] = {**dict.fromkeys(self.instance.metadata), **changes["metadata"]}
        config = {name: value for name, value in self._config().items() if SETTING + name in changed}
        if config:
            changes["config"] = config
        if data["client_key"]:
            changes["client_key"] = data["client_key"]
        secrets = self._secrets()
        update_connection(self.instance, changes=changes, secrets=secrets, by=self.by, check=False)
        self.needs_check = needs_check(changes, secrets)

    def _config(self) -> dict[str, Any]:
        """Settings by name; None removes one."""
        given = {field.name: self.cleaned_data[SETTING + field.name] for field in self.kind.config if not field.secret}
        return {name: None if value == "" else value for name, value in given.items()}

    def _secrets(self) -> dict[str, Any]:
        """Secrets that were entered, themselves or by reference; None removes one."""
        found: dict[str, Any] = {}
        for field in self.kind.config:
            if field.secret and self.cleaned_data[SECRET + field.name]:
                found[field.name] = self.cleaned_data[SECRET + field.name]
            elif field.secret and self.cleaned_data.get(REFERENCE + field.name):
                found[field.name] = {"ref": self.cleaned_data[REFERENCE + field.name]}
            elif self.cleaned_data.get(REMOVE + field.name):
                found[field.name] = None
        return found

    def _tell(self, error: LineshaftError) -> None:
        """Each fault at its field; what belongs to none, above the form."""
        if not error.errors:
            self.add_error(None, error.detail)
        for fault in error.errors:
            name = self._field_at(fault.pointer)
            self.add_error(name, fault.detail if name else f"{fault.pointer}: {fault.detail}")

    def _field_at(self, pointer: str) -> str | None:
        parts = pointer.strip("/").split("/")
        name = {"config": SETTING, "secrets": SECRET}.get(parts[0], "") + parts[-1]
        if parts[0] == "secrets" and self.cleaned_data.get(REFERENCE + parts[-1]):
            name = REFERENCE + parts[-1]
        return name if name in self.fields else None

    def _tell_that_secrets_are_gone(self) -> None:
        names = [field.title for field in self.kind.config if field.secret and self.data.get(SECRET + field.name)]
        if self.data.get("client_key"):
            names.append("client key")
        if names:
            self.add_error(None, f"Nothing is saved yet. Enter {', '.join(names)} again: secrets are not sent back.")


def form_for(
    kind: type[Connector], *, stored: frozenset[str], by: str, references: Mapping[str, str] | None = None
) -> type[ConnectionForm]:
    """The form of a system's connections. `stored`: names of the secrets there are; `references`: where some are kept."""
    kept_at = references or {}
    fields: dict[str, Any] = {}
    for setting in kind.config:
        if not setting.secret:
            fields[SETTING + setting.name] = setting_field(setting)
            fields[SETTING + setting.name].initial = setting.default
            continue
        fields[SECRET + setting.name] = secret_field(
            setting, stored=setting.name in stored, kept_at=kept_at.get(setting.name, "")
        )
        fields[REFERENCE + setting.name] = reference_field(setting)
        if setting.name in stored and not setting.required:
            fields[REMOVE + setting.name] = forms.BooleanField(
                required=False, label=f"Remove {setting.title}", widget=UnfoldBooleanSwitchWidget()
            )
    facts = {"kind": kind, "by": by, "stored": stored, "__module__": __name__}
    return type(f"{kind.__name__}Form", (ConnectionForm,), {**fields, **facts})


def form_sections(form: type[ConnectionForm], *, adding: bool) -> list[tuple[str | None, dict[str, Any]]]:
    """The form's fields in the admin's fieldsets."""
    settings = [name for name in form.base_fields if name.startswith((SETTING, SECRET, REMOVE))]
    references = [name for name in form.base_fields if name.startswith(REFERENCE)]
    where = ["workspace", "environment"]
    told = {"description": form.kind.summary} if form.kind.summary else {}
    return [
        (None, {"fields": ["name", *where] if adding else ["name", "shown_system", *where]}),
        (f"Access to {form.kind.title}", {"fields": settings, **told}),
        ("Your own data", {"fields": list(DATA)}),
        ("Advanced", {"fields": [*ADVANCED, *references], "classes": ["collapse"]}),
    ]
