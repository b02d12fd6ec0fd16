"""Making, changing and pausing connections. What ends them, and what may come after, is `ending`'s."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from django.db import transaction
from django_scopes import scope

from connections.choices import ConnectionStatus
from connections.models import Connection
from connections.services.certificates import faults_of_pem
from connections.services.checking import check_connection
from connections.services.credentials import store_secrets, stored_names
from connections.services.opening import TLS_CLIENT_KEY, connector_of
from connections.services.setting_values import (
    check_values,
    clean_config,
    clean_secrets_or_references,
    faults_of_columns,
)
from connections.services.systems import demand_enabled
from core import ids
from core.errors import ConflictError, FieldError, ValidationFailedError
from core.json import pointer
from integrations.registry import get_connector
from integrations.sdk.connector import Connector
from workspaces import audit
from workspaces.models import Workspace

COLUMNS = ("name", "customer_reference", "metadata", "time_zone", "proxy", "page_size")
CERTIFICATES = ("ca_certificate", "client_certificate")
CHANGEABLE = frozenset({*COLUMNS, *CERTIFICATES, "client_key", "config"})
TAKES_A_CHECK = frozenset({"config", "time_zone", "proxy", "page_size", "client_key", *CERTIFICATES})

log = structlog.get_logger(__name__)


def create_connection(
    *,
    workspace: Workspace,
    system: str,
    name: str,
    config: Mapping[str, Any],
    secrets: Mapping[str, Any],
    environment: str,
    customer_reference: str = "",
    metadata: Mapping[str, Any] | None = None,
    time_zone: str = "UTC",
    ca_certificate: str = "",
    client_certificate: str = "",
    client_key: str = "",
    proxy: str = "",
    page_size: int | None = None,
    by: str,
    check: bool = True,
) -> Connection:
    """Store a new connection, then try it out.

    It is kept as `pending` with the error when the check fails, so that nothing typed is lost; it becomes active with
    the first check that goes well. Errors: ValidationFailedError with a pointer per value, NotFoundError for the system,
    BusinessRuleError SYSTEM_DISABLED.
    """
    kind = get_connector(system)
    with scope(workspace=workspace.pk):
        demand_enabled(workspace.pk, system, environment)
    columns = {
        "name": name,
        "customer_reference": customer_reference,
        "metadata": dict(metadata or {}),
        "time_zone": time_zone,
        "proxy": proxy,
        "page_size": page_size,
    }
    errors = [*faults_of_columns({**columns, "environment": environment})]
    cleaned, kept = clean_config(kind, config, errors), clean_secrets_or_references(kind, secrets, errors)
    errors += faults_of_pem(
        ca_certificate=ca_certificate, client_certificate=client_certificate, client_key=client_key or None
    )
    if client_certificate and not client_key:
        errors.append(FieldError("/client_key", "REQUIRED", "A client certificate needs its key."))
    check_values(errors)
    with scope(workspace=workspace.pk), transaction.atomic():
        connection: Connection = Connection.objects.create(
            workspace=workspace,
            system=system,
            environment=environment,
            config=cleaned,
            ca_certificate=ca_certificate,
            client_certificate=client_certificate,
            **{**columns, "name": name.strip()},
        )
        store_secrets(connection, {**kept, **({TLS_CLIENT_KEY: client_key} if client_key else {})})
        tell_audit("created", connection, system=system, environment=environment)
    log.info("connection_created", connection_id=str(connection.pk), system=system, by=by)
    if check:
        check_connection(connection, by=by)
    reread(connection)
    return connection


def update_connection(
    connection: Connection,
    *,
    changes: Mapping[str, Any] | None = None,
    secrets: Mapping[str, Any] | None = None,
    by: str,
    check: bool = True,
) -> Connection:
    """Change a connection; what stays away stays as it is. What matters for calls is tried out at once.

    `changes`: any of CHANGEABLE; in `config` and `metadata` each given key is set, or removed by None. `client_key` is
    replaced, or removed by "". `secrets`: new values by name, or {"ref": "vault:..."}; None removes an optional one.
    Another host, proxy or certificate authority demands every stored secret and reference again, for the old ones must
    not travel there.
    Errors: ValidationFailedError with a pointer per value (code SECRETS_REQUIRED for that demand), ConflictError once
    it is disconnected.
    """
    changes, secrets = dict(changes or {}), dict(secrets or {})
    if unknown := set(changes) - CHANGEABLE:
        raise TypeError(f"not changeable: {', '.join(sorted(unknown))}")
    changed = _names_of(changes, secrets)
    with scope(workspace=connection.workspace_id), transaction.atomic():
        locked = lock(connection)
        refuse_disconnected(locked)
        apply_changes(locked, changes, secrets)
        locked.save(update_fields=["config", *COLUMNS, *CERTIFICATES, "updated_at"])
        if changed:
            tell_audit("changed", locked, changed=changed)
    log.info("connection_changed", connection_id=str(connection.pk), by=by, changed=changed)
    if check and needs_check(changes, secrets):
        check_connection(locked, by=by)
    reread(connection)
    return connection


def needs_check(changes: Mapping[str, Any], secrets: Mapping[str, Any]) -> bool:
    """Whether a change touches what calls depend on."""
    return bool(secrets) or bool(TAKES_A_CHECK & set(changes))


def pause_connection(connection: Connection, *, by: str) -> Connection:
    """Stop syncs, not writes. Pausing twice changes nothing."""
    return _set_paused(connection, True, by)


def resume_connection(connection: Connection, *, by: str) -> Connection:
    """Let syncs go on; the status shows the health again."""
    return _set_paused(connection, False, by)


def _set_paused(connection: Connection, paused: bool, by: str) -> Connection:
    with scope(workspace=connection.workspace_id), transaction.atomic():
        locked = lock(connection)
        refuse_disconnected(locked)
        if locked.paused != paused:
            locked.paused = paused
            locked.save(update_fields=["paused", "updated_at"])
            tell_audit("paused" if paused else "resumed", locked)
            log.info("connection_paused" if paused else "connection_resumed", connection_id=str(locked.pk), by=by)
    reread(connection)
    return connection


def apply_changes(locked: Connection, changes: dict[str, Any], secrets: dict[str, Any]) -> None:
    """Judge the changes against the locked row, set its columns and store the secrets."""
    kind, stored = connector_of(locked), stored_names(locked)
    before = {name: getattr(locked, name) for name in ("config", "proxy", "ca_certificate")}
    for name in ("config", "metadata"):
        if isinstance(changes.get(name), dict):
            changes[name] = _patched(getattr(locked, name), changes[name])
    errors = [*faults_of_columns({name: changes[name] for name in COLUMNS if name in changes})]
    kept = clean_secrets_or_references(kind, secrets, errors, stored=stored)
    if "config" in changes:
        changes["config"] = clean_config(kind, changes["config"], errors)
    client_key = changes.pop("client_key", None)
    for name, value in changes.items():
        setattr(locked, name, value.strip() if name == "name" and isinstance(value, str) else value)
    errors += _faults_of_client(locked, client_key, has_key=TLS_CLIENT_KEY in stored, changed=set(changes))
    check_values(errors)
    if _leads_elsewhere(kind, before, locked):
        _demand_secrets(kind, stored, kept)
    if client_key is not None or not locked.client_certificate:
        kept[TLS_CLIENT_KEY] = client_key or None  # a key without its certificate is of no use
    store_secrets(locked, kept)


def _faults_of_client(
    locked: Connection, client_key: str | None, *, has_key: bool, changed: set[str]
) -> list[FieldError]:
    errors = [
        *faults_of_pem(
            ca_certificate=locked.ca_certificate,
            client_certificate=locked.client_certificate,
            client_key=client_key,
        )
    ]
    # A new certificate comes with its key: whether the stored one fits could be told only by opening it.
    keyless = client_key == "" or not has_key or "client_certificate" in changed
    if not errors and locked.client_certificate and not client_key and keyless:
        errors.append(FieldError("/client_key", "REQUIRED", "A client certificate needs its key."))
    return errors


def _leads_elsewhere(kind: type[Connector], before: Mapping[str, Any], locked: Connection) -> bool:
    """Whether calls would now go to, or be readable by, somebody else."""
    if before["proxy"] != locked.proxy or before["ca_certificate"] != locked.ca_certificate:
        return True
    hosts = [field for field in kind.config if field.is_host]
    return any(
        before["config"].get(field.name, field.default) != locked.config.get(field.name, field.default)
        for field in hosts
    )


def _demand_secrets(kind: type[Connector], stored: frozenset[str], kept: Mapping[str, Any]) -> None:
    missing = [field for field in kind.config if field.secret and field.name in stored and field.name not in kept]
    if missing:
        detail = (
            "The address, proxy or certificate authority changes: enter "
            f"{', '.join(field.title for field in missing)} again, for a stored secret is not sent to another place."
        )
        raise ValidationFailedError(
            detail,
            code="SECRETS_REQUIRED",
            errors=tuple(
                FieldError(pointer("secrets", field.name), "SECRETS_REQUIRED", f"Enter {field.title} again.")
                for field in missing
            ),
        )


def _patched(old: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The object with each key of the patch set, or removed where it is None."""
    return {name: value for name, value in {**old, **patch}.items() if value is not None}


def _names_of(changes: Mapping[str, Any], secrets: Mapping[str, Any]) -> list[str]:
    """What a change touches. The names of settings are the connector's; those within `metadata` are the customer's."""
    plain = [name for name in changes if name != "config"]
    config = [f"config.{name}" for name in changes.get("config") or ()]
    return sorted([*plain, *config, *(f"secrets.{name}" for name in secrets)])


def lock(connection: Connection) -> Connection:
    """The row as it is, locked for the caller's transaction."""
    locked: Connection = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
    return locked


def tell_audit(what: str, connection: Connection, **details: Any) -> None:
    """Record `connection.<what>`, in the caller's transaction."""
    about = ("connection", str(ids.show(Connection.PREFIX, connection.pk)))
    audit.record(f"connection.{what}", workspace_id=connection.workspace_id, about=about, details=details)


def refuse_disconnected(connection: Connection) -> None:
    if connection.health == ConnectionStatus.DISCONNECTED:
        raise ConflictError("The connection was ended; reconnect it first.", code="CONNECTION_DISCONNECTED")


def reread(connection: Connection) -> None:
    """The caller's object says what the database says."""
    with scope(workspace=connection.workspace_id):
        connection.refresh_from_db()
