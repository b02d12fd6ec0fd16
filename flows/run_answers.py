"""What the endpoints of runs give, for the API's description."""

from __future__ import annotations

from rest_framework import serializers

from core.serializers import Plain
from flows.choices import FlowRunStatus, StepStatus, TriggerKind, WaitsFor
from flows.serializers import AnyJson, JsonObject
from workspaces.choices import Environment


class FlowErrorSerializer(Plain):
    """Why it failed."""

    code = serializers.CharField()
    category = serializers.CharField()
    message = serializers.CharField()
    who_must_act = serializers.CharField()
    retryable = serializers.BooleanField()
    action = serializers.CharField(help_text="What to do")


class FlowRunErrorSerializer(FlowErrorSerializer):
    """Why a run failed."""

    step = serializers.CharField(allow_null=True, help_text="Path of the step")


class FlowRunSerializer(Plain):
    """One execution."""

    id = serializers.CharField()
    flow = serializers.CharField()
    version = serializers.IntegerField(allow_null=True, help_text="Number of the version it keeps to; null: of a draft")
    environment = serializers.ChoiceField(choices=Environment.choices)
    status = serializers.ChoiceField(choices=FlowRunStatus.choices)
    trigger = serializers.ChoiceField(choices=TriggerKind.choices)
    triggered_by = serializers.CharField(allow_blank=True)
    key = serializers.CharField(allow_null=True, help_text="No second run of the flow has the same")
    is_dry = serializers.BooleanField(help_text="A test: nothing is written, sent or waited for")
    depth = serializers.IntegerField(help_text="How many runs of flows led to it")
    rerun_of = serializers.CharField(allow_null=True)
    connections = serializers.ListField(child=serializers.CharField(), help_text="Which it may touch")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    waits_for = serializers.CharField(allow_null=True, help_text=f"While it waits: {', '.join(WaitsFor.values)}")
    wakes_at = serializers.DateTimeField(
        allow_null=True, help_text="At the latest, while it waits for a time or an event"
    )
    current_step = serializers.CharField(allow_null=True, help_text="Path of the step it is at, or failed at")
    error = FlowRunErrorSerializer(allow_null=True)


class FlowRunDetailSerializer(FlowRunSerializer):
    """With its input."""

    input = JsonObject(help_text="What expressions see as `trigger`")


class FlowRunListSerializer(Plain):
    """A page of runs, newest first."""

    data = FlowRunSerializer(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True)


class StepRunSerializer(Plain):
    """What one step of a run did."""

    id = serializers.CharField()
    run = serializers.CharField()
    path = serializers.CharField(help_text="`name`; within a for-each `each[KEY].name`")
    scope = serializers.CharField(allow_blank=True, help_text="Path of the item it belongs to")
    name = serializers.CharField()
    kind = serializers.CharField(help_text="What it does, e.g. create_record; `item` of a for-each")
    status = serializers.ChoiceField(choices=StepStatus.choices)
    retry = serializers.IntegerField()
    input = AnyJson(allow_null=True, help_text="Its values, with expressions replaced and secrets cut")
    output = AnyJson(allow_null=True)
    error = FlowErrorSerializer(allow_null=True)
    attempts = serializers.ListField(child=JsonObject(), help_text="Those before the present one")
    call = JsonObject(allow_null=True, help_text="The HTTP request it made")
    operation = serializers.CharField(allow_null=True, help_text="The write it made (op_...)")
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class StepRunListSerializer(Plain):
    """A page of steps, in the order they began."""

    data = StepRunSerializer(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True)


class StepTestSerializer(Plain):
    """What a step would do."""

    input = AnyJson(allow_null=True, help_text="Its values, with expressions replaced and secrets cut")
    output = AnyJson(allow_null=True)
    error = FlowErrorSerializer(allow_null=True)
    call = JsonObject(allow_null=True, help_text="The HTTP request it would make")
    elapsed_ms = serializers.FloatField()
    is_skipped = serializers.BooleanField(help_text="Its `when` is not true")
