"""What the endpoints of flows give, for the API's description."""

from __future__ import annotations

from rest_framework import serializers

from core.serializers import Plain
from flows.bodies import FLOW_STATES
from flows.choices import HookMessageStatus, TriggerKind
from flows.serializers import JsonObject
from workspaces.choices import Environment


class ShownVersion(Plain):
    """Which version runs."""

    number = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_blank=True)


class FlowSerializer(Plain):
    """A flow."""

    id = serializers.CharField()
    environment = serializers.ChoiceField(choices=Environment.choices)
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    status = serializers.ChoiceField(choices=FLOW_STATES, help_text="draft: it was never published")
    trigger = serializers.CharField(
        allow_null=True, help_text=f"Of the published version: {', '.join(TriggerKind.values)}; null before"
    )
    version = ShownVersion(allow_null=True, help_text="What runs now")
    next_due_at = serializers.DateTimeField(allow_null=True, help_text="Of a schedule: the next time")
    trigger_error = JsonObject(allow_null=True, help_text="Why its trigger could not be judged last")
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_blank=True)
    updated_at = serializers.DateTimeField()


class FlowDetailSerializer(FlowSerializer):
    """A flow with its draft."""

    definition = JsonObject(help_text="The draft")
    bindings = serializers.DictField(child=serializers.CharField())
    has_changes = serializers.BooleanField(help_text="The draft or its bindings are not what runs")


class FlowListSerializer(Plain):
    """A page of flows, newest first."""

    data = FlowSerializer(many=True)  # type: ignore[assignment]  # the metaclass takes fields out of the class
    next_cursor = serializers.CharField(allow_null=True)


class FlowVersionSerializer(Plain):
    """A published version."""

    flow = serializers.CharField()
    number = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_blank=True)


class FlowVersionDetailSerializer(FlowVersionSerializer):
    """With what it says."""

    definition = JsonObject()
    bindings = serializers.DictField(child=serializers.CharField())


class FlowVersionListSerializer(Plain):
    """A page of versions, newest first."""

    data = FlowVersionSerializer(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True)


class FlowExportSerializer(Plain):
    """A flow without anything of this installation."""

    lineshaft_flow = serializers.IntegerField(help_text="Format of the export")
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    definition = JsonObject()
    secrets = serializers.ListField(child=serializers.CharField(), help_text="Names of secrets to be stored anew")


class TemplateSerializer(Plain):
    """A ready flow to begin with."""

    slug = serializers.CharField()
    title = serializers.CharField()
    summary = serializers.CharField()
    definition = JsonObject()


class TemplateListSerializer(Plain):
    """All ready flows."""

    data = TemplateSerializer(many=True)  # type: ignore[assignment]


class FoundProblemSerializer(Plain):
    """What is wrong in a definition."""

    pointer = serializers.CharField(help_text="RFC 6901, e.g. /definition/steps/0/entity")
    code = serializers.CharField()
    detail = serializers.CharField()


class ValidatedSerializer(Plain):
    """What is wrong; nothing when it is empty."""

    errors = FoundProblemSerializer(many=True)  # type: ignore[assignment]


class StoredFlowSecretSerializer(Plain):
    """A secret without the secret."""

    name = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class FlowSecretListSerializer(Plain):
    """All of a flow's, by name."""

    data = StoredFlowSecretSerializer(many=True)  # type: ignore[assignment]


class FlowHookSerializer(Plain):
    """The address of a flow, without the address itself."""

    flow = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_received_at = serializers.DateTimeField(allow_null=True, help_text="Refused messages count")
    has_signing_secret = serializers.BooleanField()


class MadeFlowHookSerializer(FlowHookSerializer):
    """With the address: the only time it is shown."""

    url = serializers.CharField(help_text="Give it to the sender; it cannot be shown again")


class FlowMessageSerializer(Plain):
    """A message that came to a flow's address."""

    id = serializers.CharField()
    flow = serializers.CharField()
    status = serializers.ChoiceField(choices=HookMessageStatus.choices)
    run = serializers.CharField(allow_null=True, help_text="The run it started (frun_...)")
    error = serializers.CharField(allow_null=True)
    headers = serializers.DictField(child=serializers.CharField())
    body = serializers.CharField(help_text="The first 4,096 bytes of it, as text")
    body_bytes = serializers.IntegerField()
    received_at = serializers.DateTimeField()


class FlowMessageListSerializer(Plain):
    """A page of messages, newest first."""

    data = FlowMessageSerializer(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True)
