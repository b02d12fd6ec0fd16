"""What this room's endpoints take and give."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework import serializers

from connections.models import Connection
from core import ids
from core.serializers import StrictSerializer
from webhooks.choices import DeliveryStatus, EndpointStatus, Payload
from webhooks.models import Delivery, DeliveryAttempt, WebhookEndpoint
from webhooks.services.messages import TEST_TYPE, message_id
from workspaces.choices import Environment, Overlap
from workspaces.event_catalogue import CATALOGUE
from workspaces.models import Event

TYPES = [type.value for type in CATALOGUE]
TEST_TYPES = [(name, name) for name in (TEST_TYPE, *TYPES)]
MOST_CONNECTIONS = 500
MOST_TYPES = 100


class EndpointFieldsSerializer(StrictSerializer):
    """What can be changed of an endpoint: each field that is sent, and no other."""

    url = serializers.CharField(
        max_length=1000, required=False, help_text="Where to send to: https, in the test environment http too"
    )
    description = serializers.CharField(
        max_length=200, required=False, allow_blank=True, help_text="What listens there, for people"
    )
    connections = serializers.ListField(
        child=serializers.CharField(max_length=60),
        required=False,
        max_length=MOST_CONNECTIONS,
        help_text="Only events of these connections (con_...); empty: all events, also those of no connection",
    )
    event_types = serializers.ListField(
        child=serializers.CharField(max_length=60),
        required=False,
        max_length=MOST_TYPES,
        help_text="Only these types; empty: all. `custom.*`: all that your flows emit; `custom.order.late`: one of them",
    )
    include_initial = serializers.BooleanField(
        required=False, help_text="Also `record.*` events of first syncs, which are left out otherwise"
    )
    payload = serializers.ChoiceField(
        choices=Payload.choices, required=False, help_text="thin: ids of records; full: the records themselves too"
    )


class NewEndpointSerializer(EndpointFieldsSerializer):
    """An endpoint to be made."""

    url = serializers.CharField(max_length=1000, help_text="Where to send to: https, in the test environment http too")


class RotateSecretSerializer(StrictSerializer):
    """How the signing secret is replaced."""

    overlap_seconds = serializers.ChoiceField(
        choices=Overlap.choices,
        default=Overlap.DAY,
        help_text="How long the present secret signs beside the new one; 0 ends it now",
    )


class TestSendSerializer(StrictSerializer):
    """What to send for a test."""

    type = serializers.ChoiceField(choices=TEST_TYPES, default=TEST_TYPE, help_text="A sample of this type is sent")


class RecoverSerializer(StrictSerializer):
    """From when on."""

    since = serializers.DateTimeField(
        help_text="Events since then that were not delivered are sent; at most 30 days back"
    )


class Plain(serializers.Serializer[Any]):
    """Describes an answer; never used to read or write one."""


class SigningSecretSerializer(Plain):
    """A secret that signs, without the secret."""

    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(
        allow_null=True, help_text="It was replaced and signs until then; null: current"
    )


class EndpointSerializer(Plain):
    """An address that is told of events."""

    id = serializers.CharField()
    environment = serializers.ChoiceField(choices=Environment.choices)
    url = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    connections = serializers.ListField(child=serializers.CharField())
    event_types = serializers.ListField(child=serializers.CharField())
    include_initial = serializers.BooleanField()
    payload = serializers.ChoiceField(choices=Payload.choices)
    status = serializers.ChoiceField(choices=EndpointStatus.choices)
    disabled_reason = serializers.CharField(allow_null=True)
    disabled_at = serializers.DateTimeField(allow_null=True)
    position = serializers.IntegerField(help_text="Up to which position of the feed deliveries were made")
    failures_in_row = serializers.IntegerField(help_text="Attempts that failed since the last good one")
    failing_since = serializers.DateTimeField(allow_null=True, help_text="First failure since the last good attempt")
    last_success_at = serializers.DateTimeField(allow_null=True)
    last_failure_at = serializers.DateTimeField(allow_null=True)
    secrets = SigningSecretSerializer(many=True, help_text="Those that sign now; two while one replaces the other")
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_blank=True)


class NewSecretSerializer(EndpointSerializer):
    """With a secret just made: the only time it is shown."""

    secret = serializers.CharField(help_text="whsec_...: store it now; it cannot be shown again")


class EndpointListSerializer(Plain):
    """A page of endpoints, newest first."""

    data = EndpointSerializer(many=True)  # type: ignore[assignment]  # the metaclass takes fields out of the class
    next_cursor = serializers.CharField(allow_null=True)


class DeliverySerializer(Plain):
    """An event's trip to one endpoint."""

    id = serializers.CharField()
    endpoint = serializers.CharField()
    event = serializers.CharField(help_text="Id of the event")
    message_id = serializers.CharField(help_text="What is sent as `webhook-id`: the same at each attempt")
    type = serializers.CharField()
    part = serializers.IntegerField(help_text="Of a full payload that was split; else 0")
    position = serializers.IntegerField(help_text="Of the event in the feed; 0 for a test")
    status = serializers.ChoiceField(choices=DeliveryStatus.choices)
    attempt_count = serializers.IntegerField()
    is_manual = serializers.BooleanField(help_text="Sent again by somebody: one attempt, no schedule")
    due_at = serializers.DateTimeField(allow_null=True, help_text="Next attempt; null when there is none")
    delivered_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class AttemptSerializer(Plain):
    """One attempt, with what came back."""

    number = serializers.IntegerField()
    at = serializers.DateTimeField()
    status_code = serializers.IntegerField(allow_null=True, help_text="Null: no answer came")
    error_code = serializers.CharField(allow_null=True, help_text="Why it failed")
    elapsed_ms = serializers.FloatField()
    answer = serializers.CharField(allow_blank=True, help_text="At most 4,096 characters of it")


