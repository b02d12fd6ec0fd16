"""What this room's endpoints take and give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from connections.choices import Access, ConnectionStatus
from connections.models import Connection
from connections.models.mappings import REASON_CHARACTERS
from connections.services.opening import TLS_CLIENT_KEY
from connections.services.setting_values import MAX_SECRET
from core import ids
from core.errors import Category, WhoMustAct
from core.secret_stores.references import MAX_REFERENCE
from core.serializers import Plain, StrictSerializer
from integrations.sdk.connector import Connector
from integrations.sdk.declarations import ConfigField
from integrations.sdk.shapes import CUSTOM_TYPES
from workspaces.choices import Environment
from workspaces.serializers import CreateTokenSerializer


class SettingSerializer(Plain):
    """One setting that a connection of the system takes."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the metaclass takes fields out of the class
    help = serializers.CharField(allow_blank=True)
    kind = serializers.ChoiceField(choices=["text", "url", "secret", "choice", "integer", "boolean"])
    required = serializers.BooleanField()  # type: ignore[assignment]
    default = serializers.JSONField(allow_null=True)
    choices = serializers.ListField(child=serializers.DictField(), help_text="[{value, label}] of a choice")
    is_host = serializers.BooleanField(help_text="Changing it demands the secrets again")


class LimitsSerializer(Plain):
    """What the system allows one account."""

    per_minute = serializers.IntegerField(allow_null=True, help_text="Calls a minute; null when the system names none")
    concurrency = serializers.IntegerField(help_text="Runs at the same time")
    reserve_for_operations = serializers.FloatField(help_text="Share of the calls that syncs leave to writes")
    page_size = serializers.IntegerField(help_text="Most records a page")


class SystemSerializer(Plain):
    """A system that can be connected."""

    slug = serializers.CharField()
    title = serializers.CharField()
    summary = serializers.CharField(allow_blank=True)
    docs = serializers.CharField(allow_blank=True, help_text="The vendor's or our page about it")
    version = serializers.CharField(help_text="Of our connector")
    simulated = serializers.BooleanField(help_text="Tested against a simulator of ours, not the real system")
    entities = serializers.ListField(child=serializers.CharField())


class OneSystemSerializer(SystemSerializer):
    """A system with all it takes and can do."""

    config = SettingSerializer(many=True)
    limits = LimitsSerializer()
    capabilities = serializers.DictField(help_text="Entity -> operations, changes, filterable, fields")


class SystemListSerializer(Plain):
    """The catalogue, whole."""

    data = SystemSerializer(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True)


class ErrorSerializer(Plain):
    """What failed last, and what to do."""

    code = serializers.CharField()
    category = serializers.ChoiceField(choices=[category.value for category in Category])
    message = serializers.CharField()
    who_must_act = serializers.ChoiceField(choices=[who.value for who in WhoMustAct])
    retryable = serializers.BooleanField()
    action = serializers.CharField(help_text="What to press or do next, in one sentence")
    source = serializers.DictField(allow_null=True, help_text="{status, code, message} of the system")  # type: ignore[assignment]


class CheckSerializer(Plain):
    """One thing that was tried: reachable, signed_in, <entity>_readable."""

    name = serializers.CharField()
    ok = serializers.BooleanField()
    detail = serializers.CharField()
    code = serializers.CharField(allow_blank=True, help_text="Of the error; empty when it went well")


class CheckOutcomeSerializer(Plain):
    """How trying the connection out went."""

    ok = serializers.BooleanField(help_text="Everything went well")
    checks = CheckSerializer(many=True)
    error = ErrorSerializer(allow_null=True)


