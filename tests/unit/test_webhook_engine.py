"""The delivery engine over real HTTP, under a clock that is set by hand."""

from __future__ import annotations

import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django_scopes import scope, scopes_disabled

from core import ids
from core.seldom import Seldom
from tests.tenants import emit_now, make_workspace
from tests.webhook_stage import (
    LOOPBACK_NETWORKS,
    HandClock,
    add_secret,
    deliver,
    deliveries,
    fresh,
    make_endpoint,
    run_until_settled,
    sink,
)
from webhooks.models import Delivery, DeliveryAttempt, WebhookEndpoint, WebhookSecret
from webhooks.services import recover, resend, send_test
from webhooks.services.claiming import LEASE_SECONDS, SLOTS, claim_batch
from webhooks.services.endpoints import enable_endpoint, update_endpoint
from webhooks.services.fanout import fan_out
from webhooks.services.judging import Outcome
from webhooks.services.keeping import forget_old_deliveries
from webhooks.services.outcomes import write_outcomes
from webhooks.services.schedule import DELAYS, PROBE_MAX_SECONDS
from webhooks.services.seats import SEATS, has_free_seat, seat
from webhooks.services.sending import close_kept_doors, drain
from webhooks.ticks import hint_due_deliveries
from workspaces.choices import EventType
from workspaces.models import AuditEvent, Event, Workspace

pytestmark = pytest.mark.django_db
CLOSED_PORT = "http://127.0.0.1:9/hook"


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> Iterator[None]:
    settings.EGRESS_ALLOWED_NETWORKS = LOOPBACK_NETWORKS
    yield
    close_kept_doors()


@pytest.fixture
def hand(monkeypatch: Any) -> HandClock:
    return HandClock(monkeypatch)


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace()


def emit(workspace: Any, count: int = 1, **facts: Any) -> list[Any]:
    values = {"environment": "test", "data": {"run": "run_1"}, **facts}
    return [emit_now(workspace, **values) for _ in range(count)]


def attempts(delivery: Delivery) -> list[DeliveryAttempt]:
    with scopes_disabled():
        return list(DeliveryAttempt.objects.filter(delivery=delivery).order_by("number"))


def events_of(workspace: Workspace, type: EventType) -> list[dict[str, Any]]:
    with scopes_disabled():
        connection.check_constraints()
        found = Event.objects.filter(workspace=workspace, type=type).order_by("position")
        return [json.loads(body) for body in found.values_list("body", flat=True)]


def age(endpoint: WebhookEndpoint, **facts: Any) -> None:
    with scopes_disabled():
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(**facts)


# --- one delivery -----------------------------------------------------------------------------------------------------


def test_a_delivery_is_the_events_own_body_signed_by_the_standard(workspace: Workspace) -> None:
    with sink() as there:
        endpoint = make_endpoint(workspace, there.url)
        (event,) = emit(workspace)
        assert deliver() == 1
    (message,) = there.messages
    with scopes_disabled():
        assert message.body.decode() == Event.objects.get(pk=event).body
        assert WebhookSecret.objects.get(endpoint=endpoint)
    assert message.method == "POST" and message.headers["content-type"] == "application/json"
    assert message.headers["webhook-id"] == ids.show("evt", event)
    (row,) = deliveries(endpoint)
    assert (row.status, row.attempts, row.lease_until, row.due_at) == ("delivered", 1, None, None)
    assert row.delivered_at is not None
    (attempt,) = attempts(row)
    assert (attempt.number, attempt.status_code, attempt.error_code, attempt.signed_with) == (1, 204, "", 1)
    assert attempt.elapsed_ms > 0
    assert fresh(endpoint).last_success_at is not None
    assert deliver() == 0


