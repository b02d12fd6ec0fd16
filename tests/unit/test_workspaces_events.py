"""Events: written with their cause, numbered as they commit, read as a feed without gaps."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection as database
from django.db import transaction
from django_scopes import scope, scopes_disabled

from core import ids
from core.api_errors import BadRequestError, GoneError
from tests.tenants import api, emit_now, make_token, make_workspace
from workspaces import events, feed
from workspaces.choices import EventType
from workspaces.models import Event, Feed, Workspace

FEED = "/api/v1/events"
pytestmark = pytest.mark.filterwarnings("ignore:No directory at")


def rows(workspace: Workspace) -> list[Any]:
    with scope(workspace=workspace.pk):
        return list(Event.objects.order_by("position"))


def in_thread(work: Callable[[], None]) -> tuple[threading.Thread, list[BaseException]]:
    """Run with a database session of its own; what it raised is handed back."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # handed to the test, which raises it
            failures.append(error)
        finally:
            database.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, failures


def finish(thread: threading.Thread, failures: list[BaseException]) -> None:
    thread.join(timeout=60)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


def somebody_waits_for_a_lock() -> bool:
    with database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def emit(workspace: Workspace, **facts: Any) -> None:
    events.emit(EventType.SYNC_COMPLETED, workspace_id=workspace.pk, environment="live", **{"data": {}, **facts})


@pytest.mark.django_db(transaction=True)
def test_emit_outside_a_transaction_raises() -> None:
    workspace = make_workspace()

    with pytest.raises(transaction.TransactionManagementError):
        emit(workspace)
    assert rows(workspace) == []


@pytest.mark.django_db(transaction=True)
def test_event_is_numbered_at_commit_in_column_and_body() -> None:
    workspace, connection_id = make_workspace(), uuid4()
    with transaction.atomic():
        emit(workspace, connection_id=connection_id, reason="full", data={"note": 'a "position":null inside'})
        emit(workspace)
        assert [event.position for event in rows(workspace)] == [None, None]

    first, second = rows(workspace)
    body = json.loads(first.body)
    assert (first.position, second.position) == (1, 2)
    assert " ".join(body) == "id type timestamp workspace connection position reason origin_run data"
    assert body["position"] == 1 and body["data"] == {"note": 'a "position":null inside'}
    assert body["connection"] == ids.show("con", connection_id) and body["timestamp"].endswith("Z")


@pytest.mark.django_db(transaction=True)
def test_rolled_back_event_leaves_no_gap() -> None:
    workspace = make_workspace()
    with transaction.atomic():
        emit(workspace)
    with transaction.atomic():
        emit(workspace)
        database.check_constraints()  # it has its number already
        transaction.set_rollback(True)
    with transaction.atomic():
        emit(workspace)

    assert [event.position for event in rows(workspace)] == [1, 2]