class DeliveryDetailSerializer(DeliverySerializer):
    """A delivery with all that happened."""

    body = serializers.CharField(
        allow_null=True, help_text="The very text that was sent; null before, or when it is gone"
    )
    attempts = AttemptSerializer(many=True, help_text="Newest first")


class DeliveryListSerializer(Plain):
    """A page of deliveries, newest first."""

    data = DeliverySerializer(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True)


class RecoveredSerializer(Plain):
    """How many deliveries will be made."""

    deliveries = serializers.IntegerField(help_text="Made, or made due again")


def endpoint_body(endpoint: WebhookEndpoint, secrets: Iterable[Any]) -> dict[str, Any]:
    """An endpoint as the API shows it; `secrets` are those of it that sign."""
    plain = (
        "environment", "url", "description", "event_types", "include_initial", "payload", "status", "disabled_at",
        "position", "failures_in_row", "failing_since", "last_success_at", "last_failure_at", "created_at", "created_by",
    )  # fmt: skip
    return {
        "id": ids.show(WebhookEndpoint.PREFIX, endpoint.pk),
        **{name: getattr(endpoint, name) for name in plain},
        "connections": [ids.show(Connection.PREFIX, pk) for pk in endpoint.connection_ids],
        "disabled_reason": endpoint.disabled_reason or None,
        "secrets": [{"created_at": secret.created_at, "expires_at": secret.expires_at} for secret in secrets],
    }


def delivery_body(delivery: Delivery) -> dict[str, Any]:
    """A delivery as lists show it."""
    plain = ("part", "position", "status", "is_manual", "delivered_at", "created_at")
    return {
        "id": ids.show(Delivery.PREFIX, delivery.pk),
        "endpoint": ids.show(WebhookEndpoint.PREFIX, delivery.endpoint_id),
        "event": ids.show(Event.PREFIX, delivery.event_id),
        "message_id": message_id(delivery.event_id, delivery.part),
        "type": delivery.event_type,
        "attempt_count": delivery.attempts,
        "due_at": delivery.due_at if delivery.status == DeliveryStatus.PENDING else None,
        **{name: getattr(delivery, name) for name in plain},
    }


def attempt_body(attempt: DeliveryAttempt) -> dict[str, Any]:
    """An attempt as the API shows it."""
    plain = ("number", "at", "status_code", "elapsed_ms", "answer")
    return {**{name: getattr(attempt, name) for name in plain}, "error_code": attempt.error_code or None}