def test_during_a_rotation_both_secrets_sign(workspace: Workspace) -> None:
    with sink() as there:
        endpoint = make_endpoint(workspace, there.url)
        with scopes_disabled():
            WebhookSecret.objects.filter(endpoint=endpoint).update(expires_at=None)
            old = WebhookSecret.objects.get(endpoint=endpoint)
            old.expires_at = old.created_at + timedelta(hours=24)
            old.save()
        secret = add_secret(endpoint)
        emit(workspace)
        deliver()
        with scopes_disabled():
            WebhookSecret.objects.filter(pk=old.pk).update(expires_at=old.created_at - timedelta(hours=1))
        emit(workspace)
        deliver()
    first, second = there.messages
    assert len(first.headers["webhook-signature"].split()) == 2
    assert len(second.headers["webhook-signature"].split()) == 1
    signed = f"{second.headers['webhook-id']}.{second.headers['webhook-timestamp']}.".encode() + second.body
    wanted = hmac.digest(b64decode(secret.removeprefix("whsec_")), signed, sha256)
    assert second.headers["webhook-signature"] == "v1," + b64encode(wanted).decode()
    assert [attempts(row)[0].signed_with for row in deliveries(endpoint)] == [2, 1]


def test_the_whole_schedule_is_kept_and_ends_with_an_event(workspace: Workspace, hand: HandClock) -> None:
    with sink(500) as there:
        endpoint = make_endpoint(workspace, there.url, event_types=["sync.completed"])
        (event,) = emit(workspace)
        fan_out()
        (row,) = deliveries(endpoint)
        times = []

        def attempt(found: Delivery) -> None:
            if fresh(endpoint).probe_at and endpoint.probe_at > hand.at:
                assert endpoint.probe_at - hand.at <= timedelta(seconds=PROBE_MAX_SECONDS)
            hand.advance(-0.001)
            assert drain() == 0, "nothing is sent before its time"
            hand.advance(0.001)
            assert drain() == 1
            times.append(hand.at)

        found = run_until_settled(hand, endpoint, attempt, row.pk)
    assert (found.status, found.attempts, found.due_at) == ("exhausted", 10, None)
    assert set(there.ids()) == {ids.show("evt", event)} and len(there.ids()) == 10
    waits = [(after - before).total_seconds() for before, after in pairwise(times)]
    for wait, delay in zip(waits, DELAYS[1:], strict=True):
        assert 0.9 * delay <= wait <= 1.1 * delay
    assert [one.status_code for one in attempts(row)] == [500] * 10
    (told,) = events_of(workspace, EventType.DELIVERY_EXHAUSTED)
    assert told["data"] == {
        "endpoint": ids.show("whe", endpoint.pk), "delivery": ids.show("whd", row.pk), "event": ids.show("evt", event)
    }  # fmt: skip
    assert fresh(endpoint).status == "active", "75 hours are not 5 days"


def test_giving_up_the_news_of_a_given_up_delivery_is_not_told_again(workspace: Workspace) -> None:
    endpoint = make_endpoint(workspace, CLOSED_PORT)
    emit(workspace, type=EventType.DELIVERY_EXHAUSTED)
    fan_out()
    with scopes_disabled():
        Delivery.objects.filter(endpoint=endpoint).update(attempts=9)
    assert drain() == 1
    assert deliveries(endpoint)[0].status == "exhausted"
    assert len(events_of(workspace, EventType.DELIVERY_EXHAUSTED)) == 1


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_is_not_2xx_is_failure_and_no_redirect_is_followed(workspace: Workspace, status: int) -> None:
    with sink(status, headers={"location": "/elsewhere"}) as there:
        endpoint = make_endpoint(workspace, there.url)
        emit(workspace)
        deliver()
    assert [message.path for message in there.messages] == ["/hook"]
    (row,) = deliveries(endpoint)
    (attempt,) = attempts(row)
    assert (row.status, attempt.status_code, attempt.error_code) == ("pending", status, f"HTTP_{status}")


def test_retry_after_is_honoured(workspace: Workspace, hand: HandClock) -> None:
    with sink(429, headers={"retry-after": "100"}) as there:
        endpoint = make_endpoint(workspace, there.url)
        emit(workspace)
        deliver()
    assert deliveries(endpoint)[0].due_at == hand.at + timedelta(seconds=100)