@pytest.mark.django_db(transaction=True)
def test_position_is_the_order_of_commits_not_of_writing() -> None:
    workspace = make_workspace()

    def write_second_but_commit_first() -> None:
        with transaction.atomic():
            emit(workspace, data={"writer": "second"})

    with transaction.atomic():
        emit(workspace, data={"writer": "first"})
        finish(*in_thread(write_second_but_commit_first))

    assert [json.loads(event.body)["data"]["writer"] for event in rows(workspace)] == ["second", "first"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_second_writer_waits_for_the_first_to_end(ending: str) -> None:
    workspace = make_workspace()

    def write() -> None:
        with transaction.atomic():
            emit(workspace, data={"writer": "second"})

    with transaction.atomic():
        emit(workspace, data={"writer": "first"})
        database.check_constraints()  # numbered, as in the midst of its commit
        thread, failures = in_thread(write)
        while thread.is_alive() and not somebody_waits_for_a_lock():
            thread.join(timeout=0.02)
        assert thread.is_alive()
        transaction.set_rollback(ending == "rollback")
    finish(thread, failures)

    writers = [json.loads(event.body)["data"]["writer"] for event in rows(workspace)]
    assert writers == (["first", "second"] if ending == "commit" else ["second"])
    assert [event.position for event in rows(workspace)] == list(range(1, len(writers) + 1))


@pytest.mark.django_db(transaction=True)
def test_follower_beside_two_writers_misses_nothing() -> None:
    workspace, rounds = make_workspace(), 40
    seen: list[int] = []
    written = threading.Event()

    def write() -> None:
        for number in range(rounds):
            with transaction.atomic():
                emit(workspace)
                emit(workspace)
                transaction.set_rollback(number % 4 == 3)

    def follow() -> None:
        after, last_round = 0, False
        while not last_round:
            last_round = written.is_set()
            with scope(workspace=workspace.pk):
                page = feed.read_feed(workspace_id=workspace.pk, environment="live", after=after, limit=7)
            seen.extend(json.loads(body)["position"] for body in page.bodies)
            after, last_round = page.next_after, last_round and not page.has_more

    follower = in_thread(follow)
    writers = [in_thread(write), in_thread(write)]
    for writer in writers:
        finish(*writer)
    written.set()
    finish(*follower)

    assert seen == list(range(1, 2 * 2 * 30 + 1))


@pytest.mark.django_db
def test_emit_records_makes_one_event_for_each_hundred() -> None:
    workspace = make_workspace()
    events.emit_records(
        EventType.RECORD_CREATED,
        (f"po_{number}" for number in range(201)),
        entity="purchase_order",
        workspace_id=workspace.pk,
        environment="live",
        reason="initial",
    )
    database.check_constraints()

    bodies = [json.loads(event.body)["data"] for event in rows(workspace)]
    assert [len(body["ids"]) for body in bodies] == [100, 100, 1]
    assert {body["entity"] for body in bodies} == {"purchase_order"}


@pytest.mark.django_db
def test_events_are_never_saved() -> None:
    with pytest.raises(TypeError):
        Event(type="sync.completed").save()


def ask(client: Any, **query: Any) -> dict[str, Any]:
    response = client.get(FEED, query)
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body


@pytest.mark.django_db
def test_feed_passes_bodies_through_and_goes_on_from_its_end() -> None:
    workspace = make_workspace()
    client = api(make_token(workspace)[1])
    assert ask(client) == {"data": [], "next_after": 0, "has_more": False}

    for number in range(3):
        emit_now(workspace, data={"number": number})
    first = client.get(FEED, {"limit": 2})
    stored = [event.body for event in rows(workspace)]
    assert first.content.decode() == f'{{"data":[{stored[0]},{stored[1]}],"next_after":2,"has_more":true}}'
    rest = ask(client, after=2, limit=2)
    assert [event["data"] for event in rest["data"]] == [{"number": 2}] and not rest["has_more"]
    assert ask(client, after=rest["next_after"]) == {"data": [], "next_after": 3, "has_more": False}
    emit_now(workspace)
    assert [event["position"] for event in ask(client, after=3)["data"]] == [4]


@pytest.mark.django_db
def test_feed_is_of_one_workspace_environment_and_connection() -> None:
    workspace, mine, other = make_workspace(), uuid4(), uuid4()
    emit_now(workspace, connection_id=mine)
    emit_now(workspace, connection_id=other)
    emit_now(workspace, environment="test")
    emit_now(make_workspace(), connection_id=mine)

    whole = api(make_token(workspace)[1])
    assert [event["position"] for event in ask(whole)["data"]] == [1, 2]
    assert len(ask(whole, connection=ids.show("con", other))["data"]) == 1
    assert len(ask(api(make_token(workspace, environment="test")[1]))["data"]) == 1
    narrow = api(make_token(workspace, connection_id=mine)[1])
    page = ask(narrow)
    assert [event["connection"] for event in page["data"]] == [ids.show("con", mine)]
    assert page["next_after"] == 2, "it goes past what it may not see"
    assert narrow.get(FEED, {"connection": str(ids.show("con", other))}).status_code == 404
    shown = str(ids.show("con", other))
    assert len(whole.get(FEED, headers={"X-Connection-Id": shown}).json()["data"]) == 1
    assert narrow.get(FEED, headers={"X-Connection-Id": shown}).status_code == 404
    assert whole.get(FEED, headers={"X-Connection-Id": "nonsense"}).status_code == 404
    assert api(make_token(make_workspace())[1]).get(FEED).json()["data"] == []


@pytest.mark.django_db
def test_feed_by_type_goes_on_where_it_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "SCANNED_POSITIONS", 4)
    workspace = make_workspace()
    for number in range(10):
        emit_now(workspace, type=EventType.SYNC_FAILED if number in (0, 9) else EventType.SYNC_COMPLETED)
    client = api(make_token(workspace)[1])
    pages: list[dict[str, Any]] = [{"next_after": 0, "has_more": True, "data": []}]

    while pages[-1]["has_more"]:
        pages.append(ask(client, after=pages[-1]["next_after"], type="sync.failed,connection.offline"))

    assert [page["next_after"] for page in pages] == [0, 4, 8, 10]
    assert [[event["position"] for event in page["data"]] for page in pages] == [[], [1], [], [10]]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query",
    [
        "after=-1",
        "after=x",
        "after=1",
        "after=" + "9" * 30,
        "limit=0",
        "limit=501",
        "type=sync.done",
        "since=3",
        "type=",
    ],
)
def test_feed_when_a_parameter_is_wrong_is_400(query: str) -> None:
    response = api(make_token(make_workspace())[1]).get(f"{FEED}?{query}")

    assert response.status_code == 400 and response.json()["errors"][0]["pointer"].startswith("?")


