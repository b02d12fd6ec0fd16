"""What the card of a declaration says beside what the system does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations.sdk.unmapping import Unmapping
from syncs.operations.comparing import diff
from tests.contract.writer import Outcome, Stage, Writer

ADD, REMOVE = "add", "remove"


def trials(unmapping: Unmapping) -> list[str]:
    """Everything an update could send: fields, fields of lines, and of each list a line more and one less."""
    found: list[str] = []
    for name, field in unmapping.fields.items():
        if field.is_list and field.items is not None:
            found += [f"{name}:{ADD}", f"{name}:{REMOVE}", *(f"{name}.{inner}" for inner in field.items.fields)]
        else:
            found.append(name)
    return found


def wished_values(stage: Stage, entity: str, trial: str, before: Mapping[str, Any]) -> dict[str, Any]:
    """The values of one trial for an object; {} when it has no line to try it on."""
    name, _, what = trial.partition(":")
    whole, _, inner = name.partition(".")
    # A list whose entries have no id of their own can only be added to.
    lines = [line for line in before.get(whole) or () if "id" in line] if what or inner else None
    if what == ADD:
        return {whole: [stage.wish(entity, whole, before)]}
    if what == REMOVE:
        return {whole: [{"id": lines[-1]["id"], "_delete": True}]} if lines else {}
    if inner:
        return {whole: [{"id": lines[0]["id"], inner: stage.wish(entity, name, lines[0])}]} if lines else {}
    return {name: stage.wish(entity, name, before)}


def update_mismatches(writer: Writer, stage: Stage, stricter: frozenset[str] = frozenset()) -> list[str]:
    """Each field of an update, sent in each status; of those in `stricter` only that they are refused as declared."""
    found: list[str] = []
    entity = writer.spec.name
    if not writer.card.write("update"):
        return []
    for status in stage.statuses(entity):
        remote_id, seen = "", None
        for trial in trials(writer.unmapping):
            remote_id = remote_id or stage.make(entity, status)
            seen = seen or writer.read(remote_id)
            before = seen[1]
            assert before["remote_status"] == status, f"the stage gave {entity} {remote_id} as {status}"
            values = wished_values(stage, entity, trial, before)
            if not values:
                continue
            assert trial.endswith((ADD, REMOVE)) or diff(writer.spec.by_name, values, before), f"{trial} wishes nothing"
            denial = writer.card.field("update", trial.partition(":")[0], status)
            if denial and f"{entity} {trial}" in stricter:
                continue
            done = writer.update(remote_id, values, seen)
            found += _compared(f"{entity} {status} update {trial}", denial, done, values)
            if done.after is None or done.after["remote_status"] != status:
                remote_id, seen = "", None
            else:
                seen = done.decoded, dict(done.after)
    return found


def action_mismatches(writer: Writer, stage: Stage) -> list[str]:
    """Each action, sent in each status. Where it leads to the status the object is in already, nothing is judged."""
    found: list[str] = []
    entity = writer.spec.name
    for status in stage.statuses(entity):
        remote_id, seen = "", None
        for action in writer.resource.actions:
            denial = writer.card.action(action.name, status)
            if denial and status in action.to_status:
                continue
            remote_id = remote_id or stage.make(entity, status)
            stage.prepare(entity, action.name, remote_id)
            seen = seen or writer.read(remote_id)
            parameters = stage.parameters(entity, action.name)
            done = writer.act(remote_id, action.name, parameters, seen)
            found += _compared(f"{entity} {status} {action.name}", denial, done, parameters)
            lands = str((done.after or {}).get("remote_status"))
            if done.taken and action.to_status and lands not in action.to_status:
                found.append(f"{entity} {status} {action.name}: stands at {lands}, declared {action.to_status}")
            seen = None  # what is refused may have left traces
            if done.taken or lands != status:
                remote_id = ""
    return found


def delete_mismatches(writer: Writer, stage: Stage) -> list[str]:
    """A delete in each status, and what is there afterwards."""
    found: list[str] = []
    entity = writer.spec.name
    if not any(write.operation == "delete" for write in writer.resource.writes):
        return []
    for status in stage.statuses(entity):
        denial = writer.card.operation("delete", status)
        done = writer.delete(stage.make(entity, status))
        found += _compared(f"{entity} {status} delete", denial, done, {})
        write = writer.card.write("delete", status)
        kind = write.kind if write else ""
        is_gone = done.after is None
        if done.taken and denial is None and is_gone != (kind in ("", "hard", "soft")):
            found.append(f"{entity} {status} delete: declared {kind or 'hard'}, {'gone' if is_gone else 'still there'}")
        if done.taken and denial is None and done.after is not None and done.after["remote_status"] == status:
            found.append(f"{entity} {status} delete: declared {kind}, its status stays")
    return found


def _compared(what: str, denial: Any, done: Outcome, values: Mapping[str, Any]) -> list[str]:
    if done.taken and denial:
        return [f"{what} {values}: declared refused ({denial.detail}), the system does it"]
    if not done.taken and not denial:
        why = f"{done.error} {done.error.source or done.error.errors}" if done.error else f"not applied: {done.missed}"
        return [f"{what} {values}: declared possible, {why}"]
    return []
