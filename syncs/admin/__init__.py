"""Screens of this room: syncs, runs, records, operations, and what they add to the screen of a connection."""

from syncs.admin.connections import SyncedConnectionAdmin
from syncs.admin.issues import IssueAdmin
from syncs.admin.operations import OperationAdmin
from syncs.admin.quarantine import QuarantinedRecordAdmin
from syncs.admin.records import RecordAdmin
from syncs.admin.runs import SyncRunAdmin
from syncs.admin.syncs import SyncAdmin

__all__ = [
    "IssueAdmin",
    "OperationAdmin",
    "QuarantinedRecordAdmin",
    "RecordAdmin",
    "SyncAdmin",
    "SyncRunAdmin",
    "SyncedConnectionAdmin",
]
