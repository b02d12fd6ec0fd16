"""Duties of the tick in this room. Each answers how many rows it moved; any number of tickers may run them at once."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django_scopes import scope, scopes_disabled

from connections.choices import ConnectionStatus
from connections.models import Connection
from core import hints
from core.leases import take_due_for_hint
from core.seldom import Seldom
from integrations.registry import catalogue
from syncs.choices import Mode, Trigger
from syncs.engine.outcomes import TASK, now
from syncs.models import Operation, Sync, SyncRun
from syncs.operations.outcomes import QUEUE as OPERATION_QUEUE
from syncs.operations.outcomes import TASK as OPERATION_TASK
from syncs.services.heeding import heed_hooks
from syncs.services.issue_mail import mail_issues
from syncs.services.issues import all_rules, evaluate, forget_old_issues
from syncs.services.orders import ensure_syncs
from syncs.services.purging import purge_deleted
from syncs.services.runs import fitting_mode, start_run
from syncs.services.stopping import stop_disconnected
from workspaces.feed import forget_old_events

BATCH = 200
RUN_DAYS = 90
KEY_DAYS = 30


def stop_disconnected_work() -> int:
    """What runs or waits for connections that were disconnected ends."""
    with scopes_disabled():
        return stop_disconnected(BATCH)


def make_missing_syncs() -> int:
    """Syncs for connections that became active: an upward effect, pulled here."""
    made = 0
    for slug, connector in catalogue().items():
        for entity in connector.resources():
            existing = Sync.objects.with_scopes_disabled().filter(connection=OuterRef("pk"), entity=entity)
            lacking = (
                Connection.objects.with_scopes_disabled()
                .filter(~Exists(existing), system=slug, health=ConnectionStatus.ACTIVE)
                .sharing(entity)
                .order_by("pk")[:BATCH]
            )
            for found in lacking:
                with scope(workspace=found.workspace_id):
                    ensure_syncs(found)
                made += 1
    return made


# A sync may be re-mapped when nothing else re-maps it anyway, and not again within the hour after these versions failed.
_MAY_REMAP = """s.initial_completed_at IS NOT NULL AND s.enabled AND s.requested_mode = ''
    AND NOT EXISTS (SELECT FROM syncs_syncrun r WHERE r.sync_id = s.id
        AND (r.status IN ('queued', 'running', 'waiting') AND r.mode <> 'incremental'
            OR r.mode = 'remap' AND r.status IN ('failed', 'cancelled') AND m.id IN (r.default_mapping_id, r.override_mapping_id)
                AND r.finished_at > clock_timestamp() - interval '1 hour'))"""
_ASK = "UPDATE syncs_sync s SET requested_mode = %s, next_run_at = clock_timestamp() FROM connections_mapping m"
_NEW_OVERRIDE = f"""{_ASK} WHERE m.is_current AND m.connection_id = s.connection_id AND m.entity = s.entity
    AND s.override_mapping_id IS DISTINCT FROM m.id AND {_MAY_REMAP}"""
_NEW_DEFAULT = f"""{_ASK}, connections_connection c WHERE m.is_current AND m.connection_id IS NULL
    AND c.system = m.system AND s.connection_id = c.id AND m.entity = s.entity
    AND s.default_mapping_id IS DISTINCT FROM m.id AND {_MAY_REMAP}"""


def notice_mapping_changes() -> int:
    """Ask for a re-map where the copy was mapped with another version than the current one."""
    asked = 0
    with connection.cursor() as cursor:
        for statement in (_NEW_OVERRIDE, _NEW_DEFAULT):
            cursor.execute(statement, [Mode.REMAP])
            asked += cursor.rowcount
    return asked


def resume_after_recovery() -> int:
    """Syncs that failed before their connection came back are due at once, not after the gap their failures earned."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE syncs_sync s SET next_run_at = clock_timestamp(), failed_at = NULL FROM connections_connection c
            WHERE c.id = s.connection_id AND c.health = 'active' AND s.failures_in_row > 0 AND s.unavailable = ''
              AND s.failed_at < c.online_since AND s.next_run_at > clock_timestamp()"""
        )
        resumed = int(cursor.rowcount)
        # Runs that wait for the next try need not: the system answers. Those it asked to slow down do wait.
        cursor.execute(
            """UPDATE syncs_syncrun r SET due_at = clock_timestamp() FROM connections_connection c
            WHERE c.id = r.connection_id AND c.online_since > clock_timestamp() - interval '1 minute'
              AND c.health = 'active' AND r.status = 'waiting' AND r.due_at > clock_timestamp() + interval '1 second'
              AND r.error ->> 'category' = 'transient'"""
        )
        return resumed + int(cursor.rowcount)


def heed_inbound_hooks() -> int:
    """What systems told by hooks is worked off: the syncs of the entities they name are due."""
    return heed_hooks()


def dispatch_due_syncs() -> int:
    """One run for each due sync of a connection that may sync. One active run a sync is the database's rule."""
    started = 0
    with scopes_disabled(), transaction.atomic():
        active = SyncRun.objects.filter(sync=OuterRef("pk")).active()
        may = Connection.objects.filter(pk=OuterRef("connection_id")).may_sync().sharing(OuterRef("entity"))
        due = (
            Sync.objects.filter(Exists(may), ~Exists(active), enabled=True, paused=False, next_run_at__lte=Now())
            .select_for_update(skip_locked=True, of=("self",), no_key=True)
            .order_by("next_run_at")[:BATCH]
        )
        at = now()
        for sync in due:
            wanted = sync.requested_mode or Mode.INCREMENTAL
            if wanted == Mode.INCREMENTAL and sync.next_full_at and sync.next_full_at <= at:
                wanted = Mode.FULL  # also when hooks ask for run after run
            try:
                with transaction.atomic():
                    start_run(sync, fitting_mode(sync, wanted), trigger=Trigger.SCHEDULE)
            except IntegrityError:
                continue  # a run began between our look and our lock; it is the one
            started += 1
    return started