class ConnectionSerializer(Plain):
    """A connection. Secrets are never shown, only which there are."""

    id = serializers.CharField()
    name = serializers.CharField()
    system = serializers.CharField()
    environment = serializers.ChoiceField(choices=Environment.choices)
    status = serializers.ChoiceField(choices=ConnectionStatus.choices)
    paused = serializers.BooleanField()
    customer_reference = serializers.CharField(allow_blank=True)
    metadata = serializers.DictField()
    time_zone = serializers.CharField()
    config = serializers.DictField()
    secrets = serializers.ListField(child=serializers.CharField(), help_text="Names of the secrets that are stored")
    secret_references = serializers.DictField(
        child=serializers.CharField(), help_text="Of those, where a secrets manager keeps them: name to reference"
    )
    ca_certificate = serializers.CharField(allow_blank=True)
    client_certificate = serializers.CharField(allow_blank=True)
    has_client_key = serializers.BooleanField()
    proxy = serializers.CharField(allow_blank=True)
    page_size = serializers.IntegerField(allow_null=True)
    account = serializers.CharField(allow_blank=True, help_text="Who we are there, as the system said")
    system_version = serializers.CharField(allow_blank=True)
    checked_at = serializers.DateTimeField(allow_null=True)
    error = ErrorSerializer(allow_null=True)
    shared = serializers.DictField(
        child=serializers.ChoiceField(choices=Access.choices),
        allow_null=True,
        help_text="What the customer shares: entity to read or read_write; null: all that the account may do",
    )
    passthrough_shared = serializers.BooleanField(help_text="Whether the customer lets raw calls through")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class CheckedConnectionSerializer(ConnectionSerializer):
    """A connection that was just saved, with how trying it out went."""

    check = CheckOutcomeSerializer(allow_null=True, help_text="Null when nothing was changed that calls depend on")


class ConnectionListSerializer(Plain):
    """A page of connections, newest first."""

    data = ConnectionSerializer(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True)


class HealthSerializer(Plain):
    """How a connection fares."""

    status = serializers.ChoiceField(choices=ConnectionStatus.choices)
    paused = serializers.BooleanField()
    checked_at = serializers.DateTimeField(allow_null=True)
    account = serializers.CharField(allow_blank=True)
    system_version = serializers.CharField(allow_blank=True)
    failures_in_row = serializers.IntegerField(help_text="Transient failures since the last good call")
    circuit_open_until = serializers.DateTimeField(allow_null=True, help_text="No calls before then, but one probe")
    offline_since = serializers.DateTimeField(allow_null=True, help_text="Null while it is not offline")
    next_poll_at = serializers.DateTimeField(
        allow_null=True, help_text="When it is asked whether it answers, at the latest"
    )
    error = ErrorSerializer(allow_null=True)


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "maxLength": MAX_SECRET},
            {
                "type": "object",
                "properties": {"ref": {"type": "string", "maxLength": MAX_REFERENCE}},
                "required": ["ref"],
                "additionalProperties": False,
            },
        ]
    }
)
class SecretField(serializers.CharField):
    """A secret as text, or `{"ref": ...}`, which the service judges."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_blank=True, trim_whitespace=False, max_length=MAX_SECRET, **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return data if isinstance(data, dict) else super().run_validation(data)


class ConnectionChangeSerializer(StrictSerializer):
    """What may be changed."""

    name = serializers.CharField(max_length=120, help_text="How your people call it")
    config = serializers.DictField(help_text="The system's settings; see /systems/{slug}")
    secrets = serializers.DictField(
        child=SecretField(allow_null=True),
        help_text='Passwords and keys by name; encrypted, never shown again. Or `{"ref": "vault:kv/acme/erp#password"}`:'
        " read from a secrets manager when it is needed",
    )
    customer_reference = serializers.CharField(max_length=120, allow_blank=True, help_text="Your id of the customer")
    metadata = serializers.DictField(help_text="Free JSON object of yours")
    time_zone = serializers.CharField(max_length=64, help_text="Of times the system writes without one: Europe/Berlin")
    ca_certificate = serializers.CharField(allow_blank=True, help_text="PEM of the customer's own authority")
    client_certificate = serializers.CharField(allow_blank=True, help_text="PEM, if the server asks for one")
    client_key = serializers.CharField(allow_blank=True, help_text="PEM of its key; encrypted, never shown again")
    proxy = serializers.CharField(max_length=300, allow_blank=True, help_text="http://host:port to go through")
    page_size = serializers.IntegerField(min_value=1, max_value=10_000, allow_null=True, help_text="Records a page")

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for name, field in fields.items():
            field.required = name in self.required_fields
        return fields

    required_fields: frozenset[str] = frozenset()


class NewConnectionSerializer(ConnectionChangeSerializer):
    """A connection to be made, in the environment of the token."""

    system = serializers.CharField(max_length=60, help_text="Slug of the catalogue")
    required_fields = frozenset({"system", "name", "config"})


class ReconnectSerializer(ConnectionChangeSerializer):
    """What a disconnected connection needs to begin again."""

    name = customer_reference = metadata = time_zone = None  # type: ignore[assignment]  # takes inherited fields away
    ca_certificate = proxy = page_size = None  # type: ignore[assignment]
    required_fields = frozenset({"secrets"})


class PurgingSerializer(Plain):
    """A connection that was deleted."""

    id = serializers.CharField()
    status = serializers.ChoiceField(choices=["purging"])


class NewConnectionTokenSerializer(CreateTokenSerializer):
    """A token to be made for one connection; its environment is the connection's."""

    environment = None  # type: ignore[assignment]  # takes the inherited field away


