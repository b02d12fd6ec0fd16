"""The screens of syncs, runs, records and quarantine."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection as database
from django.utils import timezone
from django_scopes import scopes_disabled

from core import ids
from syncs.choices import RunStatus
from syncs.models import QuarantinedRecord, Record, Suspect, Sync, SyncRun
from tests.admin_pages import change, html, press, rows_of, words
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import copy_of, run_sync, sync_of
from tests.tenants import make_person, make_workspace, signed_in
from workspaces.models import Membership, Workspace

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("erp_connector"),
    pytest.mark.filterwarnings("ignore:No directory at"),
]
SYNCS, RUNS = "/admin/syncs/sync/", "/admin/syncs/syncrun/"
RECORDS, QUARANTINE = "/admin/syncs/record/", "/admin/syncs/quarantinedrecord/"


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


@pytest.fixture
def sync(workspace: Workspace, erp_server: TestErpServer) -> Sync:
    """Purchase orders of a plant, not synced yet."""
    return sync_of(connect(erp_server, workspace=workspace, name="Plant North"))


def active_run(sync: Sync, **facts: Any) -> SyncRun:
    with scopes_disabled():
        values = {"status": "running", "mode": "full", "phase": "fetching", "started_at": timezone.now(), **facts}
        return SyncRun.objects.create(
            workspace_id=sync.workspace_id, connection_id=sync.connection_id, sync=sync, **values
        )


def run_in_review(sync: Sync, server: TestErpServer) -> SyncRun:
    server.add_orders(40)
    run_sync(sync)
    server.delete("orders", *[str(number) for number in range(1001, 1021)])
    return run_sync(sync, "full")


def fresh(row: Any) -> Any:
    with scopes_disabled():
        return type(row).objects.get(pk=row.pk)


# --- syncs ------------------------------------------------------------------------------------------------------------


def test_sync_is_run_paused_and_resumed_by_buttons(workspace: Workspace, sync: Sync) -> None:
    client = signed_in(make_person("operator", workspace))

    assert "1 run queued." in words(client.post(press(sync, "sync"), follow=True))
    assert "1 sync was running already and will do this next." in words(
        client.post(press(sync, "full_sync"), follow=True)
    )
    assert "is paused" in words(client.post(press(sync, "pause"), follow=True)) and fresh(sync).paused
    assert "resume it first" in words(client.post(press(sync, "sync"), follow=True))
    assert "goes on" in words(client.post(press(sync, "resume"), follow=True)) and not fresh(sync).paused
    html(client.get(press(sync, "sync")), 405)


def test_sync_schedule_is_changed_by_the_service(workspace: Workspace, sync: Sync) -> None:
    client = signed_in(make_person("developer", workspace))
    values = {"enabled": "on", "interval_seconds": "300", "full_interval_seconds": "86400", "history_days": ""}

    assert client.post(change(sync), values).status_code == 302
    stored = fresh(sync)
    assert (stored.interval_seconds, stored.history_days, stored.enabled) == (300, None, True)
    assert stored.next_run_at <= timezone.now() + timedelta(seconds=5)
    page = words(client.post(change(sync), {**values, "interval_seconds": "5"}))
    assert "greater than or equal to 60" in page and fresh(sync).interval_seconds == 300


def test_sync_list_shows_what_is_broken_and_filters_by_it(
    workspace: Workspace, sync: Sync, erp_server: TestErpServer
) -> None:
    erp_server.fail("http_403", on="/orders")
    run_sync(sync)
    vendors = sync_of(sync.connection, "vendor")
    with scopes_disabled():
        Sync.objects.filter(pk=vendors.pk).update(data_as_of=timezone.now() - timedelta(hours=2))
    client = signed_in(make_person("auditor", workspace))

    shown = words(client.get(SYNCS))
    assert "Failed" in shown and "may not do that" in shown and "the customer" in shown and "stale" in shown
    assert "Sync now" not in shown, "an auditor presses nothing"

    def found(**query: str) -> list[str]:
        page = html(client.get(SYNCS, query))
        return [row.entity for row in (sync, vendors) if change(row) in page]

    assert found(state="failed") == found(entity="purchase_order") == ["purchase_order"]
    assert found(state="never_synced") == ["vendor"]
    assert found(connection=str(sync.connection_id)) == found(q="north") == ["purchase_order", "vendor"]
    assert found(connection=str(uuid4())) == found(connection="nonsense") == found(q="nowhere") == []


def test_selected_syncs_are_done_together_and_counted(workspace: Workspace, sync: Sync) -> None:
    client = signed_in(make_person("operator", workspace))
    chosen = [str(sync.pk), str(sync_of(sync.connection, "vendor").pk)]

    def do(name: str) -> str:
        return words(client.post(SYNCS, {"action": name, "_selected_action": chosen}, follow=True))

    assert "2 runs queued." in do("sync_selected")
    assert "2 syncs were running already" in do("full_sync_selected")
    assert "2 syncs paused." in do("pause_selected")
    assert "2 syncs resumed." in do("resume_selected")
    button = f"{press(sync, 'pause')}?next=%2Fadmin%2Fsyncs%2Fsync%2F%3Fq%3Dnorth"
    assert client.post(button)["Location"] == f"{SYNCS}?q=north"


def test_selected_syncs_of_a_workspace_one_may_only_look_at_are_left_alone(
    workspace: Workspace, sync: Sync, erp_server: TestErpServer
) -> None:
    person, own = make_person("auditor", workspace), make_workspace("Own")
    with scopes_disabled():
        Membership.objects.create(workspace=own, user=person, role="owner")
    mine = sync_of(connect(erp_server, workspace=own))

    page = signed_in(person).post(
        SYNCS, {"action": "pause_selected", "_selected_action": [str(sync.pk), str(mine.pk)]}, follow=True
    )

    assert "1 sync left alone" in words(page) and "1 sync paused." in words(page)
    assert not fresh(sync).paused and fresh(mine).paused


# --- runs -------------------------------------------------------------------------------------------------------------


def test_run_page_tells_what_was_done_and_what_went_wrong(
    workspace: Workspace, sync: Sync, erp_server: TestErpServer
) -> None:
    erp_server.add_orders(3)
    good = run_sync(sync)
    erp_server.fail("http_403", on="/orders")
    bad = run_sync(sync)
    client = signed_in(make_person("auditor", workspace))

    shown = words(client.get(change(good)))
    for text in ("Completed", "Read 3", "Created 3", "default version 1", "Command", str(ids.show("run", good.pk))):
        assert text in shown
    page = html(client.get(change(good)))
    assert "/live/" not in page and "/press/" not in page, "an ended run asks for nothing"
    shown = words(client.get(change(bad)))
    assert "Not for this role." in shown and "Who must act: the customer" in shown and "PERMISSION_DENIED" in shown
    html(client.post(change(good), {"status": "failed"}), 403)
    html(client.get(f"{RUNS}add/"), 403)


def test_active_run_shows_progress_and_asks_again_until_it_ends(workspace: Workspace, sync: Sync) -> None:
    run = active_run(sync, read_count=42, total=100)
    client = signed_in(make_person("operator", workspace))
    live = f"{RUNS}{run.pk}/live/"

    page = html(client.get(change(run)))
    assert (
        f'hx-get="{live}" hx-trigger="every 2s"' in page
        and "width: 42%" in page
        and "42 of 100 read" in words(client.get(live))
    )
    with scopes_disabled():
        SyncRun.objects.update(status=RunStatus.COMPLETED, finished_at=timezone.now())
    part = html(client.get(live))
    assert "/live/" not in part and "Completed" in part and "<html" not in part


def test_run_is_cancelled_after_asking(workspace: Workspace, sync: Sync) -> None:
    run = active_run(sync, status="waiting", read_count=1200)
    client = signed_in(make_person("operator", workspace))

    assert "1,200 objects" in words(client.get(press(run, "cancel"))) and fresh(run).status == "waiting"
    assert "cancelled after 1,200 objects read" in words(client.post(press(run, "cancel"), follow=True))
    assert fresh(run).status == "cancelled"
    assert "has ended already" in words(client.post(press(run, "cancel"), follow=True))


def test_held_deletions_are_released_in_words_and_numbers(
    workspace: Workspace, sync: Sync, erp_server: TestErpServer
) -> None:
    run = run_in_review(sync, erp_server)
    client = signed_in(make_person("operator", workspace))

    shown = words(client.get(change(run)))
    assert "Needs review" in shown and "20 held for review" in shown and "1001" in shown
    question = words(client.get(press(run, "release")))
    assert "Keep 20 purchase orders?" in question and "out of 20 it did show" in question and "Yes, keep 20" in question
    assert "20 purchase orders released" in words(client.post(press(run, "release"), follow=True))
    assert len(copy_of(sync).live) == 40 and fresh(run).review == "released"
    assert fresh(run).reviewed_by.startswith("person")


def test_held_deletions_are_carried_out_in_words_and_numbers(
    workspace: Workspace, sync: Sync, erp_server: TestErpServer
) -> None:
    run = run_in_review(sync, erp_server)
    client = signed_in(make_person("owner", workspace))

    assert "Yes, delete 20" in words(client.get(press(run, "delete"))) and len(copy_of(sync).live) == 40
    assert "20 purchase orders marked as deleted" in words(client.post(press(run, "delete"), follow=True))
    assert len(copy_of(sync).deleted) == 20
    assert "holds nothing for review" in words(client.post(press(run, "delete"), follow=True))
    with scopes_disabled():
        assert not Suspect.objects.exists()


def test_run_list_is_filtered_and_never_counted(
    workspace: Workspace, sync: Sync, erp_server: TestErpServer, django_assert_max_num_queries: Any
) -> None:
    good = run_sync(sync)
    erp_server.fail("http_403", on="/vendors")
    bad = run_sync(sync_of(sync.connection, "vendor"))
    client = signed_in(make_person("auditor", workspace))

    def found(**query: str) -> list[str]:
        page = html(client.get(RUNS, query))
        return [row.status for row in (good, bad) if change(row) in page]

    assert sorted(found()) == sorted(found(connection=str(sync.connection_id))) == ["completed", "failed"]
    assert (
        found(status__exact="failed") == found(entity="vendor") == found(q=str(ids.show("run", bad.pk))) == ["failed"]
    )
    assert found(entity="purchase_order") == ["completed"] and found(mode__exact="full") == []
    assert found(created_at__year="1999") == [] and found(q="elsewhere") == []
    with django_assert_max_num_queries(13) as few:
        html(client.get(RUNS, {"_facets": "True"}))
    assert not any("COUNT(*)" in query["sql"] for query in few.captured_queries)


@pytest.mark.parametrize("address", [SYNCS, RUNS, QUARANTINE])
def test_lists_take_the_same_queries_however_long(
    address: str,
    workspace: Workspace,
    erp_server: TestErpServer,
    django_assert_max_num_queries: Any,
    django_assert_num_queries: Any,
) -> None:
    client = signed_in(make_person("owner", workspace))

    def fill(count: int) -> None:
        erp_server.add_orders(30)
        erp_server.fail("bad_amount")
        for number in range(count):
            run_sync(sync_of(connect(erp_server, workspace=workspace, name=f"Plant {number}")))

    fill(2)
    html(client.get(address))
    with django_assert_max_num_queries(13) as few:
        html(client.get(address))
    fill(8)
    with django_assert_num_queries(len(few)):
        html(client.get(address))


# --- records ----------------------------------------------------------------------------------------------------------


def test_record_page_shows_the_unified_form_beside_the_raw_one(
    workspace: Workspace, sync: Sync, erp_server: TestErpServer
) -> None:
    erp_server.add_orders(1, notes="<script>alert(1)</script>")
    run = run_sync(sync)
    with scopes_disabled():
        record = Record.objects.get()
    client = signed_in(make_person("auditor", workspace))

    page = html(client.get(change(record)))
    assert "&quot;remote_status&quot;: &quot;open&quot;" in page and "&quot;vendor_name&quot;" in page
    assert "<script>alert(1)" not in page and "&lt;script&gt;" in page
    assert (
        change(sync.connection) in page
        and change(run) in page
        and "Purchase order PO-1001" in words(client.get(change(record)))
    )
    html(client.post(change(record), {"remote_id": "x"}), 403)
    html(client.post(f"{RECORDS}{record.pk}/delete/", {"post": "yes"}), 403)
    html(client.get(f"{RECORDS}add/"), 403)


def test_records_are_listed_by_connection_and_found_exactly(
    workspace: Workspace, sync: Sync, erp_server: TestErpServer
) -> None:
    erp_server.add_orders(60)
    run_sync(sync)
    run_sync(sync_of(sync.connection, "vendor"))
    with scopes_disabled():
        Record.objects.filter(remote_id="1001").update(deleted_at=timezone.now())
    client = signed_in(make_person("auditor", workspace))
    here = {"connection": str(sync.connection_id), "entity": "purchase_order"}

    assert f"?connection={sync.connection_id}&amp;entity=purchase_order" in html(client.get(RECORDS, {"q": "north"}))
    assert "Plant North" not in html(client.get(RECORDS, {"q": "elsewhere"}))

    def found(**query: str) -> set[str]:
        response = client.get(RECORDS, {**here, **query})
        html(response)
        return {row["record"].remote_id for row in response.context_data["rows"]}

    first = client.get(RECORDS, here)
    seen = found()
    assert len(seen) == 50 and "1001" not in seen
    older = client.get(f"{RECORDS}{first.context_data['more']}")
    rest = {row["record"].remote_id for row in older.context_data["rows"]}
    assert len(rest) == 9 and not rest & seen and not older.context_data["more"]
    assert found(deleted="only") == {"1001"} and len(found(deleted="all")) == 50
    shown_id = str(ids.show("po", ids.derived_id(ids.namespace_of(sync.connection_id, "purchase_order"), "1007")))
    assert found(q="1007") == found(q="PO-1007") == found(q=shown_id) == {"1007"}
    assert found(q="100") == found(q="%") == found(after="nonsense", q="PO-1") == set()
    assert found(entity="vendor") == set()
    html(client.get(RECORDS, {"connection": str(uuid4())}), 404)
    html(client.get(RECORDS, {"connection": "nonsense"}), 404)


def test_records_are_listed_without_counting_or_scanning(
    workspace: Workspace, sync: Sync, erp_server: TestErpServer, django_assert_max_num_queries: Any
) -> None:
    erp_server.add_orders(1)
    run_sync(sync)
    with database.cursor() as cursor:
        cursor.execute(
            """INSERT INTO syncs_record (id, workspace_id, connection_id, entity, remote_id, version, changed_at,
                written_at, body, raw, unified_digest, filters, last_change)
            SELECT gen_random_uuid(), workspace_id, connection_id, entity, 'copy-' || n, version,
                changed_at - n * interval '1 second', written_at, body, raw, unified_digest,
                jsonb_build_object('number', 'COPY-' || n), last_change
            FROM syncs_record, generate_series(1, 20000) n"""
        )
        cursor.execute("ANALYZE syncs_record")
    client = signed_in(make_person("auditor", workspace))
    here = {"connection": str(sync.connection_id), "entity": "purchase_order"}

    for query in ({}, {"q": "COPY-777"}, {"deleted": "all"}):
        with django_assert_max_num_queries(8) as done:
            html(client.get(RECORDS, {**here, **query}))
        (statement,) = [q["sql"] for q in done.captured_queries if 'FROM "syncs_record"' in q["sql"]]
        assert "COUNT(" not in statement and "LIKE" not in statement and '"raw"' not in statement
        with database.cursor() as cursor:
            cursor.execute(f"EXPLAIN {statement}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "Seq Scan on syncs_record" not in plan, plan


# --- who sees what ----------------------------------------------------------------------------------------------------


def test_quarantined_object_is_shown_with_its_reason(
    workspace: Workspace, sync: Sync, erp_server: TestErpServer
) -> None:
    erp_server.add_orders(5)
    erp_server.fail("bad_amount")
    run = run_sync(sync)
    with scopes_disabled():
        item = QuarantinedRecord.objects.get()
    client = signed_in(make_person("auditor", workspace))

    assert "is not a number" in words(client.get(QUARANTINE)) and "1 quarantined" in words(client.get(RUNS))
    assert "&quot;total&quot;: &quot;twelve&quot;" in html(client.get(change(item)))
    assert change(item) in html(client.get(change(run)))
    assert change(item) in html(client.get(QUARANTINE, {"connection": str(sync.connection_id)}))
    assert change(item) not in html(client.get(QUARANTINE, {"entity": "vendor"}))
    html(client.post(change(item), {"code": "X"}), 403)


def test_auditor_presses_nothing(workspace: Workspace, sync: Sync, erp_server: TestErpServer) -> None:
    run = run_in_review(sync, erp_server)
    client = signed_in(make_person("auditor", workspace))

    for row, names in ((sync, ("sync", "full_sync", "pause", "resume")), (run, ("cancel", "release", "delete"))):
        assert "/press/" not in html(client.get(change(row)))
        for name in names:
            html(client.post(press(row, name)), 403)
            html(client.get(press(row, name)), 403)
    html(client.post(change(sync), {"interval_seconds": "60"}), 403)
    client.post(SYNCS, {"action": "pause_selected", "_selected_action": [str(sync.pk)]})
    assert not fresh(sync).paused and fresh(run).status == "needs_review"


def test_member_of_another_workspace_finds_nothing(sync: Sync, erp_server: TestErpServer) -> None:
    run = run_in_review(sync, erp_server)
    erp_server.fail("bad_amount")
    erp_server.change("orders", "1030", notes="changed")
    run_sync(sync)
    with scopes_disabled():
        rows = [sync, run, Record.objects.first(), QuarantinedRecord.objects.first()]
    own = make_workspace("Own")
    client = signed_in(make_person("owner", own))

    for row in rows:
        page = html(client.get(rows_of(row)))
        assert str(row.pk) not in page and "Plant North" not in page
        html(client.get(change(row)), 404)
        html(client.get(change(row).replace("/change/", "/history/")), 404)
        assert client.post(change(row), {"enabled": ""}).status_code in (403, 404)
    html(client.get(f"{RUNS}{run.pk}/live/"), 404)
    html(client.get(RECORDS, {"connection": str(sync.connection_id)}), 404)
    assert "Plant North" not in html(client.get(RUNS, {"connection": str(sync.connection_id)}))
    for row, name in ((sync, "sync"), (sync, "pause"), (run, "delete"), (run, "release"), (run, "cancel")):
        html(client.post(press(row, name)), 404)
        assert client.get(press(row, name)).status_code == 404
    client.post(SYNCS, {"action": "pause_selected", "_selected_action": [str(sync.pk)]})
    assert not fresh(sync).paused and fresh(run).status == "needs_review"


def test_operator_of_the_installation_may_do_all(sync: Sync, erp_server: TestErpServer) -> None:
    run = run_in_review(sync, erp_server)
    with scopes_disabled():
        record = Record.objects.first()
    client = signed_in(make_person(is_superuser=True))

    for row in (sync, run, record):
        assert "Plant North" in html(client.get(rows_of(row))) and "Plant North" in html(client.get(change(row)))
    assert "Plant North" in html(client.get(RECORDS, {"connection": str(sync.connection_id)}))
    assert "released" in words(client.post(press(run, "release"), follow=True))
