"""The audit log: what is written where, that nothing in it can be changed, and reading it by API, export and command."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, transaction
from django.db import connection as database
from django.test import Client
from django_scopes import scope, scopes_disabled

from connections.models import Connection
from connections.services import allow_again, forbid, overrides_of, set_mapping, set_overrides
from connections.services.overrides import NewOverride
from core.errors import ConflictError
from core.seldom import Seldom
from syncs.choices import Mode, Review, Trigger
from syncs.models import Sync
from syncs.services import pause_sync, request_run, resume_sync, review_run, update_sync
from syncs.services.runs import cancel_run
from tests.capable_erp import CapableErp, capable_erp  # noqa: F401
from tests.connectors import connect
from tests.syncing import sync_of
from tests.tenants import make_person, make_workspace, signed_in
from workspaces import audit, signing_in
from workspaces.choices import ActorKind, Role
from workspaces.models import AuditEvent, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]
LOG = "/api/v1/audit-events"
ALICE = audit.Actor(ActorKind.PERSON, "alice", address="203.0.113.7", request_id="req_1")


@pytest.fixture(autouse=True)
def fresh_memory() -> None:
    audit._uses.forget()
    signing_in._failures.forget()


@pytest.fixture
def connection(capable_erp: Any) -> Connection:
    class Nowhere:
        base_url = "http://127.0.0.1:9"

    return connect(Nowhere())  # type: ignore[arg-type]


def told(action: str = "") -> list[AuditEvent]:
    """What the log tells, the oldest first."""
    with scopes_disabled():
        return list(AuditEvent.objects.filter(action__startswith=action).order_by("pk"))


def fill(workspace: Workspace, count: int, **facts: Any) -> None:
    rows = [AuditEvent(workspace=workspace, actor="alice", action="sync.paused", **facts) for _ in range(count)]
    AuditEvent.objects.with_scopes_disabled().bulk_create(rows)


# --- nothing in it can be changed -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE workspaces_auditevent SET actor = 'mallory'",
        "DELETE FROM workspaces_auditevent",
        "ALTER TABLE workspaces_auditevent ENABLE TRIGGER pgtrigger_never_emptied_50daf; TRUNCATE workspaces_auditevent",
    ],
)
def test_event_when_sql_would_change_it_then_the_database_refuses(statement: str) -> None:
    fill(make_workspace(), 1)
    database.check_constraints()

    with pytest.raises(DatabaseError, match="Cannot"), transaction.atomic(), database.cursor() as cursor:
        cursor.execute(statement)
    assert [event.actor for event in told()] == ["alice"]


def test_event_when_the_orm_would_change_it_then_the_database_refuses() -> None:
    fill(make_workspace(), 1)
    (event,) = told()

    with scopes_disabled():
        for change in (lambda: AuditEvent.objects.update(actor="x"), AuditEvent.objects.all().delete, event.delete):
            with pytest.raises(DatabaseError, match="Cannot"), transaction.atomic():
                change()
    assert [event.actor for event in told()] == ["alice"]


# --- what is written --------------------------------------------------------------------------------------------------


def changes(connection: Connection) -> dict[str, Any]:
    """Action -> what causes it, of the rooms above."""
    sync = sync_of(connection)
    forbidden = NewOverride("purchase_order", "update", reason="Budget of SECRET-CUSTOMER")
    return {
        "sync.paused": lambda: pause_sync(sync),
        "sync.resumed": lambda: resume_sync(sync),
        "sync.changed": lambda: update_sync(sync, interval_seconds=300, enabled=True),
        "run.requested": lambda: request_run(sync, Mode.FULL, trigger=Trigger.API),
        "mapping.changed": lambda: set_mapping(
            connection, "purchase_order", [{"target": "notes", "source": "SECRET_CUSTOMER"}], by="alice"
        ),
        "capabilities.changed": lambda: forbid(connection, forbidden, by="alice"),
    }


def test_change_is_told_with_who_and_what_and_no_values(connection: Connection) -> None:
    Connection.objects.with_scopes_disabled().filter(pk=connection.pk).update(health="active")
    with scope(workspace=connection.workspace_id), audit.acting(ALICE):
        for change in changes(connection).values():
            change()

    events = {event.action: event for event in told() if event.actor == "alice"}
    assert set(events) == set(changes(connection))
    shown = f"con_{connection.pk.hex}"
    for event in events.values():
        assert (event.workspace_id, event.address, event.request_id) == (
            connection.workspace_id,
            "203.0.113.7",
            "req_1",
        )
        assert shown in (event.object_id, event.details.get("connection"))
        assert "SECRET" not in json.dumps(event.details)
    assert events["sync.changed"].details["changed"] == ["interval_seconds"], "what was the same is not told"
    assert events["mapping.changed"].details == {"entity": "purchase_order", "version": 1, "changed": ["notes"]}
    assert events["capabilities.changed"].details == {"forbidden": ["purchase_order update"]}
    assert events["run.requested"].details["mode"] == "initial"


def test_change_that_is_rolled_back_leaves_no_trace(connection: Connection) -> None:
    Connection.objects.with_scopes_disabled().filter(pk=connection.pk).update(health="active")
    every = changes(connection)
    before = len(told())
    for action, change in every.items():
        Sync.objects.with_scopes_disabled().update(paused=action == "sync.resumed")
        with scope(workspace=connection.workspace_id), transaction.atomic():
            change()
            assert action in {event.action for event in told()[before:]}
            transaction.set_rollback(True)
    assert len(told()) == before


def test_change_that_changes_nothing_is_not_told(connection: Connection) -> None:
    sync = sync_of(connection)
    with scope(workspace=connection.workspace_id):
        pause_sync(sync)
        before = len(told())
        pause_sync(sync)
        update_sync(sync, interval_seconds=sync.interval_seconds)
        set_overrides(connection, [], by="alice")
        set_mapping(connection, "purchase_order", [], by="alice")
    assert len(told()) == before


def test_overrides_replaced_as_a_whole_tell_what_came_and_what_went(connection: Connection) -> None:
    with scope(workspace=connection.workspace_id):
        set_overrides(
            connection, [NewOverride("purchase_order", "update"), NewOverride("vendor", "delete")], by="alice"
        )
        set_overrides(connection, [NewOverride("vendor", "delete", reason="still")], by="alice")
        allow_again(connection, overrides_of(connection)[0].pk)

    assert [event.details for event in told("capabilities.")] == [
        {"forbidden": ["purchase_order update", "vendor delete"]},
        {"forbidden": ["vendor delete"], "allowed": ["purchase_order update"]},
        {"allowed": ["vendor delete"]},
    ]


def test_run_cancelled_and_reviewed_is_told(connection: Connection) -> None:
    Connection.objects.with_scopes_disabled().filter(pk=connection.pk).update(health="active")
    with scope(workspace=connection.workspace_id), audit.acting(ALICE):
        run = request_run(sync_of(connection), Mode.FULL, trigger=Trigger.API).run
        cancel_run(run)
        with pytest.raises(ConflictError):
            review_run(run, Review.RELEASED, by="alice")
        type(run).objects.filter(pk=run.pk).update(status="needs_review")
        review_run(run, Review.RELEASED, by="alice")

    cancelled, reviewed = told("run.cancelled") + told("run.reviewed")
    assert cancelled.object_id == reviewed.object_id == f"run_{run.pk.hex}"
    assert (reviewed.details["decision"], reviewed.details["held"]) == ("released", 0)


@pytest.mark.django_db(transaction=True)
def test_credential_is_told_once_an_hour_but_always_when_asked_for(connection: Connection) -> None:
    def use(purpose: str) -> None:
        audit.credential_used(connection.pk, connection.workspace_id, purpose)

    for purpose in ("sync", "sync", "operation", "sync", "check", "check"):
        use(purpose)
    with audit.acting(ALICE):
        for purpose in ("sync", "check", "check"):
            use(purpose)

    purposes = [(event.actor, event.details["purpose"]) for event in told("credential.used")]
    assert purposes == [
        ("platform", "sync"),
        ("platform", "operation"),
        ("platform", "check"),
        *[("alice", "check")] * 2,
    ]


@pytest.mark.django_db(transaction=True)
def test_credential_that_another_process_told_of_within_the_hour_is_not_told_again(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def use(purpose: str) -> None:
        audit._uses.forget()
        audit.credential_used(connection.pk, connection.workspace_id, purpose)

    for purpose in ("sync", "sync", "operation", "sync"):
        use(purpose)
    assert [event.details["purpose"] for event in told("credential.used")] == ["sync", "operation"]

    monkeypatch.setattr(audit, "USES_SECONDS", -1)  # the hour is over
    use("sync")
    assert [event.details["purpose"] for event in told("credential.used")] == ["sync", "operation", "sync"]


@pytest.mark.django_db(transaction=True)
def test_credential_use_that_was_rolled_back_is_told_again(connection: Connection) -> None:
    with transaction.atomic():
        audit.credential_used(connection.pk, connection.workspace_id, "sync")
        transaction.set_rollback(True)
    audit.credential_used(connection.pk, connection.workspace_id, "sync")

    assert len(told("credential.used")) == 1


def test_memory_of_what_was_told_is_bounded() -> None:
    seldom = Seldom(seconds=3600, most=3)
    for number in range(5):
        assert seldom.is_due(number)
        seldom.told(number)

    assert [number for number in range(5) if seldom.is_due(number)] == [0, 1]


# --- people -----------------------------------------------------------------------------------------------------------


def test_sign_in_and_out_are_told(client: Client) -> None:
    person = make_person(password="correct horse battery")
    form = {"username": person.username, "password": "correct horse battery"}

    client.post("/admin/login/", form, REMOTE_ADDR="203.0.113.9")
    client.post("/admin/logout/")

    found = [(event.action, event.actor, event.workspace_id) for event in told("person.")]
    assert found == [("person.signed_in", person.username, None), ("person.signed_out", person.username, None)]
    assert told("person.signed_in")[0].address == "203.0.113.9"


def test_failed_sign_in_tells_known_names_alone_and_not_each_try(client: Client) -> None:
    person = make_person()
    for name in (person.username, "my-password-in-the-wrong-field", person.username, "another"):
        client.post("/admin/login/", {"username": name, "password": "wrong"})

    found = [(event.actor, event.outcome) for event in told("person.sign_in_failed")]
    assert found == [(person.username, "refused"), (signing_in.NOBODY_WE_KNOW, "refused")]


def workspace_form(name: str, *members: tuple[str, str], existing: Any = ()) -> dict[str, Any]:
    """What the page of a workspace sends: present members first."""
    form: dict[str, Any] = {
        "name": name,
        "memberships-TOTAL_FORMS": len(members),
        "memberships-INITIAL_FORMS": len(existing),
    }
    for number, (username, role) in enumerate(members):
        form |= {f"memberships-{number}-user": username, f"memberships-{number}-role": role}
    for number, membership in enumerate(existing):
        form |= {f"memberships-{number}-id": membership.pk, f"memberships-{number}-workspace": membership.workspace_id}
    return form


def test_workspace_and_members_changed_on_their_screen_are_told() -> None:
    workspace = make_workspace()
    owner, other = make_person("owner", workspace), make_person()
    browser, page = signed_in(owner), f"/admin/workspaces/workspace/{workspace.pk}/change/"
    with scopes_disabled():
        own = list(workspace.memberships.all())
    form = workspace_form("Renamed", (owner.username, "owner"), (other.username, "auditor"), existing=own)
    assert browser.post(page, _with_unchanged(browser, page, form)).status_code == 302
    with scopes_disabled():
        both = list(workspace.memberships.order_by("pk"))
    form = workspace_form("Renamed", (owner.username, "owner"), (other.username, "operator"), existing=both)
    assert browser.post(page, _with_unchanged(browser, page, form)).status_code == 302
    assert browser.post(page, _with_unchanged(browser, page, {**form, "memberships-1-DELETE": "on"})).status_code == 302

    found = [(e.action, e.object_id, e.details.get("role"), e.details.get("changed")) for e in told() if e.workspace_id]
    assert found == [
        ("workspace.changed", f"ws_{workspace.pk.hex}", None, ["name"]),
        ("member.added", other.username, "auditor", None),
        ("member.changed", other.username, "operator", "role"),
        ("member.removed", other.username, None, None),
    ]


def _with_unchanged(browser: Client, page: str, form: dict[str, Any]) -> dict[str, Any]:
    """The form with whatever else the page's own form holds, as it holds it."""
    shown = browser.get(page).context["adminform"].form
    rest = {name: shown.initial.get(name) for name in shown.fields if name not in form}
    return {**{name: value for name, value in rest.items() if isinstance(value, str) and value}, **form}