class MappingRowSerializer(Plain):
    """One row in force."""

    target = serializers.CharField(help_text="Unified field, or custom.<name>")
    source = serializers.CharField(allow_blank=True, help_text="Path or JMESPath into the system's object")  # type: ignore[assignment]
    transforms = serializers.ListField(child=serializers.DictField())
    name_source = serializers.CharField(allow_null=True, help_text="Of a reference: where the shown name is")
    items = serializers.ListField(child=serializers.DictField(), help_text="Rows of each object of a list")
    read_only = serializers.BooleanField()  # type: ignore[assignment]
    write = serializers.CharField(allow_null=True, help_text="Where it is written, when not where it is read")
    type = serializers.ChoiceField(choices=list(CUSTOM_TYPES), allow_null=True, help_text="Of a custom field")
    title = serializers.CharField(allow_null=True, help_text="Of a custom field: what people call it")
    origin = serializers.ChoiceField(choices=["default", "override"])
    removed = serializers.BooleanField(help_text="The override leaves this field out")


class MappingVersionSerializer(Plain):
    """A frozen version of a mapping."""

    id = serializers.CharField()
    version = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True, help_text="Why it was published")
    restores = serializers.IntegerField(allow_null=True, help_text="The version whose rows it brought back")


class ListedVersionSerializer(MappingVersionSerializer):
    """A version of a connection's override."""

    is_current = serializers.BooleanField()
    row_count = serializers.IntegerField(help_text="0: the connector's default alone")


class VersionListSerializer(Plain):
    """The versions of an override, newest first, at most 200."""

    data = ListedVersionSerializer(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True)


class MappingDifferenceSerializer(Plain):
    """How one field is made before and after; null where nothing makes it."""

    target = serializers.CharField()
    kind = serializers.ChoiceField(choices=["added", "removed", "changed"])
    before = serializers.DictField(allow_null=True)
    after = serializers.DictField(allow_null=True)
    parts = serializers.ListField(child=serializers.CharField(), help_text="Which parts of the row differ")


class OneVersionSerializer(Plain):
    """One version: its rows, and what it changes."""

    version = serializers.IntegerField()
    against = serializers.IntegerField(help_text="The version it is compared with; 0 is the connector's default")
    rows = serializers.ListField(child=serializers.DictField())
    changes = MappingDifferenceSerializer(many=True)


class MappingDocumentSerializer(Plain):
    """An override to carry to another connection of the same system."""

    format = serializers.CharField()
    system = serializers.CharField()
    entity = serializers.CharField()
    rows = serializers.ListField(child=serializers.DictField())


