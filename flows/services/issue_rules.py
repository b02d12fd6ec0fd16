"""Rules of issues about flows. Their subject is the flow's shown id: one issue of a kind for each flow."""

from __future__ import annotations

from core.admin_texts import plural
from core.errors import WhoMustAct
from syncs.choices import IssueKind
from syncs.services.issue_rules import Finding, Rule, Words

__all__ = ["RULES"]

LOOKED_AT, LEAST_RUNS, HOURS = 20, 5, 24
LATE_SECONDS = 900

_OF_FLOW = """f.workspace_id, f.environment, NULL::uuid AS connection_id,
    'flow_' || replace(f.id::text, '-', '') AS subject,"""
# Ids of runs begin with their time: the index leads to the latest of each flow, and no further than a day back.
_FIRST_ID = f"""(lpad(to_hex(floor(extract(epoch FROM statement_timestamp() - interval '{HOURS} hours') * 1000)::bigint),
    12, '0') || repeat('0', 20))::uuid"""
FLOW_FAILING = f"""SELECT {_OF_FLOW}
    jsonb_build_object('name', f.name, 'ended', runs.ended, 'failed', runs.failed, 'error', runs.error) AS facts
FROM flows_flow f CROSS JOIN LATERAL (
    SELECT count(*) AS ended, count(*) FILTER (WHERE r.status = 'failed') AS failed,
        (array_agg(r.error ORDER BY r.id DESC) FILTER (WHERE r.status = 'failed'))[1] AS error
    FROM (SELECT id, status, error FROM flows_flowrun WHERE flow_id = f.id AND id >= {_FIRST_ID}
        AND status IN ('succeeded', 'failed') AND NOT is_dry ORDER BY id DESC LIMIT {LOOKED_AT}) r) runs
WHERE f.version_id IS NOT NULL AND runs.ended >= {LEAST_RUNS} AND runs.failed * 2 >= runs.ended"""  # noqa: S608 (our own text)

# Times of the statement: an index cannot be searched for a time that moves.
FLOW_OVERDUE = f"""SELECT {_OF_FLOW} jsonb_build_object('name', f.name, 'runs', late.runs, 'due', late.due) AS facts
FROM (SELECT flow_id, sum(runs) AS runs, min(due) AS due FROM (
        SELECT r.flow_id, 1 AS runs, NULL::timestamptz AS due FROM flows_flowrun r
        WHERE r.overdue_at <= statement_timestamp() AND r.status IN ('queued', 'running', 'waiting') AND NOT r.is_dry
    UNION ALL SELECT s.id, 0, s.next_due_at FROM flows_flow s
        WHERE s.next_due_at <= statement_timestamp() - interval '{LATE_SECONDS} seconds' AND NOT s.is_paused
            AND s.trigger_kind = 'schedule' AND s.version_id IS NOT NULL) every GROUP BY flow_id) late
JOIN flows_flow f ON f.id = late.flow_id"""  # noqa: S608 (our own text)

FLOW_NEEDS_DECISION = f"""SELECT {_OF_FLOW} jsonb_build_object('name', f.name, 'runs', waiting.runs) AS facts
FROM (SELECT r.flow_id, count(*) AS runs FROM flows_flowrun r
    WHERE r.status = 'waiting' AND r.waits_for = 'person' AND NOT r.is_dry GROUP BY r.flow_id) waiting
JOIN flows_flow f ON f.id = waiting.flow_id"""  # noqa: S608 (our own text)

FLOW_TRIGGER_BROKEN = f"""SELECT {_OF_FLOW} jsonb_build_object('name', f.name, 'error', f.trigger_error) AS facts
FROM flows_flow f WHERE f.trigger_error IS NOT NULL AND NOT f.is_paused AND f.version_id IS NOT NULL"""  # noqa: S608 (our own text)


def _failing_words(found: Finding) -> Words:
    error = found.facts["error"] or {}
    failed, ended = int(found.facts["failed"]), int(found.facts["ended"])
    return Words(
        f"{failed} of the last {ended} runs of {found.facts['name']} failed",
        str(error.get("message") or f"Within the last {HOURS} hours."),
        str(error.get("action") or "Look at the failed runs of the flow."),
        WhoMustAct.DEVELOPER,
    )


def _overdue_words(found: Finding) -> Words:
    name, runs, due = found.facts["name"], int(found.facts["runs"]), found.facts["due"]
    if due is not None:
        title, told = f"{name} was not started by its schedule", f"It was due at {due[:16].replace('T', ' ')} UTC."
        action = "Look whether `manage.py tick` runs: it starts what is due."
    else:
        title, told = f"{plural(runs, 'run')} of {name} should have ended by now", "They are not lost: they go on."
        action = "Look at what they wait for, and whether a worker of the queue `flows` runs."
    return Words(title, told, action, WhoMustAct.OPERATOR)


def _decision_words(found: Finding) -> Words:
    runs = int(found.facts["runs"])
    return Words(
        f"{plural(runs, 'run')} of {found.facts['name']} {'waits' if runs == 1 else 'wait'} for a decision",
        "A request was sent whose outcome nobody can tell: it may have been done or not.",
        "Look there whether it was done, then say so on the run's page.",
        WhoMustAct.OPERATOR,
    )


def _broken_words(found: Finding) -> Words:
    error = found.facts["error"]
    return Words(
        f"The trigger of {found.facts['name']} cannot be judged",
        str(error.get("message") or ""),
        "Correct the flow and publish it. What could not be judged started no run.",
        WhoMustAct.DEVELOPER,
    )


_PAGE = ("flow", "flows/flow")
RULES = (
    Rule(IssueKind.FLOW_FAILING, FLOW_FAILING, _failing_words, page=_PAGE),
    Rule(IssueKind.FLOW_OVERDUE, FLOW_OVERDUE, _overdue_words, page=_PAGE),
    Rule(IssueKind.FLOW_NEEDS_DECISION, FLOW_NEEDS_DECISION, _decision_words, page=_PAGE),
    Rule(IssueKind.FLOW_TRIGGER_BROKEN, FLOW_TRIGGER_BROKEN, _broken_words, page=_PAGE),
)