def test_people_changed_by_the_operator_are_told_without_a_password() -> None:
    browser = signed_in(make_person(is_superuser=True))
    password = {"password1": "correct horse battery", "password2": "correct horse battery"}
    browser.post("/admin/auth/user/add/", {"username": "bob", "usable_password": "true", **password})
    with scopes_disabled():
        bob = type(make_person()).objects.get(username="bob")
    browser.post(f"/admin/auth/user/{bob.pk}/password/", {"usable_password": "true", **password})
    browser.post(f"/admin/auth/user/{bob.pk}/delete/", {"post": "yes"})

    about_bob = [event for event in told("person.") if event.object_id == "bob"]
    assert [event.action for event in about_bob] == ["person.created", "person.changed", "person.deleted"]
    assert about_bob[1].details == {"changed": ["password"]}
    assert "correct horse" not in json.dumps([event.details for event in about_bob])


def test_command_acts_by_its_own_name() -> None:
    owner = make_person()
    call_command("create_workspace", "Acme", "--slug", "acme-audited", "--owner", owner.username, stdout=StringIO())

    made, added = told("workspace.created") + told("member.added")
    assert made.actor_kind == ActorKind.COMMAND and made.actor.endswith(": manage.py create_workspace")
    assert (added.object_id, added.details) == (owner.username, {"role": Role.OWNER})
