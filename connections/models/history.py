"""What connections, settings of systems and overrides were, as the database copied it.

Health, budget and what the platform found out stand not among the fields, nor does anything secret.
"""

from __future__ import annotations

import pgtrigger
from django.db import models

from connections.models.connections import Connection
from connections.models.overrides import CapabilityOverride
from connections.models.systems import SystemSettings
from core.history import history_of
from core.scoping import scoped

CONNECTION_SETTINGS = (
    "workspace", "system", "environment", "name", "customer_reference", "metadata", "time_zone", "config",
    "ca_certificate", "client_certificate", "proxy", "page_size", "paused", "shared", "passthrough_shared",
)  # fmt: skip
SYSTEM_SETTINGS = ("workspace", "system", "environment", "enabled", "oauth_client_id", "oauth_hosts", "schedules")
OVERRIDE_SETTINGS = ("workspace", "connection", "entity", "operation", "field", "reason", "created_by")


# Of a connection that is purged nothing may stay, so its end leaves no copy.
NOT_PURGED = pgtrigger.Q(old__purge_requested_at__isnull=True)


class ConnectionHistory(history_of(Connection, CONNECTION_SETTINGS, keep_deleted=NOT_PURGED)):  # type: ignore[misc]
    """A connection as it was."""

    objects = scoped(models.QuerySet, workspace="workspace")


class SystemSettingsHistory(history_of(SystemSettings, SYSTEM_SETTINGS)):  # type: ignore[misc]
    """A workspace's settings of a system as they were."""

    objects = scoped(models.QuerySet, workspace="workspace")


class CapabilityOverrideHistory(history_of(CapabilityOverride, OVERRIDE_SETTINGS)):  # type: ignore[misc]
    """What was forbidden."""

    objects = scoped(models.QuerySet, workspace="workspace")
