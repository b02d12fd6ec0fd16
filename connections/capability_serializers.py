"""What the endpoints about forbidden capabilities take and give."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from connections.choices import OverriddenOperation
from connections.models import CapabilityOverride
from connections.services.overrides import MOST_OVERRIDES
from core import ids
from core.serializers import StrictSerializer

Plain = serializers.Serializer[Any]


class OverrideSerializer(Plain):
    """One thing an administrator forbade."""

    id = serializers.CharField()
    entity = serializers.CharField()
    operation = serializers.ChoiceField(choices=OverriddenOperation.values)
    field = serializers.CharField(allow_blank=True, help_text="That field or action alone; empty: the whole operation")
    reason = serializers.CharField(allow_blank=True)
    created_by = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()


class OverrideListSerializer(Plain):
    """All that is forbidden, whole."""

    data = OverrideSerializer(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True)


class NewOverrideSerializer(StrictSerializer):
    """What is to be forbidden."""

    entity = serializers.CharField(max_length=40, help_text="Name of the entity, as `purchase_order`")
    operation = serializers.CharField(max_length=40, help_text=", ".join(OverriddenOperation.values))
    field = serializers.CharField(
        max_length=120,
        required=False,
        allow_blank=True,
        help_text="A field (`notes`, `lines.quantity`, `custom.x`) or the name of an action; empty: the whole operation",
    )
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True, help_text="Told to who asks why")


class OverridesRequestSerializer(StrictSerializer):
    """All that is to be forbidden; what is not named is allowed again."""

    overrides = NewOverrideSerializer(many=True, max_length=MOST_OVERRIDES)  # type: ignore[call-arg]  # of the list


def override_body(row: CapabilityOverride) -> dict[str, Any]:
    """One row as shown."""
    names = ("entity", "operation", "field", "reason", "created_by", "created_at")
    return {"id": ids.show(row.PREFIX, row.pk), **{name: getattr(row, name) for name in names}}
