"""How a workspace uses a system: whether customers may connect it, its OAuth client, schedules of new connections."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from connections.models import SystemSecret, SystemSettings
from connections.services.setting_values import check_values
from core.errors import BusinessRuleError, FieldError
from core.json import pointer
from integrations.registry import get_connector
from integrations.sdk.connector import Connector
from workspaces import audit
from workspaces.models import Workspace
from workspaces.secrets import seal

CLIENT_SECRET = "oauth_client_secret"  # noqa: S105  the name of it
CHANGEABLE = frozenset({"enabled", "oauth_client_id", CLIENT_SECRET, "oauth_hosts", "schedules"})
MAX_HOSTS = 100
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?)(:[0-9]{1,5})?")
SCHEDULE_BOUNDS = {"interval_seconds": (60, 86_400), "full_interval_seconds": (300, 30 * 86_400)}
MAX_CLIENT_ID, MAX_CLIENT_SECRET = 300, 20_000


def redirect_uri() -> str:
    """What to register with the system's maker as the address that sign-ins return to."""
    return f"{settings.PUBLIC_URL.rstrip('/')}/link/oauth/callback"


def system_settings(workspace_id: UUID, system: str, environment: str) -> SystemSettings:
    """The settings as they stand; an unsaved row with the defaults where nobody set anything."""
    rows = SystemSettings.objects.filter(workspace_id=workspace_id, system=system, environment=environment)
    found: SystemSettings | None = rows.first()
    return found or SystemSettings(workspace_id=workspace_id, system=system, environment=environment)


def disabled_systems(workspace_id: UUID, environment: str) -> frozenset[str]:
    """Slugs of the systems that customers of the workspace may not connect."""
    rows = SystemSettings.objects.filter(workspace_id=workspace_id, environment=environment, enabled=False)
    return frozenset(rows.values_list("system", flat=True))


def demand_enabled(workspace_id: UUID, system: str, environment: str) -> None:
    """BusinessRuleError SYSTEM_DISABLED when the workspace does not let the system be connected."""
    if system in disabled_systems(workspace_id, environment):
        raise BusinessRuleError(
            f"{get_connector(system).title} is switched off for {environment} connections of this workspace. Switch it on"
            " in the system's settings.",
            code="SYSTEM_DISABLED",
        )


def schedule_of(workspace_id: UUID, system: str, environment: str) -> dict[str, dict[str, Any]]:
    """Entity -> {interval_seconds, full_interval_seconds, enabled} for new connections, as far as they were set."""
    return dict(system_settings(workspace_id, system, environment).schedules)


def has_client_secret(row: SystemSettings) -> bool:
    """Whether an OAuth client secret is stored."""
    return not row._state.adding and row.secrets.filter(name=CLIENT_SECRET).exists()


def update_system_settings(
    *, workspace: Workspace, system: str, environment: str, changes: Mapping[str, Any], by: str
) -> SystemSettings:
    """Set any of CHANGEABLE; what stays away stays as it is, a client secret of None or "" is removed.

    `schedules` is replaced as a whole. Errors: NotFoundError for the system, ValidationFailedError with pointers.
    """
    kind = get_connector(system)
    if unknown := set(changes) - CHANGEABLE:
        raise TypeError(f"not changeable: {', '.join(sorted(unknown))}")
    check_values([*_faults(kind, changes)])
    with transaction.atomic():
        key = {"workspace_id": workspace.pk, "system": system, "environment": environment}
        SystemSettings.objects.bulk_create([SystemSettings(**key)], ignore_conflicts=True)
        row: SystemSettings = SystemSettings.objects.select_for_update(no_key=True).get(**key)
        for name in ("enabled", "oauth_client_id", "oauth_hosts", "schedules"):
            if name in changes:
                setattr(row, name, changes[name])
        row.save()
        if CLIENT_SECRET in changes:
            _store_secret(row, changes[CLIENT_SECRET])
        audit.record(
            "system_settings.changed",
            workspace_id=workspace.pk,
            about=("system", system),
            details={"environment": environment, "changed": sorted(changes), "by": by},
        )
    return row


def _store_secret(row: SystemSettings, clear: str | None) -> None:
    stored = row.secrets.filter(name=CLIENT_SECRET).first()
    if not clear:
        if stored is not None:
            stored.delete()
        return
    stored = stored or SystemSecret(workspace_id=row.workspace_id, settings=row, name=CLIENT_SECRET)
    seal(stored, clear)
    stored.save()


def _faults(kind: type[Connector], changes: Mapping[str, Any]) -> Iterator[FieldError]:
    if not isinstance(changes.get("enabled", True), bool):
        yield FieldError("/enabled", "INVALID", "It must be true or false.")
    client_id = changes.get("oauth_client_id", "")
    if not isinstance(client_id, str) or len(client_id) > MAX_CLIENT_ID or not client_id.isprintable():
        yield FieldError("/oauth_client_id", "INVALID", f"It must be one line of at most {MAX_CLIENT_ID} characters.")
    secret = changes.get(CLIENT_SECRET) or ""
    if not isinstance(secret, str) or len(secret) > MAX_CLIENT_SECRET or "\x00" in secret:
        yield FieldError(pointer(CLIENT_SECRET), "INVALID", "It is too long or no text.")
    yield from _faults_of_hosts(changes.get("oauth_hosts", []))
    yield from _faults_of_schedules(kind, changes.get("schedules", {}))


def _faults_of_hosts(hosts: Any) -> Iterator[FieldError]:
    if not isinstance(hosts, list) or len(hosts) > MAX_HOSTS:
        yield FieldError("/oauth_hosts", "INVALID", f"It must be a list of at most {MAX_HOSTS} hosts.")
        return
    for index, host in enumerate(hosts):
        if not isinstance(host, str) or not _HOST.fullmatch(host):
            at = pointer("oauth_hosts", str(index))
            yield FieldError(at, "INVALID", "Name a host in lower case, with its port if it is not the usual one.")


def _faults_of_schedules(kind: type[Connector], schedules: Any) -> Iterator[FieldError]:
    if not isinstance(schedules, dict):
        yield FieldError("/schedules", "INVALID", "It must be an object: entity to its schedule.")
        return
    for entity, schedule in schedules.items():
        at = pointer("schedules", str(entity)[:60])
        if entity not in kind.resources():
            yield FieldError(at, "UNKNOWN_ENTITY", f"{kind.title} has {', '.join(kind.resources())}.")
        elif not isinstance(schedule, dict) or set(schedule) - {*SCHEDULE_BOUNDS, "enabled"}:
            yield FieldError(at, "INVALID", f"It may hold enabled, {' and '.join(SCHEDULE_BOUNDS)}.")
        else:
            yield from _faults_of_schedule(at, schedule)


def _faults_of_schedule(at: str, schedule: Mapping[str, Any]) -> Iterator[FieldError]:
    for name, (low, high) in SCHEDULE_BOUNDS.items():
        value = schedule.get(name, low)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            yield FieldError(f"{at}/{name}", "INVALID", f"It must be a whole number of seconds from {low} to {high}.")
    if not isinstance(schedule.get("enabled", True), bool):
        yield FieldError(f"{at}/enabled", "INVALID", "It must be true or false.")