def test_410_disables_and_what_is_pending_goes_out_after_enabling(workspace: Workspace, hand: HandClock) -> None:
    with sink(410, 204) as there:
        endpoint = make_endpoint(workspace, there.url)
        other = make_endpoint(workspace, there.url, event_types=[EventType.ENDPOINT_DISABLED])
        emit(workspace)
        assert deliver() == 1
        assert fresh(endpoint).status == "disabled" and "410" in endpoint.disabled_reason
        assert events_of(workspace, EventType.ENDPOINT_DISABLED)[0]["data"] == {
            "endpoint": ids.show("whe", endpoint.pk), "reason": endpoint.disabled_reason
        }  # fmt: skip
        with scopes_disabled():
            assert AuditEvent.objects.filter(action="webhook_endpoint.disabled").count() == 1
        hand.advance(60)
        assert deliver() == 1, "the other one is told that it was disabled"
        assert deliveries(other)[0].status == "delivered"

        with scope(workspace=workspace.pk):
            enable_endpoint(endpoint)
        assert deliver() == 2
    assert [row.status for row in deliveries(endpoint)] == ["delivered", "delivered"]
    assert fresh(endpoint).failures_in_row == 0


def test_five_days_of_nothing_but_failure_disable(workspace: Workspace, hand: HandClock) -> None:
    endpoint = make_endpoint(workspace, CLOSED_PORT)
    emit(workspace)
    deliver()
    assert fresh(endpoint).failing_since == hand.at
    hand.advance(5 * 86_400)
    drain()
    assert fresh(endpoint).status == "active"
    hand.advance(86_400)
    drain()
    assert fresh(endpoint).status == "disabled" and "5 days" in endpoint.disabled_reason
    assert len(events_of(workspace, EventType.ENDPOINT_DISABLED)) == 1
    hand.advance(86_400)
    assert drain() == 0


def test_success_forgets_failures(workspace: Workspace, hand: HandClock) -> None:
    with sink(500, 204) as there:
        endpoint = make_endpoint(workspace, there.url)
        emit(workspace)
        deliver()
        assert (fresh(endpoint).failures_in_row, endpoint.failing_since) == (1, hand.at)
        hand.advance(6)
        drain()
    assert (fresh(endpoint).failures_in_row, endpoint.failing_since, endpoint.probe_at) == (0, None, None)


def test_live_endpoints_are_reached_by_https_at_public_addresses_alone(workspace: Workspace) -> None:
    with sink() as there:
        endpoint = make_endpoint(workspace, there.url, environment="live")
        emit(workspace, environment="live")
        deliver()
    assert there.messages == []
    assert attempts(deliveries(endpoint)[0])[0].error_code == "EGRESS_DENIED"


def test_a_secret_that_does_not_open_is_our_fault_and_stops_nobody_else(workspace: Workspace) -> None:
    with sink() as there:
        broken, sound = make_endpoint(workspace, there.url), make_endpoint(workspace, there.url)
        with scopes_disabled():
            WebhookSecret.objects.filter(endpoint=broken).update(ciphertext=b"nonsense")
        emit(workspace)
        assert deliver() == 2
    (row,) = deliveries(broken)
    assert (row.status, row.attempts, attempts(row)[0].error_code) == ("pending", 1, "KEY_MISSING")
    assert fresh(broken).failures_in_row == 0
    assert deliveries(sound)[0].status == "delivered"


# --- claims -----------------------------------------------------------------------------------------------------------


def test_an_endpoint_gets_no_more_than_its_slots(workspace: Workspace) -> None:
    endpoints = [make_endpoint(workspace, CLOSED_PORT) for _ in range(3)]
    emit(workspace, SLOTS + 5)
    fan_out()
    claims = claim_batch(1000)
    for endpoint in endpoints:
        assert sum(claim.endpoint_id == endpoint.pk for claim in claims) == SLOTS
    assert claim_batch(1000, {endpoint.pk: SLOTS for endpoint in endpoints}) == []
    (more,) = claim_batch(1000, {**{endpoint.pk: SLOTS for endpoint in endpoints}, endpoints[0].pk: SLOTS - 1})
    assert (more.endpoint_id, more.position) == (endpoints[0].pk, SLOTS + 1)


