"""A whole flow tried out: a run with its log, in which writes tell what they would change and nothing is sent."""

from __future__ import annotations

from typing import Any, Literal

from django.db import transaction
from django_scopes import scope

from core import ids
from core.errors import ConflictError, NotFoundError
from core.json import utc_text
from flows.choices import TriggerKind
from flows.definitions.model import Definition
from flows.models import Flow, FlowRun, FlowVersion
from flows.services.binding import kept_bindings, refuse_unbound
from flows.services.drafts import read_draft
from flows.services.locking import lock_flow, tell_audit
from flows.services.publishing import digest_of
from flows.services.starting import Started, definition_of, start_run
from webhooks.services import clock

__all__ = ["Use", "chosen", "dry_run"]

Use = Literal["draft", "published"]


def chosen(flow: Flow, use: Use) -> tuple[Definition, dict[str, str]]:
    """The definition that is tried out, with its bindings.

    Errors: ValidationFailedError of a draft (pointers /definition/...); ConflictError FLOW_NOT_PUBLISHED.
    """
    if use == "draft":
        definition = read_draft(flow.draft)
        return definition, kept_bindings(definition, flow.bindings)
    version = published(flow)
    return definition_of(version), version.bindings


def published(flow: Flow) -> FlowVersion:
    """Errors: ConflictError FLOW_NOT_PUBLISHED."""
    if flow.version is None:
        raise ConflictError("This flow was never published. Publish it first.", code="FLOW_NOT_PUBLISHED")
    return flow.version


@transaction.atomic
def dry_run(
    flow: Flow, input: dict[str, Any] | None = None, *, by: str, use: Use, of_run: FlowRun | None = None
) -> Started:
    """Start a dry run on the input of a recorded run, or on `input`: what expressions see as `trigger`, completed by the
    definition's example. Of a draft it makes a version that is not published.

    Errors: as `chosen`; ValidationFailedError (pointers /bindings/...) of an unbound draft; NotFoundError for a run of
    another flow.
    """
    with scope(workspace=flow.workspace_id):
        if of_run is not None and of_run.flow_id != flow.pk:
            raise NotFoundError("The flow has no such run.", code="NO_SUCH_RUN")
        locked = lock_flow(flow)
        definition, _ = chosen(locked, use)
        version = _version_of_draft(locked, definition, by) if use == "draft" else published(locked)
        kind = TriggerKind(of_run.trigger if of_run is not None else definition.trigger.on)
        given = of_run.input if of_run is not None else trigger_of(definition, input or {})
        started = start_run(locked, trigger=kind, input=given, by=by, is_dry=True, version=version)
        tell_audit("dry_run_started", locked, run=str(ids.show(FlowRun.PREFIX, started.run.pk)), by=by)
        return started


def trigger_of(definition: Definition, given: dict[str, Any]) -> dict[str, Any]:
    """What expressions see as `trigger`: what is given, else the definition's example; a kind and a time it has always."""
    return {"kind": definition.trigger.on, "at": utc_text(clock.now()), **(given or definition.example)}


def _version_of_draft(flow: Flow, definition: Definition, by: str) -> FlowVersion:
    """The published version where the draft is that; else one without a number, made once for equal drafts."""
    refuse_unbound(flow, definition)
    bindings = kept_bindings(definition, flow.bindings)
    digest = digest_of(flow.draft, bindings)
    if flow.version is not None and flow.version.digest == digest:
        return flow.version
    known: FlowVersion | None = FlowVersion.objects.filter(flow=flow, number=None, digest=digest).first()
    if known is not None:
        return known
    version = FlowVersion(
        workspace_id=flow.workspace_id,
        flow=flow,
        number=None,
        definition=flow.draft,
        bindings=bindings,
        digest=digest,
        created_by=by[:160],
    )
    version.save(force_insert=True)
    return version
