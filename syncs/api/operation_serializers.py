"""What the endpoints about operations take and give."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.problems import FieldErrorSerializer, ProblemSerializer, SourceAnswerSerializer
from core.serializers import StrictSerializer
from integrations.entities import ENTITIES
from syncs.api.serializers import ShortErrorSerializer
from syncs.choices import OperationKind, OperationStatus, Stage

MOST_ITEMS = 100
RESOLUTIONS = ("done", "not_done", "look_again")
Plain = serializers.Serializer[Any]
_ANY = {"description": "Any JSON value"}


@extend_schema_field(_ANY)
class AnyField(serializers.JSONField):
    """Any JSON value."""


@extend_schema_field({"type": "object", "additionalProperties": True})
class ObjectField(serializers.JSONField):
    """A JSON object of any members."""


# --- taken ------------------------------------------------------------------------------------------------------------


class ResolveSerializer(StrictSerializer):
    """What a person found out about a write whose outcome is not known."""

    outcome = serializers.ChoiceField(
        choices=[(name, name) for name in RESOLUTIONS],
        help_text="`done`: it was; `not_done`: it was not, so it has failed; `look_again`: let the platform look it up now",
    )
    remote_id = serializers.CharField(
        required=False, max_length=512, help_text="With `done` of a create: the system's id of what was made"
    )


@extend_schema_field({"type": ["integer", "string"]})
class VersionField(serializers.JSONField):
    """The version of a record, or its ETag."""


class BulkItemSerializer(StrictSerializer):
    """One write of a bulk call."""

    operation = serializers.ChoiceField(choices=OperationKind.choices)
    id = serializers.CharField(required=False, max_length=64, help_text="The record, of all but a create")
    action = serializers.CharField(required=False, max_length=60, help_text="Name of the action, of an action")
    body = ObjectField(required=False, help_text="Fields of a create or update, parameters of an action")
    if_match = VersionField(required=False, help_text="The record's `version`, or its ETag")
    idempotency_key = serializers.CharField(
        required=False, help_text="Instead of the one made of the header: `<Idempotency-Key>:<index>`"
    )


class BulkSerializer(StrictSerializer):
    """Up to 100 writes of one entity."""

    items = BulkItemSerializer(many=True, min_length=1, max_length=MOST_ITEMS)  # type: ignore[call-arg]  # of the list that `many` makes


# --- given ------------------------------------------------------------------------------------------------------------


class DifferenceSerializer(Plain):
    """One field a write changes."""

    pointer = serializers.CharField(help_text="JSON pointer (RFC 6901) into the request's body")
    before = AnyField(help_text="As it was read just before; null of a create")
    after = AnyField(help_text="As it is wished")


class NotAppliedSerializer(Plain):
    """One field that the system left as it was, or changed to something else."""

    pointer = serializers.CharField()
    wished = AnyField()
    found = AnyField(help_text="As it was read afterwards")


class CandidateSerializer(Plain):
    """An object that may be what an unanswered create made."""

    remote_id = serializers.CharField()
    why = serializers.CharField()


class OperationErrorSerializer(ShortErrorSerializer):
    """Why an operation failed, or what is in its way."""

    category = serializers.CharField()
    source = SourceAnswerSerializer(allow_null=True, help_text="What the system said")  # type: ignore[assignment]
    errors = FieldErrorSerializer(many=True, required=False)  # type: ignore[assignment]


class OperationLinksSerializer(Plain):
    """Where more is to be found."""

    self = serializers.CharField()
    upstream_calls = serializers.CharField(help_text="What was sent and answered")


class OperationSerializer(Plain):
    """One write and what became of it."""

    id = serializers.CharField()
    connection_id = serializers.CharField()
    entity = serializers.ChoiceField(choices=list(ENTITIES))
    kind = serializers.ChoiceField(choices=OperationKind.choices)
    action = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(choices=OperationStatus.choices)
    stage = serializers.ChoiceField(choices=Stage.choices)
    record_id = serializers.CharField(allow_null=True, help_text="Of a create once it is known")
    remote_id = serializers.CharField(allow_null=True)
    request = ObjectField(help_text="What the caller sent")
    diff = DifferenceSerializer(many=True)
    not_applied = NotAppliedSerializer(many=True)
    effect = serializers.CharField(allow_null=True, help_text="Of a delete: hard, soft, cancel, deactivate")
    candidates = CandidateSerializer(many=True, help_text="For `needs_review`: look-alikes to choose from")
    error = OperationErrorSerializer(allow_null=True)
    job = serializers.BooleanField(help_text="The system accepted it as a job of its own")
    batch_id = serializers.CharField(allow_null=True)
    requested_by = serializers.CharField(allow_blank=True)
    origin = serializers.CharField()
    created_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True, help_text="When the latest request was about to be sent")
    finished_at = serializers.DateTimeField(allow_null=True)
    next_try_at = serializers.DateTimeField(allow_null=True, help_text="When it is taken up next; null when it is not")
    resolved_by = serializers.CharField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    links = OperationLinksSerializer()


class PlannedCallSerializer(Plain):
    """One request to the system, without its credential."""

    method = serializers.CharField()
    url = serializers.CharField()
    headers = serializers.DictField(child=serializers.CharField())
    body = AnyField(help_text="As it travels; null for none")
    purpose = serializers.CharField()


class OperationDetailSerializer(OperationSerializer):
    """The same with the upstream requests, fixed before the first was sent."""

    calls = PlannedCallSerializer(many=True)


class OperationListSerializer(Plain):
    """A page of operations, newest first."""

    data = OperationSerializer(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True)


class BulkOutcomeSerializer(Plain):
    """What became of one item."""

    index = serializers.IntegerField()
    status = serializers.IntegerField(help_text="What the write alone would have been answered with")
    operation = OperationSerializer(allow_null=True, help_text="Null when it was refused: nothing was stored")
    problem = ProblemSerializer(allow_null=True)


class BulkAnswerSerializer(Plain):
    """What became of all items, in their order."""

    batch_id = serializers.CharField()
    data = BulkOutcomeSerializer(many=True)  # type: ignore[assignment]
