"""What the endpoints of the connect flow take and give."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from connections.choices import LinkStatus
from connections.models import Connection, LinkSession
from connections.serializers import ConnectionSerializer
from connections.services import linking
from core import ids
from core.serializers import Plain, StrictSerializer
from workspaces.choices import Environment, Scope
from workspaces.serializers import TokenSerializer


class NewLinkSessionSerializer(StrictSerializer):
    """An invitation to connect."""

    system = serializers.CharField(required=False, max_length=60, help_text="Its slug; without it the customer chooses")
    name = serializers.CharField(required=False, max_length=120, help_text="Of the connection; else the system's title")
    customer_reference = serializers.CharField(
        required=False,
        max_length=120,
        help_text="Your own id of the customer. With it a connection that exists is renewed instead of doubled",
    )
    metadata = serializers.JSONField(required=False, help_text="Free JSON object, kept on the connection")
    entities = serializers.DictField(
        required=False,
        child=serializers.CharField(max_length=20),
        help_text="What you ask for: {entity: read or read_write}. Without it everything the system has",
    )
    passthrough = serializers.BooleanField(required=False, help_text="Ask for raw calls too, a line of its own")
    redirect_uri = serializers.CharField(
        required=False,
        trim_whitespace=False,
        max_length=500,
        help_text="Where the page returns to: exactly as registered in the workspace",
    )
    origin = serializers.CharField(
        required=False,
        trim_whitespace=False,
        max_length=200,
        help_text="Of your page that opens the link as a popup: exactly as registered",
    )
    state = serializers.CharField(
        required=False,
        trim_whitespace=False,
        max_length=500,
        help_text="Comes back with the code: check that it is the one you sent",
    )
    valid_minutes = serializers.IntegerField(
        required=False, min_value=5, max_value=1440, help_text="5 to 1440; 30 else"
    )
    valid_days = serializers.IntegerField(
        required=False, min_value=1, max_value=7, help_text="Instead of minutes: a link to be shared, 1 to 7 days"
    )
    connection = serializers.CharField(
        required=False, max_length=60, help_text="con_... to sign in again; it keeps its id, records and schedules"
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "valid_days" in attrs and "valid_minutes" in attrs:
            raise serializers.ValidationError({"valid_days": "Send minutes or days, not both."})
        return attrs


class LinkSessionSerializer(Plain):
    """An invitation to connect and how far it has come. Its address is shown once, when it is made."""

    id = serializers.CharField()
    status = serializers.ChoiceField(choices=LinkStatus.choices)
    environment = serializers.ChoiceField(choices=Environment.choices)
    system = serializers.CharField(allow_blank=True, help_text="The one named, or the one chosen; empty before")
    name = serializers.CharField(allow_blank=True)
    customer_reference = serializers.CharField(allow_blank=True)
    metadata = serializers.DictField()
    entities = serializers.DictField(allow_null=True, help_text="What is asked for; null: everything")
    passthrough = serializers.BooleanField()
    redirect_uri = serializers.CharField(allow_blank=True)
    origin = serializers.CharField(allow_blank=True)
    is_magic = serializers.BooleanField(help_text="A link to be shared, valid for days")
    is_renewal = serializers.BooleanField(help_text="Signs an existing connection in again")
    connection = serializers.CharField(allow_null=True, help_text="The one to be renewed, or that was made")
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_blank=True)
    expires_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    exchanged_at = serializers.DateTimeField(allow_null=True)


class CreatedLinkSessionSerializer(LinkSessionSerializer):
    """A new one, with its address."""

    url = serializers.CharField(help_text="Send the customer there, or open it by link.js. Shown this once")
    token = serializers.CharField(help_text="The last part of the address")


class LinkSessionListSerializer(Plain):
    """A page of link sessions."""

    data = LinkSessionSerializer(many=True)  # type: ignore[assignment]  # the metaclass takes fields out of the class
    next_cursor = serializers.CharField(allow_null=True)


class ExchangeSerializer(StrictSerializer):
    """The code that came back."""

    code = serializers.CharField(max_length=100, trim_whitespace=False, help_text="As the page gave it; it works once")
    scopes = serializers.ListField(
        required=False,
        child=serializers.ChoiceField(choices=Scope.choices),
        min_length=1,
        max_length=len(Scope),
        help_text="What the token may do; without it what fits the things shared, as far as your own token may",
    )


class ExchangedSerializer(Plain):
    """The connection, and the token for it alone."""

    connection = ConnectionSerializer()
    token = serializers.CharField(help_text="Shown this once: keep it in a secrets manager")
    token_details = TokenSerializer()


def link_session_body(session: LinkSession) -> dict[str, Any]:
    """A link session as the API shows it."""
    plain = (
        "environment", "name", "customer_reference", "metadata", "entities", "passthrough", "redirect_uri", "origin",
        "is_magic", "is_renewal", "created_at", "created_by", "expires_at", "finished_at", "exchanged_at",
    )  # fmt: skip
    return {
        "id": linking.shown_id(session),
        "status": linking.status_of(session).value,
        "system": session.chosen_system or session.system,
        "connection": ids.show(Connection.PREFIX, session.connection_id),
        **{name: getattr(session, name) for name in plain},
    }
