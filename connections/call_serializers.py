"""What the endpoints about single calls to a system take and give."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from connections.models import Connection, UpstreamCall
from core import ids
from core.serializers import StrictSerializer
from integrations.sdk.raw_calls import RAW_METHODS

Plain = serializers.Serializer[Any]


class UpstreamCallSerializer(Plain):
    """One call to a system, secrets cut. It belongs to a run, to an operation, or was made by passthrough."""

    id = serializers.CharField()
    connection_id = serializers.CharField()
    run_id = serializers.CharField(allow_null=True)
    operation_id = serializers.CharField(allow_null=True)
    triggered_by = serializers.CharField(allow_blank=True, help_text="Who asked for it, of a passthrough call")
    position = serializers.IntegerField(help_text="Which call of its owner, from 1; earlier ones may not be kept")
    method = serializers.CharField()
    url = serializers.CharField()
    status = serializers.IntegerField(allow_null=True, help_text="HTTP status; null when no answer came")
    error_code = serializers.CharField(allow_blank=True, help_text="Why no answer came")
    started_at = serializers.DateTimeField()
    elapsed_ms = serializers.FloatField(help_text="Until the whole answer was there")
    request_bytes = serializers.IntegerField(help_text="Sent, headers included")
    response_bytes = serializers.IntegerField(help_text="Received, headers included, compressed as they came")
    request_body = serializers.CharField(allow_blank=True, help_text="At most 4,096 characters")
    response_body = serializers.CharField(allow_blank=True, help_text="At most 4,096 characters")


class UpstreamCallListSerializer(Plain):
    """A page of calls, newest first."""

    data = UpstreamCallSerializer(many=True)  # type: ignore[assignment]  # the metaclass takes fields out of the class
    next_cursor = serializers.CharField(allow_null=True)


class RawCallSerializer(StrictSerializer):
    """A raw call."""

    method = serializers.ChoiceField(choices=RAW_METHODS)
    path = serializers.CharField(
        max_length=2000,
        trim_whitespace=False,
        help_text="Below the connection's address, or the name of a remote method",
    )
    query = serializers.DictField(required=False, help_text="Parameters; a list repeats one")
    headers = serializers.DictField(
        child=serializers.CharField(max_length=4000, allow_blank=True), required=False, help_text="Of those allowed"
    )
    body = serializers.JSONField(required=False, allow_null=True, help_text="JSON, or text with its content type")


class RawAnswerSerializer(Plain):
    """What the system answered, the connection's secrets cut."""

    status = serializers.IntegerField(help_text="Of the system; ours is 200")
    headers = serializers.DictField(child=serializers.CharField(), help_text="Names in lower case")
    body = serializers.JSONField(allow_null=True)
    encoding = serializers.ChoiceField(
        choices=["json", "text", "base64"], allow_null=True, help_text="What `body` is; null when there is none"
    )


def call_body(call: UpstreamCall) -> dict[str, Any]:
    """A call as the API shows it."""
    plain = (
        "triggered_by", "position", "method", "url", "status", "error_code", "started_at", "elapsed_ms", "request_bytes",
        "response_bytes", "request_body", "response_body",
    )  # fmt: skip
    return {
        "id": ids.show(UpstreamCall.PREFIX, call.pk),
        "connection_id": ids.show(Connection.PREFIX, call.connection_id),
        "run_id": ids.show("run", call.run_id),
        "operation_id": ids.show("op", call.operation_id),
        **{name: getattr(call, name) for name in plain},
    }
