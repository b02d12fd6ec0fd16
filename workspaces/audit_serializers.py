"""What the audit log's endpoints give."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from workspaces.choices import ActorKind, AuditOutcome


class AuditEventSerializer(serializers.Serializer[Any]):
    """Something that somebody did or tried. It never changes."""

    id = serializers.CharField()
    at = serializers.DateTimeField(help_text="Of the transaction in which it was done")
    workspace = serializers.CharField(allow_null=True)
    actor_kind = serializers.ChoiceField(choices=ActorKind.choices)
    actor = serializers.CharField(help_text="Who: a person, a token, a command, or the platform itself")
    token = serializers.CharField(allow_null=True, help_text="The token that was used")
    action = serializers.CharField(help_text="What, e.g. connection.paused")
    object_type = serializers.CharField(allow_null=True)
    object = serializers.CharField(allow_null=True, help_text="Its id, as it is shown everywhere")
    outcome = serializers.ChoiceField(choices=AuditOutcome.choices)
    address = serializers.CharField(allow_null=True, help_text="IP address the request came from")
    request_id = serializers.CharField(allow_null=True)
    details = serializers.DictField(help_text="Names and ids; never secrets or a customer's values")


class AuditListSerializer(serializers.Serializer[Any]):
    """A page of the audit log, newest first."""

    data = AuditEventSerializer(many=True)  # type: ignore[assignment]  # the metaclass takes fields out of the class
    next_cursor = serializers.CharField(allow_null=True)