class MappingSerializer(Plain):
    """How one entity of a connection is mapped."""

    entity = serializers.CharField()
    default = MappingVersionSerializer()
    override = MappingVersionSerializer(allow_null=True)
    base_version = serializers.IntegerField(help_text="To send with a change; 0 where there never was an override")
    rows = MappingRowSerializer(many=True)


class MappingSummarySerializer(Plain):
    """Which versions map one entity of a connection, and what the connection changes."""

    entity = serializers.CharField()
    default_version = serializers.IntegerField(help_text="Of the connector's rows")
    override_version = serializers.IntegerField(
        allow_null=True, help_text="Of this connection's rows; null when the default holds"
    )
    row_count = serializers.IntegerField(help_text="Rows in force, without those the override leaves out")
    overridden_targets = serializers.ListField(
        child=serializers.CharField(), help_text="Fields the override replaces, adds or leaves out"
    )
    url = serializers.CharField(help_text="Where the rows are seen and changed")


class MappingListSerializer(Plain):
    """The mappings of a connection, one for each entity its system has; whole."""

    data = MappingSummarySerializer(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True)


class PublishSerializer(StrictSerializer):
    """What is said of a new version."""

    base_version = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=1_000_000,
        help_text="The override's version the change was made on, 0 for none: 409 when another one is in force by now",
    )
    reason = serializers.CharField(
        required=False, allow_blank=True, max_length=REASON_CHARACTERS, help_text="Why, for who reads the history"
    )


class DraftSerializer(StrictSerializer):
    """Rows to try."""

    rows = serializers.ListField(max_length=200, help_text="As an override, whole")


class MappingRequestSerializer(PublishSerializer):
    """An override, whole. An exported one can be sent as it is."""

    format = serializers.CharField(required=False, max_length=60, help_text="As exported; checked when it is there")
    system = serializers.CharField(required=False, max_length=60, help_text="As exported; checked when it is there")
    entity = serializers.CharField(required=False, max_length=60, help_text="As exported; checked when it is there")
    rows = serializers.ListField(
        max_length=200,
        help_text="Rows as shown, with `target` and what differs; a row with `target` alone leaves that field out",
    )


class PreviewSerializer(Plain):
    """What objects of the system become with the rows."""

    data = serializers.ListField(child=serializers.DictField(), help_text="[{remote_id, unified, error, raw}]")  # type: ignore[assignment]


def system_body(connector: type[Connector]) -> dict[str, Any]:
    """A system as the catalogue lists it."""
    return {
        "slug": connector.slug,
        "title": connector.title,
        "summary": connector.summary,
        "docs": connector.docs,
        "version": connector.version,
        "simulated": connector.simulated,
        "entities": list(connector.resources()),
    }


def setting_body(field: ConfigField) -> dict[str, Any]:
    """A setting as a form needs it."""
    return {
        "name": field.name,
        "label": field.title,
        "help": field.help,
        "kind": field.kind,
        "required": field.required,
        "default": field.default,
        "choices": [{"value": value, "label": label} for value, label in field.choices],
        "is_host": field.is_host,
    }


def connection_body(
    connection: Connection, secrets: frozenset[str], references: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A connection as the API shows it; `secrets` are the names of those that are stored, `references` where they are."""
    plain = (
        "name", "system", "environment", "status", "paused", "customer_reference", "metadata", "time_zone", "config",
        "ca_certificate", "client_certificate", "proxy", "page_size", "account", "system_version", "checked_at",
        "error", "shared", "passthrough_shared", "created_at", "updated_at",
    )  # fmt: skip
    return {
        "id": ids.show(Connection.PREFIX, connection.pk),
        **{name: getattr(connection, name) for name in plain},
        "secrets": sorted(secrets - {TLS_CLIENT_KEY}),
        "secret_references": dict(sorted((references or {}).items())),
        "has_client_key": TLS_CLIENT_KEY in secrets,
    }
