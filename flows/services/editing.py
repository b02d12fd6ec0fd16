"""Flows: made, changed and deleted. Each change is one transaction under the flow's row lock.

A draft is always a whole, valid definition; connections may still be missing. It runs once it is published
(`flows.services.publishing`).
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson
from django.db import IntegrityError, transaction

from connections.models import Connection
from core import ids
from core.api_errors import PreconditionFailedError
from core.errors import ConflictError, FieldError, ValidationFailedError
from flows.models import Flow, FlowHookMessage, FlowRun, StepRun
from flows.services.binding import check_bindings, kept_bindings
from flows.services.carrying import export_flow, read_export
from flows.services.drafts import read_draft
from flows.services.locking import lock_flow, tell_audit
from flows.services.publishing import pause, publish, resume
from workspaces.audit import changed_names
from workspaces.models import Workspace

__all__ = [
    "MOST_FLOWS", "change_flow", "create_flow", "delete_flow", "export_flow", "import_flow", "pause", "publish",
    "resume", "revision_of",
]  # fmt: skip

MOST_FLOWS = 500
CHANGEABLE = ("name", "description", "draft", "bindings")


@transaction.atomic
def create_flow(
    workspace: Workspace,
    environment: str,
    *,
    name: str,
    definition: Mapping[str, Any],
    description: str = "",
    bindings: Mapping[str, Any] | None = None,
    by: str,
    at: str = "/definition",
) -> Flow:
    """A new flow that does nothing yet: its draft is stored, to be bound and published.

    `at` is where the definition stood in what was sent. Errors: ValidationFailedError (pointers /name, /definition/..., /bindings/...), ConflictError FLOW_NAME_TAKEN,
    TOO_MANY_FLOWS.
    """
    flow = Flow(
        workspace=workspace,
        environment=environment,
        name=_clean_name(name),
        description=description[:500],
        draft=dict(definition),
        created_by=by[:160],
    )
    checked = read_draft(flow.draft, at=at)
    check_bindings(flow, checked, bindings or {})
    flow.bindings = _as_shown(bindings or {})
    _refuse_too_many(workspace, environment)
    _save_named(flow, force_insert=True)
    flow.refresh_from_db()
    tell_audit("created", flow, name=flow.name, environment=environment)
    return flow


def import_flow(workspace: Workspace, environment: str, export: Mapping[str, Any], *, by: str, **facts: Any) -> Flow:
    """A new flow from what `export_flow` answered, here or elsewhere. `facts` (name, description, bindings) replace its
    own. Errors: as of `create_flow`, and ValidationFailedError when it is no export."""
    return create_flow(workspace, environment, **{**read_export(export), **facts}, by=by, at="/export/definition")


@transaction.atomic
def change_flow(flow: Flow, *, by: str, if_revision: str | None = None, **changes: Any) -> Flow:
    """Change `name`, `description`, `definition` (the draft) or `bindings`; what is published runs on unchanged.

    A definition without new bindings keeps those whose names are still in it. With `if_revision` only what is still so
    is changed. Errors: as of `create_flow`; PreconditionFailedError.
    """
    locked = lock_flow(flow)
    if if_revision is not None and if_revision != revision_of(locked):
        raise PreconditionFailedError("Somebody changed the flow meanwhile. Read it again, and change what it is now.")
    before = {name: getattr(locked, name) for name in CHANGEABLE}
    wanted = {**before, **_wanted(locked, changes)}
    changed = changed_names(before, wanted)
    if changed:
        for name in changed:
            setattr(locked, name, wanted[name])
        _save_named(locked, update_fields=[*changed, "updated_at"])
        locked.refresh_from_db(fields=changed)  # as the database spells it, so that its revision is one
        tell_audit("changed", locked, changed=changed, by=by)
    return locked


@transaction.atomic
def delete_flow(flow: Flow, *, by: str) -> None:
    """End it, with its versions, runs, messages, secrets and address.

    Errors: ConflictError FLOW_HAS_RUNS while some are under way: what they began would be forgotten half-way.
    """
    locked = lock_flow(flow)
    runs = FlowRun.objects.filter(flow_id=locked.pk)
    # Whoever works on a run holds its row, and may want the flow's next: nobody is waited for.
    free = len(runs.select_for_update(skip_locked=True).order_by().values_list("pk", flat=True))
    if runs.unended().exists() or free != runs.count():
        raise ConflictError(
            "Runs of this flow are under way. Pause it and cancel them, or wait until they have ended.",
            code="FLOW_HAS_RUNS",
        )
    tell_audit("deleted", locked, name=locked.name, by=by)
    # Straight by SQL: there may be a hundred thousand, which the ORM would load to look for what hangs on them.
    for rows in (
        StepRun.objects.filter(run__flow_id=locked.pk),
        FlowHookMessage.objects.filter(flow_id=locked.pk),
        runs,
    ):
        rows._raw_delete(rows.db)
    locked.delete()


def revision_of(flow: Flow) -> str:
    """A word that differs whenever something that people edit does."""
    text = orjson.dumps([getattr(flow, name) for name in CHANGEABLE], option=orjson.OPT_SORT_KEYS)
    return sha256(text).hexdigest()[:20]


def _wanted(flow: Flow, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes as columns, checked."""
    wanted = {name: changes[name] for name in ("description",) if name in changes}
    if "name" in changes:
        wanted["name"] = _clean_name(changes["name"])
    if "definition" in changes:
        wanted["draft"] = dict(changes["definition"])
    if "definition" not in changes and "bindings" not in changes:
        return wanted
    definition = read_draft(wanted.get("draft", flow.draft))
    if "bindings" in changes:
        check_bindings(flow, definition, changes["bindings"])
        return {**wanted, "bindings": _as_shown(changes["bindings"])}
    return {**wanted, "bindings": kept_bindings(definition, flow.bindings)}


def _as_shown(bindings: Mapping[str, Any]) -> dict[str, str]:
    """One spelling of each id."""
    read = {name: ids.read(Connection.PREFIX, value) for name, value in bindings.items() if value}
    return {name: str(ids.show(Connection.PREFIX, value)) for name, value in read.items()}


def _clean_name(name: str) -> str:
    if not name.strip() or len(name) > 80:
        detail = "A flow needs a name of 1 to 80 characters."
        raise ValidationFailedError(detail, errors=(FieldError("/name", "INVALID_VALUE", detail),))
    return name.strip()


def _refuse_too_many(workspace: Workspace, environment: str) -> None:
    # One at a time, or two requests would both find the last place free.
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
    if Flow.objects.filter(workspace=workspace, environment=environment).count() >= MOST_FLOWS:
        raise ConflictError(
            f"There are {MOST_FLOWS} flows in the {environment} environment already, the most there can be. Delete one"
            " that nobody needs.",
            code="TOO_MANY_FLOWS",
        )


def _save_named(flow: Flow, **how: Any) -> None:
    """Errors: ConflictError FLOW_NAME_TAKEN."""
    try:
        with transaction.atomic():
            flow.save(**how)
    except IntegrityError as error:
        detail = f"Another flow of this environment is named {flow.name!r}; choose another name."
        errors = (FieldError("/name", "FLOW_NAME_TAKEN", detail),)
        raise ConflictError(detail, code="FLOW_NAME_TAKEN", errors=errors) from error