def test_what_a_dead_worker_had_under_way_does_not_hold_up_the_next(workspace: Workspace) -> None:
    make_endpoint(workspace, CLOSED_PORT)
    emit(workspace, 2 * SLOTS)
    fan_out()
    assert len(claim_batch(1000)) == len(claim_batch(1000)) == SLOTS


def test_deliveries_go_out_in_the_order_of_the_feed(workspace: Workspace) -> None:
    endpoints = [make_endpoint(workspace, CLOSED_PORT) for _ in range(3)]
    emit(workspace, SLOTS)
    fan_out()
    claims = claim_batch(1000)
    assert [claim.position for claim in claims if claim.endpoint_id == endpoints[0].pk] == list(range(1, SLOTS + 1))


def test_a_small_batch_is_shared_by_all_who_wait(workspace: Workspace) -> None:
    endpoints = [make_endpoint(workspace, CLOSED_PORT) for _ in range(4)]
    emit(workspace, 5)
    fan_out()
    claims = claim_batch(8)
    assert sorted(claim.endpoint_id for claim in claims) == sorted(endpoint.pk for endpoint in endpoints * 2)


def test_an_endpoint_that_fails_is_probed_one_by_one_and_in_turn(workspace: Workspace, hand: HandClock) -> None:
    endpoint = make_endpoint(workspace, CLOSED_PORT)
    emit(workspace, 5)
    fan_out()
    assert drain() == 5, "all were under way before the third had failed"
    hand.advance(6)
    seen = []
    for _ in range(5):
        (claim,) = claim_batch(100)
        hand.advance(0.1)
        assert claim_batch(100) == [], "one at a time"
        write_outcomes([Outcome(claim, status_code=500, error_code="HTTP_500")])
        assert claim_batch(100) == [], "not before the probe is due"
        seen.append(claim.position)
        hand.reach(fresh(endpoint).probe_at)
    assert sorted(seen) == [1, 2, 3, 4, 5]


def test_one_good_probe_opens_the_endpoint_again(workspace: Workspace, hand: HandClock) -> None:
    endpoint = make_endpoint(workspace, CLOSED_PORT, failures_in_row=7, failing_since=hand.at, probe_at=hand.at)
    emit(workspace, 30)
    fan_out()
    (claim,) = claim_batch(100)
    write_outcomes([Outcome(claim, status_code=200)])
    assert len(claim_batch(100)) == SLOTS
    assert fresh(endpoint).probe_at is None


def test_a_dead_endpoint_with_a_long_backlog_costs_the_others_nothing(workspace: Workspace, hand: HandClock) -> None:
    with sink() as there:
        dead = make_endpoint(workspace, CLOSED_PORT, failures_in_row=50, failing_since=hand.at, probe_at=hand.at)
        emit(workspace, 40)
        fan_out()
        alive = make_endpoint(workspace, there.url)
        hand.advance(1)
        emit(workspace, 40)
        assert deliver() == 41
    assert {row.status for row in deliveries(alive)} == {"delivered"}
    assert sum(row.attempts for row in deliveries(dead)) == 1


def test_paused_endpoints_are_sent_nothing_until_they_are_resumed(workspace: Workspace) -> None:
    with sink() as there:
        endpoint = make_endpoint(workspace, there.url)
        emit(workspace)
        fan_out()
        age(endpoint, status="paused")
        assert drain() == 0
        age(endpoint, status="active")
        assert drain() == 1


