"""Mail about issues: to who asked for it, each opening and end once, whatever the mail server does."""

from __future__ import annotations

import smtplib
from typing import Any

import pytest
from django.core import mail
from django_scopes import scopes_disabled

from connections.models import Connection
from syncs.services import issue_mail
from syncs.services.issue_mail import mail_issues
from syncs.services.issues import acknowledge, evaluate_all, issue_link
from tests.connectors import TestErpServer, connect, erp_connector, erp_server  # noqa: F401
from tests.issue_stage import ago, change, connection, disabled, needs_reauth, open_issues, unknown_write, workspace  # noqa: F401
from tests.tenants import make_person, make_workspace
from workspaces.models import Membership, Workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("erp_connector")]


@pytest.fixture
def reader(workspace: Workspace, settings: Any) -> Membership:
    settings.EMAIL_HOST, settings.PUBLIC_URL = "mail.example", "https://lineshaft.example"
    person = make_person("operator", workspace, email="ann@vendor.example")
    return member_of(person, workspace)


def member_of(person: Any, workspace: Workspace, **values: Any) -> Membership:
    with scopes_disabled():
        row = Membership.objects.get(user=person, workspace=workspace)
    change(row, tells_by_mail=True, **values)
    return row


def ten_minutes_pass() -> None:
    with scopes_disabled():
        Membership.objects.exclude(next_mail_at=None).update(next_mail_at=ago(seconds=1))


def test_mail_tells_each_opening_and_end_once(connection: Connection, reader: Membership) -> None:
    assert mail_issues() == 0
    end = needs_reauth(connection)
    evaluate_all()
    assert (mail_issues(), mail_issues()) == (1, 0)
    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (["ann@vendor.example"], "[Lineshaft] Opened: Plant 1 needs a new sign-in")
    assert f"https://lineshaft.example/admin/connections/connection/{connection.pk}/change/" in sent.body
    assert "Key refused." in sent.body and "Who must act: the customer" in sent.body

    end()
    evaluate_all()
    assert mail_issues() == 0, "one in ten minutes"
    ten_minutes_pass()
    assert (mail_issues(), mail_issues()) == (1, 0)
    assert mail.outbox[1].subject == "[Lineshaft] Resolved: Plant 1 needs a new sign-in"
    ten_minutes_pass()
    assert mail_issues() == 0


def test_mail_of_several_is_one_digest(connection: Connection, reader: Membership, erp_server: TestErpServer) -> None:
    assert mail_issues() == 0
    needs_reauth(connection), disabled(connection), unknown_write(connection)
    evaluate_all()
    assert mail_issues() == 1 and mail.outbox[0].subject == "[Lineshaft] 3 issues opened"


def test_mail_for_two_workspaces_of_one_person_is_one(
    connection: Connection, reader: Membership, erp_server: TestErpServer
) -> None:
    other = connect(erp_server, workspace=make_workspace("Other"), name="Elsewhere")
    with scopes_disabled():
        Membership.objects.create(workspace=other.workspace, user=reader.user, role="auditor", tells_by_mail=True)
    needs_reauth(connection), needs_reauth(other)
    evaluate_all()
    assert (mail_issues(), mail_issues()) == (1, 0)
    assert "Elsewhere" in mail.outbox[0].body and "Plant 1" in mail.outbox[0].body


def test_mail_is_for_members_who_asked_only(connection: Connection, reader: Membership, erp_server: Any) -> None:
    workspace = connection.workspace
    make_person("operator", workspace, email="bob@vendor.example")
    member_of(make_person("operator", workspace, email=""), workspace)
    member_of(make_person("operator", workspace, email="gone@vendor.example", is_active=False), workspace)
    elsewhere = make_workspace("Other")
    member_of(make_person("owner", elsewhere, email="eve@other.example"), elsewhere)
    needs_reauth(connection)
    evaluate_all()
    assert mail_issues() == 1 and [sent.to for sent in mail.outbox] == [["ann@vendor.example"]]


def test_acknowledged_issue_is_mailed_no_more(connection: Connection, reader: Membership) -> None:
    end = needs_reauth(connection)
    evaluate_all()
    acknowledge(open_issues()[0], by="ann")
    assert mail_issues() == 0
    end()
    evaluate_all()
    assert mail_issues() == 0 and mail.outbox == []


def test_refusing_mail_server_loses_nothing_and_doubles_nothing(
    connection: Connection, reader: Membership, monkeypatch: Any
) -> None:
    workspace = connection.workspace
    member_of(make_person("operator", workspace, email="bob@vendor.example"), workspace)
    needs_reauth(connection)
    evaluate_all()
    deliver, refused = mail.EmailMessage.send, list[str]()

    def send(self: Any) -> int:
        if self.to == ["bob@vendor.example"] and not refused:
            refused.append("once")
            raise smtplib.SMTPServerDisconnected("away")
        return deliver(self)

    monkeypatch.setattr(mail.EmailMessage, "send", send)
    mail_issues()
    ten_minutes_pass()
    mail_issues()
    assert sorted(sent.to[0] for sent in mail.outbox) == ["ann@vendor.example", "bob@vendor.example"]


def test_process_that_dies_after_sending_doubles_one_mail_at_most(
    connection: Connection, reader: Membership, monkeypatch: Any
) -> None:
    needs_reauth(connection)
    evaluate_all()
    mark = issue_mail._mark

    def die(*_: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(issue_mail, "_mark", die)
    with pytest.raises(SystemExit):
        mail_issues()
    monkeypatch.setattr(issue_mail, "_mark", mark)
    assert mail_issues() == 0, "the claim stands"
    ten_minutes_pass()
    assert (mail_issues(), len(mail.outbox)) == (1, 2)
    ten_minutes_pass()
    assert mail_issues() == 0


def test_switching_mail_off_and_on_tells_what_is_open_now(connection: Connection, reader: Membership) -> None:
    mail_issues()
    change(reader, tells_by_mail=False)
    mail_issues()
    end = needs_reauth(connection)
    evaluate_all()
    end()
    evaluate_all()
    disabled(connection)
    evaluate_all()
    change(reader, tells_by_mail=True)
    assert (
        mail_issues() == 1
        and mail.outbox[0].subject == "[Lineshaft] Opened: Nothing is sent to https://hooks.example/in"
    )


def test_names_cannot_write_headers(connection: Connection, reader: Membership) -> None:
    change(connection, name="Plant\r\nBcc: everybody@example.com")
    needs_reauth(connection)
    evaluate_all()
    assert mail_issues() == 1
    assert mail.outbox[0].subject == "[Lineshaft] Opened: Plant Bcc: everybody@example.com needs a new sign-in"


def test_without_mail_server_nobody_is_told_and_nothing_is_forgotten(
    connection: Connection, reader: Membership, settings: Any
) -> None:
    needs_reauth(connection)
    evaluate_all()
    settings.EMAIL_HOST = ""
    assert mail_issues() == 0
    settings.EMAIL_HOST = "mail.example"
    assert mail_issues() == 1


def test_link_of_an_endpoint_leads_to_its_screen(connection: Connection) -> None:
    disabled(connection)
    evaluate_all()
    assert issue_link(open_issues()[0]).endswith("/change/")