@contextmanager
def old_events(workspace: Workspace, count: int) -> Iterator[None]:
    """Events of which the first `count` are older than they are kept."""
    for _ in range(5):
        emit_now(workspace)
    with database.cursor() as cursor:
        cursor.execute(
            "UPDATE workspaces_event SET created_at = now() - interval '31 days' WHERE position <= %s", [count]
        )
    yield


@pytest.mark.django_db
def test_feed_when_the_position_is_no_longer_kept_is_410_and_says_how_to_go_on() -> None:
    workspace = make_workspace()
    client = api(make_token(workspace)[1])
    with old_events(workspace, 3), scopes_disabled():
        assert feed.forget_old_events() == 3
        assert feed.forget_old_events() == 0

    for after in (0, 1, 2):
        response = client.get(FEED, {"after": after})
        body = response.json()
        assert (response.status_code, body["code"]) == (410, "CURSOR_EXPIRED")
        assert (body["restart_after"], body["oldest_after"]) == (5, 3) and "restart_after" in body["detail"]
    assert [event["position"] for event in ask(client, after=3)["data"]] == [4, 5]
    assert [event["position"] for event in ask(client)["data"]] == [4, 5], "without a position: from the oldest kept"


@pytest.mark.django_db
def test_feed_when_nothing_is_kept_any_more_still_knows_its_end() -> None:
    workspace = make_workspace()
    client = api(make_token(workspace)[1])
    with old_events(workspace, 5), scopes_disabled():
        assert feed.forget_old_events(limit=3) == 3
        assert feed.forget_old_events() == 2

    assert client.get(FEED, {"after": 4}).status_code == 410
    assert ask(client, after=5) == ask(client) == {"data": [], "next_after": 5, "has_more": False}
    emit_now(workspace)
    assert [event["position"] for event in ask(client, after=5)["data"]] == [6]


@pytest.mark.django_db
def test_forget_old_events_makes_no_hole_in_what_is_kept() -> None:
    workspace = make_workspace()
    with old_events(workspace, 4), database.cursor() as cursor:
        cursor.execute("UPDATE workspaces_event SET created_at = now() WHERE position = 2")
    with scopes_disabled():
        assert feed.forget_old_events() == 1

    assert [event.position for event in rows(workspace)] == [2, 3, 4, 5]


@pytest.mark.django_db
def test_read_feed_tells_expired_and_unknown_positions_apart() -> None:
    workspace = make_workspace()
    with old_events(workspace, 2), scopes_disabled():
        feed.forget_old_events()
        assert Feed.objects.get(workspace=workspace).position == 5

    with scope(workspace=workspace.pk):
        for after, error in [(0, GoneError), (6, BadRequestError)]:
            with pytest.raises(error):
                feed.read_feed(workspace_id=workspace.pk, environment="live", after=after, limit=10)


@pytest.mark.django_db
def test_reading_a_page_takes_four_queries(django_assert_num_queries: Any) -> None:
    workspace = make_workspace()
    emit_now(workspace)
    client = api(make_token(workspace)[1])
    ask(client)

    with django_assert_num_queries(4):  # the token, the feed's end, the events, the oldest kept one
        ask(client, after=0)
