"""Issues: found by rules, told once, over when they are over, and acknowledged by people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.db import connection as database
from django.db import transaction
from django.db.models.functions import Now
from django_scopes import scopes_disabled

from connections.models import Connection
from connections.services import disconnect_connection, pause_connection, resume_connection
from core.ids import new_id, show
from syncs import ticks
from syncs.models import Issue, Sync, SyncRun
from syncs.services.issue_rules import RULES
from syncs.services.issues import all_rules, evaluate_all, forget_old_issues
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.issue_stage import (  # noqa: F401
    REFUSED,
    ago,
    change,
    connection,
    disabled,
    endpoint,
    needs_reauth,
    open_issues,
    operation,
    unknown_write,
    workspace,
)
from tests.syncing import sync_of
from tests.tenants import api, make_person, make_token, signed_in
from webhooks.models import Delivery, WebhookEndpoint
from workspaces.models import AuditEvent, Event, Workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]


def kinds() -> list[tuple[str, str]]:
    return [(issue.kind, issue.subject) for issue in open_issues()]


def told() -> list[tuple[str, str]]:
    with scopes_disabled():
        bodies = [orjson.loads(body) for body in Event.objects.order_by("created_at").values_list("body", flat=True)]
    return [(body["type"], body["data"]["kind"]) for body in bodies if body["type"].startswith("issue.")]


def runs(sync: Sync, count: int, status: str, **values: Any) -> None:
    with scopes_disabled():
        SyncRun.objects.bulk_create(
            SyncRun(
                workspace_id=sync.workspace_id,
                connection_id=sync.connection_id,
                sync=sync,
                mode="incremental",
                status=status,
                error={**REFUSED, "message": "Boom.", "who_must_act": "source"} if status == "failed" else None,
                **values,
            )
            for _ in range(count)
        )


def exhausted(where: WebhookEndpoint, **values: Any) -> Delivery:
    row = Delivery(
        workspace_id=where.workspace_id,
        endpoint=where,
        event_id=new_id(),
        event_type="sync.completed",
        position=1,
        status="exhausted",
        due_at=None,
        **values,
    )
    row.save(force_insert=True)
    return row


# --- each rule --------------------------------------------------------------------------------------------------------


def offline(connection: Connection) -> Callable[[], None]:
    change(connection, health="offline", offline_since=ago(minutes=61), error={**REFUSED, "who_must_act": "source"})
    return lambda: change(connection, health="active", offline_since=None, error=None)


def secret(connection: Connection) -> Callable[[], None]:
    change(connection, error={**REFUSED, "code": "KEY_MISSING"})
    return lambda: change(connection, error=None)


def held_run(connection: Connection) -> Callable[[], None]:
    sync = sync_of(connection)
    runs(sync, 1, "needs_review")

    def decided() -> None:
        with scopes_disabled():
            SyncRun.objects.update(status="completed")

    return decided


def overdue(connection: Connection) -> Callable[[], None]:
    sync = sync_of(connection)
    change(sync, last_success_at=ago(seconds=2701))
    return lambda: change(sync, last_success_at=Now())


def failing(connection: Connection) -> Callable[[], None]:
    sync = sync_of(connection)
    change(sync, failed_at=Now(), last_success_at=Now())
    runs(sync, 3, "failed")
    runs(sync, 2, "completed")
    operation(connection, "succeeded")
    return lambda: runs(sync, 1, "completed")


def given_up(connection: Connection) -> Callable[[], None]:
    row = exhausted(endpoint(connection.workspace))
    return lambda: change(row, status="delivered")


CASES = [
    (needs_reauth, "needs_reauth", "customer"),
    (offline, "offline", "source"),
    (secret, "secret_unreadable", "operator"),
    (held_run, "needs_review", "operator"),
    (unknown_write, "needs_review", "operator"),
    (overdue, "sync_overdue", "operator"),
    (failing, "calls_failing", "source"),
    (disabled, "endpoint_disabled", "developer"),
    (given_up, "delivery_exhausted", "developer"),
]


def test_every_rule_has_a_case() -> None:
    assert {kind for _, kind, _ in CASES} == {rule.kind for rule in RULES}


@pytest.mark.parametrize(("case", "kind", "who"), CASES, ids=[case.__name__ for case, *_ in CASES])
def test_rule_opens_once_resolves_once_and_reopens_as_another(
    connection: Connection, case: Callable[[Connection], Callable[[], None]], kind: str, who: str
) -> None:
    end = case(connection)
    assert (evaluate_all(), evaluate_all()) == (1, 0)
    (issue,) = open_issues()
    assert (issue.kind, issue.who_must_act) == (kind, who)
    assert issue.title and issue.detail and issue.action.endswith(".")
    assert told() == [("issue.opened", kind)]

    end()
    assert (evaluate_all(), evaluate_all()) == (1, 0)
    assert open_issues() == [] and told() == [("issue.opened", kind), ("issue.resolved", kind)]


def test_same_trouble_later_is_another_issue(connection: Connection) -> None:
    needs_reauth(connection)()
    for _ in range(2):
        end = needs_reauth(connection)
        evaluate_all()
        end()
        evaluate_all()
    with scopes_disabled():
        assert Issue.objects.count() == 2
    assert [name for name, _ in told()] == ["issue.opened", "issue.resolved"] * 2


# --- the edges of rules -----------------------------------------------------------------------------------------------


def test_offline_for_less_than_an_hour_is_no_issue(connection: Connection) -> None:
    change(connection, health="offline", offline_since=ago(minutes=59))
    assert evaluate_all() == 0


@pytest.mark.parametrize(
    ("failed", "good", "is_found"), [(2, 2, False), (3, 2, True), (2, 3, False), (3, 3, True), (4, 5, False)]
)
def test_calls_failing_takes_five_and_half(connection: Connection, failed: int, good: int, is_found: bool) -> None:
    sync = sync_of(connection)
    change(sync, failed_at=Now(), last_success_at=Now())
    runs(sync, failed, "failed")
    runs(sync, good, "completed")
    runs(sync, 5, "cancelled")
    runs(sync, 9, "failed", created_at=ago(hours=25))
    evaluate_all()
    assert kinds() == ([("calls_failing", "")] if is_found else [])


def test_operations_alone_count_as_calls(connection: Connection) -> None:
    for status in ("failed", "failed", "failed", "succeeded", "succeeded", "queued"):
        operation(connection, status)
    evaluate_all()
    assert kinds() == [("calls_failing", "")]
    assert open_issues()[0].title == "3 of 5 runs and operations of Plant 1 failed"


@pytest.mark.parametrize(
    ("interval", "age", "is_found"), [(900, 2690, False), (900, 2710, True), (60, 890, False), (60, 910, True)]
)
def test_overdue_takes_three_intervals_and_a_quarter_of_an_hour(
    connection: Connection, interval: int, age: int, is_found: bool
) -> None:
    sync = sync_of(connection)
    change(sync, interval_seconds=interval, last_success_at=ago(seconds=age))
    evaluate_all()
    assert kinds() == ([("sync_overdue", "purchase_order")] if is_found else [])


@pytest.mark.parametrize("what", ["sync paused", "connection paused", "not shared", "disabled", "offline", "walking"])
def test_what_is_not_overdue(connection: Connection, what: str) -> None:
    sync = sync_of(connection)
    change(sync, last_success_at=ago(days=1))
    if what == "walking":
        runs(sync, 1, "running", lease_until=Now(), page_no=3)
        with scopes_disabled():
            SyncRun.objects.update(mode="full")
    changes: dict[str, tuple[Any, dict[str, Any]]] = {
        "sync paused": (sync, {"paused": True}),
        "connection paused": (connection, {"paused": True}),
        "not shared": (connection, {"shared": {"vendor": "read"}}),
        "disabled": (sync, {"enabled": False}),
        "offline": (connection, {"health": "offline", "offline_since": Now()}),
    }
    if what in changes:
        change(changes[what][0], **changes[what][1])
    assert evaluate_all() == 0


def test_resumed_connection_gets_the_whole_time_again(connection: Connection) -> None:
    sync = sync_of(connection)
    with scopes_disabled():
        pause_connection(connection, by="ann")
        change(sync, last_success_at=ago(days=2))
        resume_connection(connection, by="ann")
    assert evaluate_all() == 0


@pytest.mark.parametrize(("minutes", "is_found"), [(14, False), (16, True)])
def test_resumed_sync_is_overdue_after_the_whole_time(connection: Connection, minutes: int, is_found: bool) -> None:
    sync = sync_of(connection)
    change(sync, interval_seconds=60, last_success_at=ago(days=2))
    resumed = {"action": "sync.resumed", "object_id": show("syn", sync.pk), "actor": "ann", "actor_kind": "person"}
    with scopes_disabled():
        AuditEvent.objects.create(workspace_id=sync.workspace_id, at=ago(minutes=minutes), **resumed)
    evaluate_all()
    assert kinds() == ([("sync_overdue", "purchase_order")] if is_found else [])


def test_end_of_a_connection_ends_its_issues(connection: Connection) -> None:
    needs_reauth(connection), overdue(connection), unknown_write(connection)
    evaluate_all()
    assert kinds() == [("needs_reauth", ""), ("needs_review", "purchase_order")]
    connection.refresh_from_db()
    with scopes_disabled():
        disconnect_connection(connection, by="ann")
    evaluate_all()
    assert kinds() == []


def test_messages_given_up_long_ago_or_by_hand_are_no_issue(workspace: Workspace) -> None:
    where = endpoint(workspace)
    exhausted(where, is_manual=True)
    change(exhausted(where), created_at=ago(days=8))
    assert evaluate_all() == 0


def test_two_tickers_at_once_open_one(connection: Connection) -> None:
    import threading

    needs_reauth(connection)
    gate = threading.Barrier(4)

    def look() -> None:
        gate.wait(10)
        evaluate_all()
        database.close()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert kinds() == [("needs_reauth", "")] and told() == [("issue.opened", "needs_reauth")]


def test_tick_looks_seldom(connection: Connection, monkeypatch: Any) -> None:
    for seldom in ticks._looked.values():
        seldom.forget()
    needs_reauth(connection)
    assert (ticks.watch_issues(), ticks.watch_issues()) == (1, 0)
    needs_reauth(connection)()
    assert ticks.watch_issues() == 0, "not within half a minute"


def test_old_issues_are_forgotten(connection: Connection) -> None:
    end = needs_reauth(connection)
    evaluate_all()
    end()
    evaluate_all()
    assert forget_old_issues() == 0
    with scopes_disabled():
        Issue.objects.update(resolved_at=ago(days=91))
    assert forget_old_issues() == 1


def test_overdue_reads_active_runs_once_and_finds_late_events_by_their_ids(
    erp_server: TestErpServer, connection: Connection
) -> None:
    """With 400 runs under way and 50,000 syncs, going through all of them for each sync took 10 seconds."""
    for one in (
        connection,
        *(connect(erp_server, workspace=connection.workspace, name=f"Plant {n}") for n in range(5)),
    ):
        overdue(one)
    (rule,) = (rule for rule in RULES if rule.kind == "sync_overdue")
    used = {"action": "credential.used", "object_id": show("con", connection.pk), "actor": "platform"}
    with scopes_disabled():
        AuditEvent.objects.bulk_create(
            AuditEvent(id=UUID(int=number), workspace_id=connection.workspace_id, **used) for number in range(5000)
        )
    with transaction.atomic(), database.cursor() as cursor:
        cursor.execute("ANALYZE workspaces_auditevent")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {rule.sql}")
        nodes = list(nodes_of(cursor.fetchone()[0][0]["Plan"]))
    assert nodes[0]["Actual Rows"] == 6
    walks = [node for node in nodes if node.get("Alias") == "r_1"]
    assert [node["Actual Loops"] for node in walks] == [1]
    (late,) = (node for node in nodes if node.get("Alias") == "a")
    assert "id >= " in late["Index Cond"]  # which of the two indexes leads there is PostgreSQL's to say


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes_of(inner)


def test_rule_is_looked_at_by_one_statement(connection: Connection) -> None:
    from django.test.utils import CaptureQueriesContext

    needs_reauth(connection)
    evaluate_all()
    with CaptureQueriesContext(database) as queries:
        assert evaluate_all() == 0
    assert len(queries) == len(all_rules())


def test_rules_stay_quick_with_many_connections(erp_server: TestErpServer, connection: Connection) -> None:
    """The number of statements does not depend on the number of troubles of one workspace."""
    from django.test.utils import CaptureQueriesContext

    def counted() -> int:
        with CaptureQueriesContext(database) as queries:
            evaluate_all()
        return len(queries)

    needs_reauth(connection)
    few = counted()
    needs_reauth(connection)()
    evaluate_all()
    more = [connect(erp_server, workspace=connection.workspace, name=f"Plant {n}") for n in range(5)]
    for one in more:
        needs_reauth(one)
    assert counted() - few == 4, "one statement for each event alone"


# --- API --------------------------------------------------------------------------------------------------------------


def test_api_lists_shows_and_acknowledges(connection: Connection, workspace: Workspace) -> None:
    needs_reauth(connection), disabled(connection)
    evaluate_all()
    client = api(make_token(workspace)[1])
    page = client.get("/api/v1/issues").json()
    assert [(issue["kind"], issue["state"]) for issue in page["data"]] == [
        ("endpoint_disabled", "open"),
        ("needs_reauth", "open"),
    ]
    mine = client.get("/api/v1/issues", {"connection": f"con_{connection.pk.hex}"}).json()["data"]
    assert mine == page["data"][1:] == client.get("/api/v1/issues", {"kind": "needs_reauth"}).json()["data"]
    assert mine[0]["who_must_act"] == "customer" and mine[0]["link"].endswith(f"{connection.pk}/change/")
    first = client.get("/api/v1/issues", {"limit": 1}).json()
    second = client.get("/api/v1/issues", {"limit": 1, "cursor": first["next_cursor"]}).json()
    assert first["data"] + second["data"] == page["data"] and second["next_cursor"] is None

    address = f"/api/v1/issues/{mine[0]['id']}"
    assert client.get(address).json() == mine[0]
    shown = client.post(f"{address}/acknowledge").json()
    assert shown["acknowledged_by"].startswith("token ") and shown["state"] == "open"
    assert client.post(f"{address}/acknowledge").json() == shown, "twice is once"
    with scopes_disabled():
        assert AuditEvent.objects.filter(action="issue.acknowledged").count() == 1

    needs_reauth(connection)()
    evaluate_all()
    assert client.get(address).json()["state"] == "resolved"
    assert [i["kind"] for i in client.get("/api/v1/issues", {"state": "open"}).json()["data"]] == ["endpoint_disabled"]
    assert [i["kind"] for i in client.get("/api/v1/issues", {"state": "resolved"}).json()["data"]] == ["needs_reauth"]


def test_api_shows_a_connection_token_its_own(
    connection: Connection, workspace: Workspace, erp_server: TestErpServer
) -> None:
    other = connect(erp_server, workspace=workspace, name="Plant 2")
    for found in (connection, other):
        needs_reauth(found)
    disabled(connection)
    evaluate_all()
    client = api(make_token(workspace, connection_id=connection.pk)[1])
    (mine,) = client.get("/api/v1/issues").json()["data"]
    assert mine["connection_id"] == f"con_{connection.pk.hex}"
    theirs = next(issue for issue in open_issues() if issue.connection_id == other.pk)
    assert client.get(f"/api/v1/issues/{show('iss', theirs.pk)}").status_code == 404
    assert api(make_token(workspace, environment="test")[1]).get("/api/v1/issues").json()["data"] == []
    reader = api(make_token(workspace, scopes=("connections:read",))[1])
    assert reader.post(f"/api/v1/issues/{mine['id']}/acknowledge").status_code == 403


# --- admin ------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:No directory at")
def test_screens_show_open_ones_first_and_a_count_at_home(connection: Connection, workspace: Workspace) -> None:
    end = needs_reauth(connection)
    evaluate_all()
    (issue,) = open_issues()
    client = signed_in(make_person("operator", workspace))
    listed = client.get("/admin/syncs/issue/").content.decode()
    assert "Plant 1 needs a new sign-in" in listed
    home = client.get("/admin/").content.decode()
    assert "Who must act" in home and "Plant 1 needs a new sign-in" in home
    shown = client.get(f"/admin/syncs/issue/{issue.pk}/change/").content.decode()
    assert "Key refused." in shown and "Acknowledge" in shown
    assert client.post(f"/admin/syncs/issue/{issue.pk}/press/acknowledge/").status_code == 302
    issue.refresh_from_db()
    assert issue.acknowledged_by

    end()
    evaluate_all()
    assert "Plant 1 needs a new sign-in" not in client.get("/admin/syncs/issue/").content.decode()
    assert "Plant 1 needs a new sign-in" in client.get("/admin/syncs/issue/?state=all").content.decode()
    assert "Who must act" not in client.get("/admin/").content.decode()
