"""What this room's endpoints take and give."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core import ids
from core.serializers import StrictSerializer
from workspaces import tokens
from workspaces.choices import Environment, EventType, Overlap, Scope, TokenStatus
from workspaces.models import ApiToken, Workspace
from workspaces.scopes import ENTITY_SCOPE, is_scope

_SCOPE = {
    "anyOf": [{"type": "string", "enum": Scope.values}, {"type": "string", "pattern": f"^{ENTITY_SCOPE.pattern}$"}]
}


@extend_schema_field(_SCOPE)
class ScopeField(serializers.CharField):
    """A scope of an area or, as `records.purchase_order:read`, of one entity."""

    default_error_messages = {"unknown": "{scope} is no scope; docs/guides/tokens.md lists them."}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not is_scope(text):
            self.fail("unknown", scope=text[:60])
        return text


class CreateTokenSerializer(StrictSerializer):
    """A token to be made."""

    name = serializers.CharField(max_length=120, help_text="What it is for, and where it is kept")
    scopes = serializers.ListField(
        child=ScopeField(),
        min_length=1,
        max_length=100,
        help_text="What it may do; only what your own token may. `records.<entity>:read|write` opens one entity alone",
    )
    environment = serializers.ChoiceField(
        choices=Environment.choices, required=False, help_text="That of your own token, and no other"
    )
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Refused from then on; without it the token does not expire"
    )
    allowed_networks = serializers.ListField(
        child=serializers.CharField(max_length=64),
        required=False,
        max_length=tokens.MAX_NETWORKS,
        help_text="CIDR networks it may be used from; without them those of your own token",
    )


class RotateTokenSerializer(StrictSerializer):
    """How a token is replaced."""

    overlap_seconds = serializers.ChoiceField(
        choices=Overlap.choices, help_text="How long the old token works on; 0 ends it now"
    )
    expires_at = serializers.DateTimeField(
        required=False,
        allow_null=True,
        help_text="Of the new token; without it the new one lives as long as the old one was made to",
    )


class TokenSerializer(serializers.Serializer[Any]):
    """A token without its secret."""

    id = serializers.CharField()
    name = serializers.CharField()
    prefix = serializers.CharField(help_text="How the token begins, to find where it is kept")
    status = serializers.ChoiceField(choices=TokenStatus.choices)
    environment = serializers.ChoiceField(choices=Environment.choices)
    workspace = serializers.CharField()
    connection = serializers.CharField(allow_null=True, help_text="The one connection it sees; null sees the workspace")
    person = serializers.CharField(
        allow_null=True, help_text="Whose token it is: it may do no more than their role. Null: a service's"
    )
    scopes = serializers.ListField(child=ScopeField())
    allowed_networks = serializers.ListField(child=serializers.CharField())
    kept_at = serializers.CharField(
        allow_null=True, help_text="The secrets manager or file it was written to, if the platform did so"
    )
    replaces = serializers.CharField(allow_null=True, help_text="The token it came in place of")
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_blank=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To the minute")


class NewTokenSerializer(TokenSerializer):
    """A token just made: the only time it is shown."""

    token = serializers.CharField(help_text="Store it now; it cannot be shown again")


class RotatedTokenSerializer(NewTokenSerializer):
    """The new token, the only time it is shown, with what became of the old one."""

    replaced = TokenSerializer(help_text="The old token: `expires_at` or `revoked_at` tell when it ends")


class TokenListSerializer(serializers.Serializer[Any]):
    """A page of tokens, newest first."""

    data = TokenSerializer(many=True)  # type: ignore[assignment]  # the metaclass takes fields out of the class
    next_cursor = serializers.CharField(allow_null=True)


class EventSerializer(serializers.Serializer[Any]):
    """Something that happened. The body is frozen: everybody gets the same bytes."""

    id = serializers.CharField()
    type = serializers.ChoiceField(choices=EventType.choices)
    timestamp = serializers.DateTimeField()
    workspace = serializers.CharField()
    connection = serializers.CharField(allow_null=True)
    position = serializers.IntegerField(help_text="Rises by one in commit order within workspace and environment")
    reason = serializers.CharField(allow_null=True, help_text="Why, e.g. initial, incremental, full, remap")
    origin_run = serializers.CharField(allow_null=True)
    data = serializers.DictField()  # type: ignore[assignment]


class FeedSerializer(serializers.Serializer[Any]):
    """A page of the feed."""

    data = EventSerializer(many=True)  # type: ignore[assignment]
    next_after = serializers.IntegerField(help_text="Send it as `after` next time, also when `data` is empty")
    has_more = serializers.BooleanField(help_text="True: ask again at once; false: you have seen everything so far")


def token_body(token: ApiToken) -> dict[str, Any]:
    """A token as the API and the commands show it."""
    return {
        "id": ids.show(ApiToken.PREFIX, token.id),
        "name": token.name,
        "prefix": tokens.prefix_of(token),
        "status": tokens.status_of(token).value,
        "environment": token.environment,
        "workspace": ids.show(Workspace.PREFIX, token.workspace_id),
        "connection": ids.show("con", token.connection_id),
        "person": token.person.get_username() if token.person is not None else None,
        "scopes": token.scopes,
        "allowed_networks": token.allowed_networks,
        "kept_at": token.kept_at or None,
        "replaces": ids.show(ApiToken.PREFIX, token.replaces_id),
        "created_at": token.created_at,
        "created_by": token.created_by,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "last_used_at": token.last_used_at,
    }
