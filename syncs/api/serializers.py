"""What this room's endpoints take and give."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from connections.choices import ConnectionStatus
from core.errors import WhoMustAct
from core.serializers import StrictSerializer
from integrations.entities import ENTITIES
from syncs.choices import Mode, Phase, Review, RunStatus, SyncState, Trigger

_WHO = [who.value for who in WhoMustAct]
WANTED_MODES = (Mode.INCREMENTAL, Mode.FULL, Mode.REMAP)


# --- taken ------------------------------------------------------------------------------------------------------------


class ChangeSyncSerializer(StrictSerializer):
    """What may be changed of a sync. What is left out stays."""

    enabled = serializers.BooleanField(required=False, help_text="False: the entity is not shared, and never fetched")
    interval_seconds = serializers.IntegerField(
        required=False, min_value=60, max_value=86_400, help_text="Seconds between incremental runs"
    )
    full_interval_seconds = serializers.IntegerField(
        required=False, min_value=300, max_value=30 * 86_400, help_text="Seconds between full runs"
    )
    history_days = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=36_500,
        help_text="Days of closed documents the first sync takes; null takes everything",
    )


class RequestRunSerializer(StrictSerializer):
    """A run wanted now."""

    mode = serializers.ChoiceField(
        choices=[(mode.value, mode.label) for mode in WANTED_MODES],
        help_text="The first run of a sync is always an initial one, whatever is asked for",
    )


class ReviewSerializer(StrictSerializer):
    """What shall become of the held records."""

    decision = serializers.ChoiceField(
        choices=[("release", "They live"), ("delete", "They are gone")],
        help_text="`release` keeps the records, `delete` makes tombstones of them",
    )


# --- given ------------------------------------------------------------------------------------------------------------


class ShortErrorSerializer(serializers.Serializer[Any]):
    """What went wrong and still matters."""

    code = serializers.CharField()
    message = serializers.CharField()
    who_must_act = serializers.ChoiceField(choices=_WHO)
    retryable = serializers.BooleanField()
    action = serializers.CharField(help_text="What to do next, in one sentence")


class EntityErrorSerializer(ShortErrorSerializer):
    """The same with the entity it stands at; null when it is about the whole connection."""

    entity = serializers.CharField(allow_null=True)


class CountsSerializer(serializers.Serializer[Any]):
    """What a run did so far, in records."""

    read = serializers.IntegerField()
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    deleted = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    quarantined = serializers.IntegerField()


class ProgressSerializer(serializers.Serializer[Any]):
    """How far a run is, in records."""

    done = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True, help_text="What the system counts; null when it does not say")


class EntityStatusSerializer(serializers.Serializer[Any]):
    """The sync status of one entity."""

    entity = serializers.ChoiceField(choices=list(ENTITIES))
    sync_id = serializers.CharField()
    run_id = serializers.CharField(allow_null=True, help_text="The active run, else the latest that ended")
    status = serializers.ChoiceField(choices=SyncState.choices)
    last_successful_sync_at = serializers.DateTimeField(allow_null=True)
    next_scheduled_sync_at = serializers.DateTimeField(allow_null=True, help_text="Null when paused")
    is_initial_sync = serializers.BooleanField(help_text="The first run is under way")
    phase = serializers.ChoiceField(choices=Phase.choices, allow_null=True)
    progress = ProgressSerializer(allow_null=True, help_text="Of the active run")
    counts = CountsSerializer(allow_null=True, help_text="Of the active run, else of the latest")
    data_as_of = serializers.DateTimeField(
        allow_null=True, help_text="The copy holds everything the source had at this time"
    )
    stale = serializers.BooleanField(help_text="`data_as_of` is older than two intervals")
    error = ShortErrorSerializer(allow_null=True)


class SyncStatusSerializer(serializers.Serializer[Any]):
    """The sync status of one connection: the first that applies to any of its entities."""

    connection_id = serializers.CharField()
    connection_name = serializers.CharField()
    system = serializers.CharField()
    connection_status = serializers.ChoiceField(choices=ConnectionStatus.choices)
    status = serializers.ChoiceField(choices=SyncState.choices)
    last_successful_sync_at = serializers.DateTimeField(
        allow_null=True, help_text="The oldest over all shared entities; null while one never succeeded"
    )
    next_scheduled_sync_at = serializers.DateTimeField(allow_null=True, help_text="The earliest; null when paused")
    errors = EntityErrorSerializer(many=True, help_text="Also while a run is in progress")  # type: ignore[assignment]
    entities = EntityStatusSerializer(many=True)


class SyncStatusListSerializer(serializers.Serializer[Any]):
    """A page of sync status, one object a connection."""

    data = SyncStatusSerializer(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True)


class SyncSerializer(serializers.Serializer[Any]):
    """The standing order to keep one entity of one connection fresh."""

    id = serializers.CharField()
    connection_id = serializers.CharField()
    entity = serializers.ChoiceField(choices=list(ENTITIES))
    status = serializers.ChoiceField(choices=SyncState.choices)
    enabled = serializers.BooleanField()
    paused = serializers.BooleanField()
    interval_seconds = serializers.IntegerField()
    full_interval_seconds = serializers.IntegerField()
    history_days = serializers.IntegerField(allow_null=True)
    history_from = serializers.DateTimeField(allow_null=True, help_text="Start of the window, fixed by the first run")
    data_as_of = serializers.DateTimeField(allow_null=True)
    initial_completed_at = serializers.DateTimeField(allow_null=True)
    last_success_at = serializers.DateTimeField(allow_null=True)
    next_run_at = serializers.DateTimeField(allow_null=True)
    next_full_at = serializers.DateTimeField(allow_null=True)
    requested_mode = serializers.ChoiceField(
        choices=Mode.choices, allow_null=True, help_text="Wanted as soon as the active run ends"
    )
    failures_in_row = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class SyncListSerializer(serializers.Serializer[Any]):
    """A page of syncs."""

    data = SyncSerializer(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True)


class WindowSerializer(serializers.Serializer[Any]):
    """Which changes a run asks for, by the system's clock."""

    since = serializers.DateTimeField(allow_null=True, help_text="Null: everything")
    until = serializers.DateTimeField(allow_null=True)


