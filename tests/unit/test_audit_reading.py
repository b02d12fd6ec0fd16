"""Reading the audit log: by API, as an export, by command and on its screen."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_scopes import scopes_disabled

from core.ids import new_id
from tests.tenants import api, make_person, make_token, make_workspace, signed_in
from workspaces import audit, audit_reading
from workspaces.choices import ActorKind, Scope
from workspaces.models import AuditEvent, Membership, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]
LOG = "/api/v1/audit-events"


def told(action: str = "") -> list[AuditEvent]:
    """What the log tells, the oldest first."""
    with scopes_disabled():
        return list(AuditEvent.objects.filter(action__startswith=action).order_by("pk"))


def fill(workspace: Workspace, count: int, **facts: Any) -> None:
    rows = [AuditEvent(workspace=workspace, actor="alice", action="sync.paused", **facts) for _ in range(count)]
    AuditEvent.objects.with_scopes_disabled().bulk_create(rows)


def client_of(workspace: Workspace, **facts: Any) -> Client:
    return api(make_token(workspace, **{"scopes": [Scope.AUDIT_READ], **facts})[1])


# --- the API ----------------------------------------------------------------------------------------------------------


def test_list_shows_newest_first_page_by_page() -> None:
    workspace = make_workspace()
    client = client_of(workspace)
    fill(workspace, 5, object_type="sync", object_id="syn_1", details={"n": 1})
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get(LOG, {"limit": "2", "object": "syn_1", **cursor}).json()
        seen += [event["id"] for event in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert seen == [f"aud_{event.pk.hex}" for event in reversed(told("sync."))]
    one = client.get(f"{LOG}/{seen[0]}").json()
    assert (one["actor"], one["action"], one["object"], one["details"]) == ("alice", "sync.paused", "syn_1", {"n": 1})


def test_list_is_filtered_by_each_parameter() -> None:
    workspace = make_workspace()
    token, clear = make_token(workspace, scopes=[Scope.AUDIT_READ])
    client, rows = api(clear), AuditEvent.objects.with_scopes_disabled()
    fill(workspace, 1)
    facts = {
        "actor": "bob",
        "action": "token.revoked",
        "object_id": "tok_9",
        "outcome": "refused",
        "token_id": token.pk,
    }
    rows.bulk_create([AuditEvent(workspace=workspace, **facts)])
    at = told("token.revoked")[0].at.isoformat().replace("+00:00", "Z")

    def found(**parameters: str) -> set[str]:
        answer = client.get(LOG, parameters)
        assert answer.status_code == 200, answer.content
        return {event["action"] for event in answer.json()["data"]} - {"token.created"}

    only, none = {"token.revoked"}, set[str]()
    assert found(action="token.revoked") == found(action="token.*") == found(object="tok_9") == only
    assert found(actor="bob") == found(actor=f"tok_{token.pk.hex}") == found(outcome="refused") == only
    assert found(action="token") == found(object="tok_") == found(actor="bo") == found(until=at) == none
    assert found(since=at) == {"token.revoked", "sync.paused"}, "one transaction, one time"
    assert client.get(LOG, {"since": at, "until": at}).json()["code"] == "INVALID_PARAMETER"


@pytest.mark.parametrize("path", ["", "/export"])
def test_log_for_tokens_that_see_less_is_refused(path: str) -> None:
    workspace = make_workspace()
    for facts, code in (
        ({"connection_id": new_id()}, "PERMISSION_DENIED"),
        ({"environment": "test"}, "ENVIRONMENT_NOT_ALLOWED"),
        ({"scopes": [Scope.EVENTS_READ]}, "MISSING_SCOPE"),
    ):
        answer = client_of(workspace, **facts).get(f"{LOG}{path}")
        assert (answer.status_code, answer.json()["code"]) == (403, code)


def test_events_of_the_installation_and_of_others_are_not_there() -> None:
    workspace, other = make_workspace(), make_workspace("Other")
    fill(other, 1)
    audit.record("person.signed_in", workspace_id=None, about=("person", "alice"))
    client = client_of(workspace)

    assert {event["workspace"] for event in client.get(LOG).json()["data"]} <= {f"ws_{workspace.pk.hex}"}
    for event in told("sync.") + told("person."):
        assert client.get(f"{LOG}/aud_{event.pk.hex}").status_code == 404


# --- export -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_export_streams_five_thousand_rows_a_page_at_a_time(form: str) -> None:
    workspace = make_workspace()
    fill(workspace, 5000, object_type="sync", details={"entity": "purchase_order", "text": 'a "b", c'})
    fill(make_workspace("Other"), 3)
    answer: Any = client_of(workspace).get(f"{LOG}/export", {"format": form, "action": "sync.*"})

    assert answer.streaming and answer["Content-Disposition"].endswith(f'.{form}"')
    with CaptureQueriesContext(
        database,
    ) as queries:
        parts = iter(answer.streaming_content)
        first = [next(parts), next(parts)]
        assert len(queries) <= 2, "only what was asked for is read"
        text = b"".join([*first, *parts]).decode()
        assert len(queries) == 6, "five full pages, and one that shows that it is the end"
    if form == "jsonl":
        rows = [json.loads(line) for line in text.splitlines()]
        assert rows[0]["details"] == {"entity": "purchase_order", "text": 'a "b", c'}
    else:
        rows = list(csv.DictReader(StringIO(text)))
        assert json.loads(rows[0]["details"])["text"] == 'a "b", c'
    assert [row["id"] for row in rows] == [f"aud_{e.pk.hex}" for e in told("sync.") if e.workspace_id == workspace.pk]
    assert told("audit.exported")[0].details == {"format": form}


def test_export_as_csv_holds_no_formulas() -> None:
    workspace = make_workspace()
    fill(workspace, 1, object_id="=HYPERLINK(1)", request_id="+1")
    text = "".join(audit_reading.export(AuditEvent.objects.with_scopes_disabled().filter(action="sync.paused"), "csv"))

    (row,) = csv.DictReader(StringIO(text))
    assert (row["object"], row["request_id"], row["actor"]) == ("'=HYPERLINK(1)", "'+1", "alice")


def test_command_exports_one_workspace_or_all() -> None:
    workspace = make_workspace()
    fill(workspace, 2)
    fill(make_workspace("Other"), 1)

    def lines(*arguments: str) -> list[dict[str, Any]]:
        out = StringIO()
        call_command("export_audit", *arguments, stdout=out)
        return [row for row in map(json.loads, out.getvalue().splitlines()) if row["action"] == "sync.paused"]

    assert len(lines()) == 3 and len(lines("--workspace", workspace.slug)) == 2
    assert lines("--since", "2100-01-01T00:00:00Z") == [] and lines("--until", "2000-01-01") == []
    with pytest.raises(CommandError, match="no workspace"):
        lines("--workspace", "unknown")
    assert {event.actor_kind for event in told("audit.exported")} == {ActorKind.COMMAND}


# --- the screen -------------------------------------------------------------------------------------------------------
SCREEN = "/admin/workspaces/auditevent/"


def test_screen_shows_members_their_workspaces_and_superusers_all() -> None:
    workspace = make_workspace()
    fill(workspace, 2, object_type="sync", object_id="syn_77")
    audit.record("person.signed_in", workspace_id=None, about=("person", "somebody-else"))
    member, operator = signed_in(make_person("auditor", workspace)), signed_in(make_person(is_superuser=True))

    seen = member.get(SCREEN).content.decode()
    assert "syn_77" in seen and "somebody-else" not in seen
    assert "somebody-else" in operator.get(SCREEN).content.decode()
    for term, hits in (("syn_77", True), ("ALI", True), ("sync.", True), ("syn_78", False)):
        assert ("syn_77" in member.get(SCREEN, {"q": term}).content.decode().replace(f'value="{term}"', "")) is hits
    pages = [f"{SCREEN}{told('sync.')[0].pk}/change/", SCREEN]
    for page in pages:
        answer = operator.post(page, {"actor": "mallory"})
        assert answer.status_code in (200, 403)
    assert operator.get(f"{SCREEN}add/").status_code == operator.post(f"{SCREEN}add/").status_code == 403


def test_screen_takes_a_bounded_number_of_queries() -> None:
    workspace = make_workspace()
    browser = signed_in(make_person("owner", workspace))
    counts = []
    for _ in range(2):
        fill(workspace, 30, object_type="sync", object_id="syn_77")
        with CaptureQueriesContext(database) as queries:
            assert browser.get(SCREEN).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8


def test_download_holds_what_is_listed_and_is_told() -> None:
    workspace = make_workspace()
    fill(workspace, 70, object_type="sync", object_id="syn_77")
    fill(workspace, 1, object_type="sync", object_id="syn_78")
    person = make_person("auditor", workspace)
    browser = signed_in(person)
    page = browser.get(SCREEN, {"q": "syn_77"}).content.decode()
    assert "?q=syn_77&amp;export=jsonl" in page

    answer: Any = browser.get(SCREEN, {"q": "syn_77", "export": "jsonl"})
    rows = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    assert len(rows) == 70 and {row["object"] for row in rows} == {"syn_77"}
    assert browser.get(SCREEN, {"export": "pdf"}).status_code == 404
    (event,) = told("audit.exported")
    assert (event.actor, event.workspace_id) == (person.username, workspace.pk)


def test_screen_and_download_hold_only_what_the_role_in_each_workspace_may_read() -> None:
    mine, ours = make_workspace("Mine"), make_workspace("Ours")
    fill(mine, 1, object_type="sync", object_id="syn_mine")
    fill(ours, 1, object_type="sync", object_id="syn_ours")
    person = make_person("owner", mine)
    with scopes_disabled():
        Membership.objects.create(workspace=ours, user=person, role="developer")
    browser = signed_in(person)

    page = browser.get(SCREEN).content.decode()
    assert "syn_mine" in page and "syn_ours" not in page
    answer: Any = browser.get(SCREEN, {"export": "jsonl"})
    text = b"".join(answer.streaming_content).decode()
    assert "syn_mine" in text and "syn_ours" not in text
    assert [event.workspace_id for event in told("audit.exported")] == [mine.pk]
