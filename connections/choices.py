"""Words of this room, with label and badge colour side by side."""

from __future__ import annotations

from django.db import models


class ConnectionStatus(models.TextChoices):
    """Where a connection stands."""

    PENDING = "pending", "Pending"
    ACTIVE = "active", "Active"
    OFFLINE = "offline", "Offline"
    NEEDS_REAUTH = "needs_reauth", "Needs re-authorisation"
    PAUSED = "paused", "Paused"
    DISCONNECTED = "disconnected", "Disconnected"


CONNECTION_BADGES = {
    ConnectionStatus.PENDING: "info",
    ConnectionStatus.ACTIVE: "success",
    ConnectionStatus.OFFLINE: "warning",
    ConnectionStatus.NEEDS_REAUTH: "danger",
    ConnectionStatus.PAUSED: "",
    ConnectionStatus.DISCONNECTED: "",
}
# Syncs are claimed for these only. An offline one is tried again when its circuit lets a probe through.
MAY_SYNC = (ConnectionStatus.ACTIVE, ConnectionStatus.OFFLINE)


class OverriddenOperation(models.TextChoices):
    """What an administrator may forbid for one connection."""

    CREATE = "create", "Create"
    UPDATE = "update", "Update"
    DELETE = "delete", "Delete"
    ACTION = "action", "Action"


class Access(models.TextChoices):
    """What a customer lets us do with an entity."""

    READ = "read", "Read"
    READ_WRITE = "read_write", "Read and write"


class LinkStatus(models.TextChoices):
    """Where a link session stands. One that is open beyond its time is shown as expired."""

    OPEN = "open", "Open"
    STARTED = "started", "Started"
    FINISHED = "finished", "Finished"
    EXCHANGED = "exchanged", "Exchanged"
    CANCELLED = "cancelled", "Cancelled"
    EXPIRED = "expired", "Expired"


LINK_BADGES = {
    LinkStatus.OPEN: "info",
    LinkStatus.STARTED: "info",
    LinkStatus.FINISHED: "success",
    LinkStatus.EXCHANGED: "success",
    LinkStatus.CANCELLED: "",
    LinkStatus.EXPIRED: "warning",
}
