"""Words of this room, with label and badge colour side by side."""

from __future__ import annotations

from django.db import models


class Environment(models.TextChoices):
    """Every token and connection is one or the other; they never meet."""

    LIVE = "live", "Live"
    TEST = "test", "Test"


class Role(models.TextChoices):
    """What a member may do. Owners manage members; auditors only read."""

    OWNER = "owner", "Owner"
    OPERATOR = "operator", "Operator"
    DEVELOPER = "developer", "Developer"
    AUDITOR = "auditor", "Auditor"


class TokenStatus(models.TextChoices):
    """Where a token stands."""

    ACTIVE = "active", "Active"
    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Revoked"


TOKEN_BADGES = {TokenStatus.ACTIVE: "success", TokenStatus.EXPIRED: "warning", TokenStatus.REVOKED: "danger"}


class Scope(models.TextChoices):
    """What a token may do. `write` of an area includes its `read`."""

    SYSTEMS_READ = "systems:read", "See the catalogue of systems and their settings"
    SYSTEMS_WRITE = "systems:write", "Change the settings of systems, such as OAuth clients"
    CONNECTIONS_READ = "connections:read", "See connections, their health and mappings"
    CONNECTIONS_WRITE = "connections:write", "Create and change connections and mappings"
    CAPABILITIES_WRITE = "capabilities:write", "Forbid writes for a connection, and allow them again"
    SYNCS_READ = "syncs:read", "See sync status, runs and errors"
    SYNCS_WRITE = "syncs:write", "Trigger, pause, cancel and review syncs"
    RECORDS_READ = "records:read", "Read unified records"
    RECORDS_WRITE = "records:write", "Create, change and delete records in the systems"
    OPERATIONS_READ = "operations:read", "See operations and their calls"
    OPERATIONS_WRITE = "operations:write", "Retry and resolve operations"
    EVENTS_READ = "events:read", "Read the event feed"
    WEBHOOKS_READ = "webhooks:read", "See webhook endpoints and deliveries"
    WEBHOOKS_WRITE = "webhooks:write", "Create and change webhook endpoints, send deliveries again"
    FLOWS_READ = "flows:read", "See flows, their runs and what each step did"
    FLOWS_WRITE = "flows:write", "Create, change and publish flows"
    FLOWS_RUN = "flows:run", "Start runs of flows, test, cancel and retry them; pause flows"
    TOKENS_WRITE = "tokens:write", "Create, rotate and revoke tokens"
    AUDIT_READ = "audit:read", "Read and export the audit log"
    PASSTHROUGH_READ = "passthrough:read", "Raw calls to the systems that read"
    PASSTHROUGH_WRITE = "passthrough:write", "Raw calls to the systems that may change anything there"


OFF_BY_DEFAULT = frozenset({Scope.PASSTHROUGH_READ, Scope.PASSTHROUGH_WRITE})
"""A token has these only when they are named, never as a part of "all"."""
USUAL_SCOPES = tuple(scope.value for scope in Scope if scope not in OFF_BY_DEFAULT)


class Overlap(models.IntegerChoices):
    """How long a token works on beside the one that replaces it, in seconds."""

    NONE = 0, "Not at all: the old token ends now"
    HOUR = 3600, "1 hour"
    DAY = 86_400, "24 hours"
    WEEK = 604_800, "7 days"


class EventType(models.TextChoices):
    """Everything the feed can say."""

    SYNC_COMPLETED = "sync.completed", "A sync run completed"
    SYNC_FAILED = "sync.failed", "A sync run failed"
    SYNC_NEEDS_REVIEW = "sync.needs_review", "A sync run holds deletions for review"
    INITIAL_SYNC_COMPLETED = "connection.initial_sync_completed", "Every entity of a connection was synced once"
    NEEDS_REAUTH = "connection.needs_reauth", "The customer must sign in again"
    ONLINE = "connection.online", "The system answers again"
    OFFLINE = "connection.offline", "The system does not answer"
    DISCONNECTED = "connection.disconnected", "The connection was ended"
    OPERATION_SUCCEEDED = "operation.succeeded", "A write was done upstream"
    OPERATION_FAILED = "operation.failed", "A write was refused or given up"
    OPERATION_NEEDS_REVIEW = "operation.needs_review", "A person must say how a write ended"
    FLOW_SUCCEEDED = "flow.succeeded", "A run of a flow succeeded"
    FLOW_FAILED = "flow.failed", "A run of a flow failed"
    ISSUE_OPENED = "issue.opened", "Something needs somebody's attention"
    ISSUE_RESOLVED = "issue.resolved", "An issue is over"
    ENDPOINT_DISABLED = "webhook_endpoint.disabled", "A webhook endpoint was disabled"
    DELIVERY_EXHAUSTED = "webhook_delivery.exhausted", "A webhook delivery was given up"
    RECORD_CREATED = "record.created", "Records are new in the copy"
    RECORD_UPDATED = "record.updated", "Records changed or came back"
    RECORD_DELETED = "record.deleted", "Records are gone at the source"


class ActorKind(models.TextChoices):
    """What kind of somebody did it."""

    PERSON = "person", "Person"
    TOKEN = "token", "Token"
    CUSTOMER = "customer", "Customer on a connect page"
    COMMAND = "command", "Command"
    PLATFORM = "platform", "The platform itself"


class AuditOutcome(models.TextChoices):
    """How it ended."""

    DONE = "done", "Done"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Failed"


AUDIT_BADGES = {AuditOutcome.DONE: "success", AuditOutcome.REFUSED: "warning", AuditOutcome.FAILED: "danger"}