def hint_due_runs() -> int:
    """Tell workers of runs that are due: fresh ones, waiting ones, and those whose worker died."""
    told = 0
    for run_id in take_due_for_hint(SyncRun, BATCH):
        told += hints.publish(TASK, run_id, queue="sync")
    return told


def hint_due_operations() -> int:
    """Tell workers of operations that are due: fresh ones, waiting ones, and those whose worker died."""
    told = 0
    for operation_id in take_due_for_hint(Operation, BATCH):
        told += hints.publish(OPERATION_TASK, operation_id, queue=OPERATION_QUEUE)
    return told


# Each process looks at a rule this often at the most; several of them do no harm.
_looked: dict[str, Seldom] = {}
_mailed = Seldom(seconds=10)


def watch_issues() -> int:
    """Open issues for what is wrong, resolve those that are over."""
    changed = 0
    for rule in all_rules():
        looked = _looked.setdefault(rule.kind, Seldom(seconds=rule.seconds))
        if looked.is_due(rule.kind):
            changed += evaluate(rule)
            looked.told(rule.kind)
    return changed


def mail_about_issues() -> int:
    """Tell members who asked for it."""
    if not _mailed.is_due("mail"):
        return 0
    _mailed.told("mail")
    return mail_issues()


def forget_resolved_issues() -> int:
    """Issues that have been over for 90 days."""
    return forget_old_issues()


def purge_deleted_connections() -> int:
    """The data of deleted connections goes, for a second at a time."""
    return purge_deleted()


def forget_old_rows() -> int:
    """Events and idempotency keys after 30 days, ended runs and operations after 90, in small batches."""
    with scopes_disabled():
        forgotten = forget_old_events()
    with scopes_disabled():
        # Ids begin with the time they were made, in milliseconds, so the primary key finds the old ones.
        made = int((now() - timedelta(days=RUN_DAYS)).timestamp() * 1000)
        old = Q(pk__lt=UUID(int=made << 80))
        ids = list(
            SyncRun.objects.filter(old, status__in=("completed", "failed", "cancelled")).values_list("pk", flat=True)[
                :1000
            ]
        )
        if ids:
            forgotten += SyncRun.objects.filter(pk__in=ids).delete()[0]
        ended = Operation.objects.filter(old, status__in=("succeeded", "failed")).values_list("pk", flat=True)[:1000]
        forgotten += Operation.objects.filter(pk__in=list(ended)).delete()[0]
        keyed = int((now() - timedelta(days=KEY_DAYS)).timestamp() * 1000)
        spent = Operation.objects.filter(pk__lt=UUID(int=keyed << 80), idempotency_key__isnull=False)
        forgotten += Operation.objects.filter(pk__in=list(spent.values_list("pk", flat=True)[:1000])).update(
            idempotency_key=None
        )
    return forgotten