def test_a_claim_whose_worker_died_falls_due_again_and_its_late_outcome_is_left_out(
    workspace: Workspace, hand: HandClock
) -> None:
    endpoint = make_endpoint(workspace, CLOSED_PORT)
    emit(workspace)
    fan_out()
    (lost,) = claim_batch(10)
    hand.advance(LEASE_SECONDS - 0.001)
    assert claim_batch(10) == []
    hand.advance(0.001)
    (second,) = claim_batch(10)
    assert (second.id, second.fence) == (lost.id, lost.fence + 1)

    assert write_outcomes([Outcome(lost, status_code=500, error_code="HTTP_500")]) == 0
    (row,) = deliveries(endpoint)
    assert (row.attempts, attempts(row), fresh(endpoint).failures_in_row) == (0, [], 0)
    assert write_outcomes([Outcome(second, status_code=200)]) == 1
    assert write_outcomes([Outcome(second, status_code=200)]) == 0
    assert deliveries(endpoint)[0].status == "delivered"


def test_recovering_takes_a_claim_that_has_ended_from_its_worker(workspace: Workspace, hand: HandClock) -> None:
    endpoint = make_endpoint(workspace, CLOSED_PORT)
    emit(workspace)
    fan_out()
    with scopes_disabled():
        Delivery.objects.filter(endpoint=endpoint).update(attempts=9)
    (lost,) = claim_batch(10)
    hand.advance(LEASE_SECONDS)
    with scope(workspace=workspace.pk):
        assert recover(endpoint, since=hand.at - timedelta(hours=1), by="ann") == 1
    assert write_outcomes([Outcome(lost, status_code=500, error_code="HTTP_500")]) == 0
    (row,) = deliveries(endpoint)
    assert (row.status, row.attempts) == ("pending", 0), "the fresh schedule holds"


def test_what_an_address_answers_is_not_held_against_the_one_that_replaced_it(workspace: Workspace) -> None:
    endpoint = make_endpoint(workspace, CLOSED_PORT)
    emit(workspace)
    fan_out()
    (claim,) = claim_batch(10)
    with scope(workspace=workspace.pk):
        update_endpoint(endpoint, url="http://127.0.0.1:9/new")
    assert write_outcomes([Outcome(claim, status_code=410, error_code="HTTP_410")]) == 1
    assert (fresh(endpoint).status, endpoint.failures_in_row) == ("active", 0)
    (row,) = deliveries(endpoint)
    assert (row.status, row.attempts) == ("pending", 1)


def test_what_was_sent_thin_stays_thin_when_the_endpoint_asks_for_full_payloads(
    workspace: Workspace, hand: HandClock
) -> None:
    with sink(500) as there:
        endpoint = make_endpoint(workspace, there.url)
        emit(workspace)
        deliver()
    age(endpoint, payload="full")
    emit(workspace)
    fan_out()
    hand.advance(6)
    again, new = sorted(claim_batch(10), key=lambda claim: claim.position)
    assert again.body.encode() == there.messages[0].body
    assert new.body == "", "it is still to be rendered"


def test_nothing_is_sent_by_a_worker_that_was_frozen_until_its_claim_ended(
    workspace: Workspace, monkeypatch: Any
) -> None:
    with sink() as there:
        endpoint = make_endpoint(workspace, there.url)
        emit(workspace)
        fan_out()
        real = claim_batch

        def frozen(limit: int, under_way: Any) -> Any:
            claims = real(limit, under_way)
            return [type(one)(**{**vars(one), "not_after": one.not_after - LEASE_SECONDS}) for one in claims]

        monkeypatch.setattr("webhooks.services.sending.claim_batch", frozen)
        assert drain() == 0
    assert there.messages == []
    assert deliveries(endpoint)[0].status == "pending"


def test_seats_limit_who_delivers_at_once(workspace: Workspace) -> None:
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            for number in range(SEATS):
                cursor.execute("SELECT pg_advisory_lock(%s, %s)", [0x6C73, number])
        assert not has_free_seat()
        with seat() as is_seated:
            assert not is_seated
        make_endpoint(workspace, CLOSED_PORT)
        emit(workspace)
        fan_out()
        assert drain() == 0
    finally:
        other.close()


