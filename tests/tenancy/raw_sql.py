"""Every function with SQL of its own, found in the source, and the scope each demands.

django-scopes guards what goes through managers only. A function that writes SQL itself must therefore be told whose rows
it works on, and stands here with that argument.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("config", "console", "flows", "syncs", "webhooks", "connections", "workspaces", "core")
OPENERS = {"cursor", "raw", "extra", "RawSQL"}
"""What SQL is written with: a cursor (execute, executemany and copy need one), and what puts SQL into a queryset."""

WORKSPACE, CONNECTION, SCOPE, WORK_ROW = "workspace_id", "connection_id", "scope", "work row"
"""`work row`: one row by id and, where it writes, by fence: whoever claimed it acts for its workspace alone."""

DEMANDED: dict[str, tuple[str, tuple[str, ...]]] = {
    # function: (whose rows, the arguments that say so)
    "connections.services.budget.take_call": (CONNECTION, ("connection",)),
    "connections.services.health._is_open": (CONNECTION, ("connection",)),
    "connections.services.health.let_probe_through": (CONNECTION, ("connection_id", "workspace_id")),
    "connections.services.health.record_success": (CONNECTION, ("connection_id", "workspace_id")),
    "connections.services.polling._claim": (CONNECTION, ("connection_id",)),
    "syncs.services.issues._turn": (WORKSPACE, ("workspace_id",)),
    "core.leases.Lease.lock": (WORK_ROW, ("self",)),
    "core.leases.Lease.renew": (WORK_ROW, ("self",)),
    "core.leases.claim": (WORK_ROW, ("pk",)),
    "syncs.engine.checkpoint.advance": (WORK_ROW, ("lease",)),
    "syncs.engine.checkpoint.hold": (WORK_ROW, ("lease",)),
    "syncs.engine.outcomes._tell_if_all_synced": (CONNECTION, ("run",)),
    "syncs.engine.run._claim": (CONNECTION, ("run",)),
    "syncs.engine.store.bury": (SCOPE, ("scope",)),
    "syncs.engine.store.differing": (SCOPE, ("scope",)),
    "syncs.engine.store.forget_quarantine": (SCOPE, ("scope",)),
    "syncs.engine.store.is_empty": (SCOPE, ("scope",)),
    "syncs.engine.store.mark_missing": (SCOPE, ("scope",)),
    "syncs.engine.store.missed_before": (SCOPE, ("scope",)),
    "syncs.engine.store.missing": (SCOPE, ("scope",)),
    "syncs.engine.store.has_quarantined": (SCOPE, ("scope",)),
    "syncs.engine.store.own_writes": (SCOPE, ("scope",)),
    "syncs.engine.store.remember_shown": (WORK_ROW, ("run_id",)),
    "syncs.engine.store.quarantine": (SCOPE, ("scope",)),
    "syncs.engine.store.quarantined": (SCOPE, ("scope",)),
    "syncs.engine.store.release_quarantine": (SCOPE, ("scope",)),
    "syncs.engine.store.stored_raw": (SCOPE, ("scope",)),
    "syncs.engine.store.write_staged": (SCOPE, ("scope",)),
    "syncs.operations.outcomes.begin_sending": (WORK_ROW, ("lease",)),
    "flows.engine.admission.admit": ("one flow", ("flow_id",)),
    "flows.engine.store._cursor": ("the run's own feed", ("run",)),
    "flows.engine.store._progress": (WORK_ROW, ("lease",)),
    "flows.engine.store.take_up": (WORK_ROW, ("lease",)),
    "syncs.records.read_copy": (CONNECTION, ("workspace_id", "environment", "connection_id", "entity")),
    "syncs.records.read_records": (CONNECTION, ("workspace_id", "connection_id", "entity")),
    "webhooks.services.again._recover": ("one endpoint", ("endpoint_id",)),
    "webhooks.services.fanout._make": ("one endpoint", ("endpoint_id",)),
    "webhooks.services.fanout._oldest_after": ("one endpoint's workspace", ("behind",)),
    "webhooks.services.outcomes._count": ("endpoints by id", ("standings",)),
    "webhooks.services.outcomes._lock_deliveries": (WORK_ROW, ("outcomes",)),
    "webhooks.services.outcomes._lock_endpoints": ("endpoints by id", ("endpoint_ids",)),
    "webhooks.services.outcomes._note": (WORK_ROW, ("outcomes",)),
    "webhooks.services.outcomes._settle": (WORK_ROW, ("settled",)),
    "workspaces.data_keys._hold_current": (WORKSPACE, ("workspace_id",)),
    "workspaces.events._insert": (WORKSPACE, ("cause",)),
    "workspaces.reencryption._write": (WORKSPACE, ("workspace_id",)),
}
NO_SCOPE = {
    "console.activity.count_activity": "the tick serves all workspaces; makes a cursor for each feed",
    "console.activity._count_next": "the tick serves all workspaces; each feed is counted for its own workspace",
    "console.running.only_one": "a lock of the whole installation, on no row",
    "console.management.checkup._clock": "asks the database's clock",
    "core.health._migrations_are_applied": "asks whether the database answers",
    "core.leases.oldest_due_seconds": "one number over the whole installation, for the operator's health check",
    "core.leases.take_due_for_hint": "the tick serves all workspaces; it answers ids, which name nothing to anybody",
    "flows.engine.admission.flows_with_queues": "the tick serves all workspaces; it answers ids, which name nothing to anybody",
    "flows.services.following.hint_followers": "the tick serves all workspaces; each flow is compared with its own feed",
    "flows.services.stopping._ended": "the tick serves all workspaces; it answers ids, which name nothing to anybody",
    "flows.services.stopping._runs_of": "the tick serves all workspaces; each run is ended in the scope of its own",
    "flows.services.waking.wake_behind_operations": "the tick serves all workspaces; each run is compared with its own operation",
    "flows.services.waking.wake_next_feed": "the tick serves all workspaces; each run is compared with its own feed",
    "syncs.engine.outcomes.now": "asks the database's clock",
    "syncs.services.writes._turn": "asks the database's clock, behind a lock on no row",
    "syncs.engine.store.make_staging": "makes this session's empty table",
    "syncs.engine.store.stage": "fills this session's own table, which write_staged moves into one scope",
    "syncs.engine.store.unstage": "takes rows out of this session's own table",
    "syncs.states.as_expression": "an expression over the row of a queryset, which has its scope; refers to that row's own",
    "webhooks.services.claiming._claim": "workers serve all workspaces; each delivery goes to its own endpoint alone",
    "webhooks.services.claiming._lock_due": "workers serve all workspaces; it answers ids, which name nothing to anybody",
    "webhooks.services.claiming.something_is_due": "the tick serves all workspaces; it answers an id",
    "webhooks.services.clock.now": "asks the database's clock",
    "webhooks.services.fanout._lock_behind": "the tick serves all workspaces; each endpoint is compared with its own feed",
    "webhooks.services.keeping.forget_old_deliveries": "the tick serves all workspaces; by age alone",
    "webhooks.services.seats._ask": "a lock on no row",
    "webhooks.services.seats.has_free_seat": "counts locks on no row",
    "workspaces.tokens.checking._read": "who calls is not known yet: one token by its public part, told only with its secret",
    "workspaces.tokens.turns.after_others_of": "a lock on no row, named after a connection",
    "workspaces.tokens.turns.long_turn": "a lock on no row, named after a token",
    "workspaces.tokens.turns.only_one": "a lock on no row",
    "workspaces.tokens.turns.take_turn": "a lock on no row, named after a token",
    "syncs.services.issues._changes": "the tick serves all workspaces; each issue is written in the scope of its own",
    "syncs.ticks.resume_after_recovery": "the tick serves all workspaces; each sync is compared with its own connection",
    "syncs.ticks.notice_mapping_changes": "the tick serves all workspaces; each sync is compared with its own mappings",
}


@cache
def functions_with_sql() -> dict[str, ast.FunctionDef | ast.Module]:
    """Dotted name -> where SQL is written. A module's own level stands under the module's name."""
    found: dict[str, ast.FunctionDef | ast.Module] = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "migrations" not in path.parts:
                module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                found.update(_in_module(module, ast.parse(path.read_text())))
    return found


def _in_module(module: str, tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.Module]]:
    """Functions within functions count for the outermost, which has the arguments."""
    stack: list[tuple[str, ast.AST, ast.FunctionDef | ast.Module]] = [(module, tree, tree)]
    while stack:
        name, node, owner = stack.pop()
        for child in ast.iter_child_nodes(node):
            named = isinstance(child, ast.ClassDef | ast.FunctionDef) and isinstance(owner, ast.Module)
            inner = child if isinstance(child, ast.FunctionDef) and isinstance(owner, ast.Module) else owner
            stack.append((f"{name}.{child.name}" if named else name, child, inner))  # type: ignore[attr-defined]
            if isinstance(child, ast.Call) and _called(child.func) in OPENERS:
                yield name, owner


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def arguments_of(function: ast.FunctionDef) -> set[str]:
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return {argument.arg for argument in every}


def optional_arguments_of(function: ast.FunctionDef) -> set[str]:
    """Those with a default: a caller who forgets one is not told."""
    positional = [*function.args.posonlyargs, *function.args.args]
    named = positional[len(positional) - len(function.args.defaults) :]
    keyword = [a for a, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True) if default]
    return {argument.arg for argument in [*named, *keyword]}


def names_used_in(function: ast.FunctionDef) -> set[str]:
    return {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
