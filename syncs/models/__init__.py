"""What moves: syncs, their runs and copies, and what is written back."""

from syncs.models.history import SyncHistory
from syncs.models.issues import Issue
from syncs.models.operations import Operation
from syncs.models.syncing import QuarantinedRecord, Record, RecordDictionary, Reread, RunPage, Suspect, Sync, SyncRun

__all__ = [
    "Issue",
    "Operation",
    "QuarantinedRecord",
    "Record",
    "RecordDictionary",
    "Reread",
    "RunPage",
    "Suspect",
    "Sync",
    "SyncHistory",
    "SyncRun",
]