class RunReviewSerializer(serializers.Serializer[Any]):
    """What was decided about held deletions."""

    decision = serializers.ChoiceField(choices=Review.choices)
    at = serializers.DateTimeField()
    by = serializers.CharField(allow_blank=True)


class RunErrorSerializer(ShortErrorSerializer):
    """Why a run failed or waits."""

    category = serializers.CharField()
    source = serializers.DictField(allow_null=True, help_text="What the system said: status, code, message")  # type: ignore[assignment]


class RunSerializer(serializers.Serializer[Any]):
    """One execution of a sync."""

    id = serializers.CharField()
    sync_id = serializers.CharField()
    connection_id = serializers.CharField()
    entity = serializers.ChoiceField(choices=list(ENTITIES))
    mode = serializers.ChoiceField(choices=Mode.choices)
    status = serializers.ChoiceField(choices=RunStatus.choices)
    phase = serializers.ChoiceField(choices=Phase.choices, allow_null=True)
    trigger = serializers.ChoiceField(choices=Trigger.choices)
    triggered_by = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    waits_until = serializers.DateTimeField(allow_null=True, help_text="When a waiting run goes on")
    cancel_requested = serializers.BooleanField()
    window = WindowSerializer()
    progress = ProgressSerializer()
    counts = CountsSerializer()
    error = RunErrorSerializer(allow_null=True)
    review = RunReviewSerializer(allow_null=True)


class RequestedRunSerializer(RunSerializer):
    """The run that answers a request."""

    is_new = serializers.BooleanField(help_text="False: a run was active already; yours follows when it ends")


class RunListSerializer(serializers.Serializer[Any]):
    """A page of runs, newest first."""

    data = RunSerializer(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True)


class QuarantinedSerializer(serializers.Serializer[Any]):
    """An object of the source that could not be copied. Every run tries it again."""

    id = serializers.CharField()
    record_id = serializers.CharField(help_text="The id its record has or would have")
    remote_id = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()
    attempts = serializers.IntegerField()
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()
    raw = serializers.CharField(required=False, help_text="With `include=raw`: the object as it came, as a text")


class RunErrorsSerializer(serializers.Serializer[Any]):
    """What went wrong in a run, and which objects of its sync are set aside at present."""

    error = RunErrorSerializer(allow_null=True)
    data = QuarantinedSerializer(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True)


class SuspectSerializer(serializers.Serializer[Any]):
    """A record the complete list did not show."""

    record_id = serializers.CharField()
    remote_id = serializers.CharField()


class SuspectListSerializer(serializers.Serializer[Any]):
    """A page of held records."""

    data = SuspectSerializer(many=True)  # type: ignore[assignment]
    next_cursor = serializers.CharField(allow_null=True)