def test_the_tick_tells_a_worker_of_what_is_due_but_not_each_second(workspace: Workspace, monkeypatch: Any) -> None:
    told: list[Any] = []

    def publish(task: str, row_id: Any, *, queue: str) -> bool:
        told.append((task, row_id, queue))
        return True

    monkeypatch.setattr("core.hints.publish", publish)
    monkeypatch.setattr("webhooks.ticks._hints", Seldom(seconds=0.0))
    assert hint_due_deliveries() == 0
    endpoint = make_endpoint(workspace, CLOSED_PORT)
    emit(workspace)
    fan_out()
    assert hint_due_deliveries() == 1
    assert told == [("webhooks.deliver", endpoint.pk, "events")]
    claim_batch(10)
    assert hint_due_deliveries() == 0


# --- by hand ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["active", "paused", "disabled"])
def test_a_test_goes_out_at_once_whatever_the_endpoints_state(workspace: Workspace, status: str) -> None:
    with sink() as there:
        endpoint = make_endpoint(workspace, there.url, status=status, failures_in_row=9)
        with scope(workspace=workspace.pk):
            for type in ("webhook.test", "record.updated"):
                assert send_test(endpoint, type, by="ann").is_manual
        assert drain() == 2
    bodies = [json.loads(message.body) for message in there.messages]
    assert {body["type"] for body in bodies} == {"webhook.test", "record.updated"}
    assert {body["reason"] for body in bodies} == {"test"}
    assert {body["id"] for body in bodies} == set(there.ids())
    assert {row.position for row in deliveries(endpoint, status="delivered")} == {0}


def test_a_failed_test_has_one_attempt_and_tells_nobody(workspace: Workspace) -> None:
    endpoint = make_endpoint(workspace, CLOSED_PORT)
    with scope(workspace=workspace.pk):
        send_test(endpoint, "webhook.test", by="ann")
    assert drain() == 1
    assert deliveries(endpoint)[0].status == "exhausted"
    assert events_of(workspace, EventType.DELIVERY_EXHAUSTED) == []


def test_resending_repeats_the_message_under_its_id_and_settles_what_waits(workspace: Workspace) -> None:
    with sink(500, 204) as there:
        endpoint = make_endpoint(workspace, there.url)
        emit(workspace)
        deliver()
        (waiting,) = deliveries(endpoint)
        with scope(workspace=workspace.pk):
            again = resend(waiting, by="ann")
        assert drain() == 1
    assert len(set(there.ids())) == 1 and there.messages[0].body == there.messages[1].body
    assert (fresh(again).status, again.attempts) == ("delivered", 1)
    assert (fresh(waiting).status, waiting.attempts) == ("delivered", 1)


def test_recovering_sends_what_was_given_up(workspace: Workspace) -> None:
    with sink() as there:
        endpoint = make_endpoint(workspace, there.url)
        emit(workspace, 3)
        fan_out()
        with scopes_disabled():
            since = Event.objects.filter(workspace=workspace).order_by("position")[0].created_at
            Delivery.objects.filter(endpoint=endpoint).update(status="exhausted", due_at=None, attempts=10)
        age(endpoint, failures_in_row=30, probe_at=since + timedelta(days=1))
        with scope(workspace=workspace.pk):
            assert recover(endpoint, since=since, by="ann") == 3
        assert drain() == 3
    assert {row.status for row in deliveries(endpoint)} == {"delivered"}


# --- keeping ----------------------------------------------------------------------------------------------------------


def test_deliveries_are_forgotten_with_their_attempts_after_30_days(workspace: Workspace, hand: HandClock) -> None:
    endpoint = make_endpoint(workspace, CLOSED_PORT)
    emit(workspace)
    deliver()
    hand.advance(30 * 86_400 - 1)
    assert forget_old_deliveries() == 0
    hand.advance(2)
    assert forget_old_deliveries() == 1
    with scopes_disabled():
        assert (Delivery.objects.count(), DeliveryAttempt.objects.count()) == (0, 0)
    assert deliveries(endpoint) == []
