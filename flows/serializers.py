"""What this room's endpoints take."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from core.serializers import StrictSerializer

USES = ("draft", "published")
OUTCOMES = ("succeeded", "failed", "repeat")
_DEFINITION = "The flow as JSON; GET /flow-schema describes it"


class AnyJson(serializers.JSONField):
    """Any JSON value."""


class JsonObject(serializers.DictField):
    """Any JSON object."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(child=serializers.JSONField(allow_null=True), **facts)


class ChangeFlowSerializer(StrictSerializer):
    """What can be changed of a flow: each field that is sent, and no other."""

    name = serializers.CharField(max_length=80, required=False, help_text="One of a name in each environment")
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)
    definition = JsonObject(required=False, help_text=_DEFINITION)
    bindings = serializers.DictField(
        child=serializers.CharField(max_length=60),
        required=False,
        help_text="Name of a connection in the definition -> id of the connection (con_...); all of them",
    )


class NewFlowSerializer(ChangeFlowSerializer):
    """A flow to be made, of exactly one of `definition`, `template` and `export`."""

    template = serializers.CharField(max_length=60, required=False, help_text="Slug of one of GET /flow-templates")
    export = JsonObject(required=False, help_text="What GET /flows/{id}/export answered, here or elsewhere")


class ValidateSerializer(StrictSerializer):
    """A definition to be looked at."""

    definition = AnyJson(allow_null=True, help_text=_DEFINITION)


class FlowSecretSerializer(StrictSerializer):
    """A secret to be stored."""

    value = serializers.CharField(max_length=4000, trim_whitespace=False, help_text="Never shown again")


class HookSerializer(StrictSerializer):
    """An address to be made or renewed."""

    signing_secret = serializers.CharField(
        max_length=1000,
        required=False,
        allow_blank=True,
        help_text="What the sender signs with, where the trigger says how; absent keeps what is stored, empty removes it",
    )


class SigningSecretSerializer(StrictSerializer):
    """What the sender signs with."""

    signing_secret = serializers.CharField(max_length=1000, allow_blank=True, help_text="Empty removes it")


class StartRunSerializer(StrictSerializer):
    """A run to be started."""

    body = JsonObject(required=False, default=dict, help_text="What expressions see as `trigger.body`")


class TestStepSerializer(StrictSerializer):
    """A step to be tried alone."""

    input = JsonObject(
        required=False,
        default=dict,
        help_text=(
            "What its expressions see: `trigger` (the definition's `example` when absent), `steps` (name -> output),"
            " `item` and `index` within a for-each, `error` within on_error"
        ),
    )
    use = serializers.ChoiceField(choices=USES, default="draft", help_text="Which definition's step")


class DryRunSerializer(StrictSerializer):
    """A whole flow to be tried."""

    input = JsonObject(
        required=False,
        help_text="What expressions see as `trigger`; of it and `of_run` one at most, else the `example`",
    )
    of_run = serializers.CharField(max_length=60, required=False, help_text="A run (frun_...) whose input is taken")
    use = serializers.ChoiceField(choices=USES, default="draft", help_text="Which definition")


class ResolveStepSerializer(StrictSerializer):
    """How a step ended whose outcome nobody can tell."""

    outcome = serializers.ChoiceField(
        choices=OUTCOMES,
        help_text="succeeded: go on after it; failed: as if it had failed; repeat: do it once more",
    )
    output = AnyJson(required=False, allow_null=True, help_text="Of `succeeded`: what later steps see as its output")
    step = serializers.CharField(
        max_length=600, required=False, help_text="Path of the step that is meant; the one that waits when absent"
    )
