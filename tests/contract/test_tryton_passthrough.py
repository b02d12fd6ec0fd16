"""Raw calls to a real Tryton: the envelope comes back as it is, the session stays inside."""

from __future__ import annotations

import json

import orjson
import pytest
from django_scopes import scope

from connections.models import Connection, UpstreamCall
from connections.services import RawAnswer, RawCall, create_connection, pass_through
from core.json import dumps
from sandbox.tryton import TrytonServer
from tests.documents import code_of
from tests.tenants import make_workspace

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(400)]


@pytest.fixture
def connection(tryton_server: TrytonServer) -> Connection:
    workspace, server = make_workspace(), tryton_server
    with scope(workspace=workspace.pk):
        return create_connection(
            workspace=workspace,
            system="tryton",
            name="Nordmark plant",
            config={"base_url": server.base_url, "database": server.database, "user": server.user},
            secrets={"password": server.password},
            environment="test",
            by="test",
            check=False,
        )


def call(connection: Connection, path: str, *params: object) -> tuple[RawAnswer, dict[str, object]]:
    with scope(workspace=connection.workspace_id):
        answer = pass_through(connection, RawCall("POST", path, body=list(params)), by="token tok_1")
    return answer, orjson.loads(dumps(answer.body))


def test_raw_call_when_it_reads_then_the_result_is_there(connection: Connection, tryton_server: TrytonServer) -> None:
    answer, body = call(connection, "model.party.party.search_count", [], {})
    assert answer.status == 200 and isinstance(body["result"], int) and body["result"] > 50
    with scope(workspace=connection.workspace_id):
        login, counted = UpstreamCall.objects.order_by("pk")
    assert tryton_server.password not in login.request_body and "common.db.login" in login.request_body
    (session,) = (
        part for part in json.loads(login.response_body)["result"] if isinstance(part, str) and "secret" in part
    )
    assert session == "[secret]" and json.loads(counted.request_body)["method"] == "model.party.party.search_count"


def test_raw_call_of_the_guide_works(connection: Connection) -> None:
    example = json.loads(code_of("docs/guides/passthrough.md", "json")[-1])
    answer, body = call(connection, example["path"], *example["body"])
    assert (answer.status, answer.encoding) == (200, "json") and isinstance(body["result"], list), body


def test_raw_call_when_the_system_refuses_then_its_error_is_in_the_envelope(connection: Connection) -> None:
    answer, body = call(connection, "model.party.party.read", [99_999_999], ["name"], {})
    assert answer.status == 200 and body.get("error"), body
