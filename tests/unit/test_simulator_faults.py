"""The faults of the simulator kit over real HTTP: what each kind does, and when it strikes."""

from __future__ import annotations

import http.client
import threading
import time
from typing import Any

import pytest
import requests

from integrations.simulators import running
from integrations.simulators.kit.faults import KINDS
from integrations.simulators.kit.server import Simulator
from tests.documents import ROOT
from tests.simulated_kit import BROKEN, QUICK, Api, api, make, sim, until, writes  # noqa: F401


@pytest.mark.parametrize(
    ("kind", "parameters", "status", "is_applied"),
    [
        ("rate_limit", {"retry_after": 7}, 429, False),
        ("server_error", {}, 500, False),
        ("server_error", {"status": 503}, 503, False),
        ("apply_then_error", {}, 500, True),
        ("unauthorized", {}, 401, False),
        ("garbage", {}, 200, False),
    ],
)
def test_fault_that_answers(
    sim: Simulator, api: Api, kind: str, parameters: dict[str, Any], status: int, is_applied: bool
) -> None:
    sim.control.add_fault(kind, "POST", "/v1/workorders", times=1, **parameters)

    answer = make(api, "Odd one")

    assert answer.status_code == status
    (entry,) = writes(sim)
    assert (entry["fault"], entry["status"]) == (kind, status)
    assert entry["effect"] == ("created" if is_applied else "none")
    assert ("Odd one" in api.titles()) is is_applied
    assert make(api, "Next").status_code == 201


@pytest.mark.parametrize(
    ("kind", "parameters", "is_applied", "told"),
    [
        ("cut", {}, False, None),
        ("hang", {"seconds": 0.05}, False, None),
        ("cut_answer", {}, True, 201),
        ("apply_then_hang", {"seconds": 0.05}, True, None),
    ],
)
def test_fault_that_ends_the_connection(
    sim: Simulator, api: Api, kind: str, parameters: dict[str, Any], is_applied: bool, told: int | None
) -> None:
    sim.control.add_fault(kind, times=1, **parameters)

    with pytest.raises(BROKEN):
        make(api, "Odd one")

    (entry,) = writes(sim)
    assert (entry["fault"], entry["status"]) == (kind, told)
    assert entry["effect"] == ("created" if is_applied else "none")
    assert ("Odd one" in api.titles()) is is_applied


def test_cut_answer_sends_the_head_and_half_of_the_body(sim: Simulator) -> None:
    sim.control.add_fault("cut_answer", times=1)
    connection = http.client.HTTPConnection(sim.origin.removeprefix("http://"), timeout=QUICK)

    connection.request("GET", "/v1/users", headers={"Authorization": f"Bearer {sim.api_key}"})
    answer = connection.getresponse()

    with pytest.raises(http.client.IncompleteRead) as raised:
        answer.read()
    connection.close()
    assert 0 < len(raised.value.partial) < int(answer.headers["Content-Length"])


def test_cut_answer_of_a_delete_is_no_answer(sim: Simulator, api: Api) -> None:
    number = sim.control.objects("workorders")[0]["id"]
    sim.control.add_fault("cut_answer", "DELETE", times=1)

    with pytest.raises(BROKEN):
        api("DELETE", f"/workorders/{number}")

    assert sim.control.objects("workorders")[0]["deletedAt"]


def test_hang_ends_when_the_simulator_stops() -> None:
    errors: list[BaseException] = []

    def ask(sim: Simulator) -> None:
        try:
            requests.get(f"{sim.base_url}/users", timeout=QUICK)
        except requests.RequestException as error:
            errors.append(error)

    with running("maintainx", scale=0.1) as sim:
        sim.control.add_fault("hang", seconds=600)
        thread = threading.Thread(target=ask, args=(sim,))
        thread.start()
        until(lambda: sim.control.faults()[0]["fired"])
    thread.join(QUICK)

    assert len(errors) == 1


def test_slow_body_comes_whole(sim: Simulator, api: Api) -> None:
    plain = api("GET", "/workorders").json()
    sim.control.add_fault("slow_body", seconds=0.2)

    began = time.monotonic()
    slow = api("GET", "/workorders").json()

    assert slow == plain
    assert time.monotonic() - began >= 0.2


def test_repeated_page_never_ends(sim: Simulator, api: Api) -> None:
    sim.control.add_fault("repeated_page", path="/v1/workorders", after=1)
    first = api("GET", "/workorders", params={"limit": 10}).json()

    pages = []
    cursor = first["nextCursor"]
    for _ in range(3):
        pages.append(api("GET", "/workorders", params={"limit": 10, "cursor": cursor}).json())
        cursor = pages[-1]["nextCursor"]

    assert pages[0] == pages[1] == pages[2]
    assert pages[0]["workOrders"] != first["workOrders"]


def test_repeated_page_when_there_is_only_one_then_names_a_next_one(sim: Simulator, api: Api) -> None:
    sim.control.add_fault("repeated_page", path="/v1/vendors")

    first = api("GET", "/vendors").json()
    second = api("GET", "/vendors", params={"cursor": first["nextCursor"]}).json()

    assert first == second and first["nextCursor"]


def test_expired_token_refuses_cursors_only(sim: Simulator, api: Api) -> None:
    sim.control.add_fault("expired_token", path="/v1/workorders")

    first = api("GET", "/workorders", params={"limit": 10})
    second = api("GET", "/workorders", params={"limit": 10, "cursor": first.json()["nextCursor"]})

    assert (first.status_code, second.status_code) == (200, 400)
    assert "expired" in second.json()["error"]


@pytest.mark.parametrize(("filters", "is_ignored"), [([], True), (["statuses"], True), (["updatedAt[gte]"], False)])
def test_ignored_filter(sim: Simulator, api: Api, filters: list[str], is_ignored: bool) -> None:
    sim.control.add_fault("ignored_filter", filters=filters)

    page = api("GET", "/workorders", params={"statuses": "DONE", "limit": 5}).json()

    assert ({row["status"] for row in page["workOrders"]} != {"DONE"}) is is_ignored
    assert "statuses=DONE" in page["nextPageUrl"]


def test_dropped_field_is_not_stored_but_journaled(sim: Simulator, api: Api) -> None:
    sim.control.add_fault("dropped_field", fields=["description"], times=1)

    number = api("POST", "/workorders", {"title": "T", "description": "Gone"}).json()["id"]

    assert api("GET", f"/workorders/{number}").json()["workOrder"]["description"] is None
    (entry,) = writes(sim)
    assert entry["body"] == {"title": "T", "description": "Gone"}
    assert entry["fault"] == "dropped_field"


def test_every_kind_of_fault_has_a_test() -> None:
    text = (ROOT / "tests/unit/test_simulator_faults.py").read_text()

    assert [kind for kind in KINDS if f'"{kind}"' not in text] == []


def test_fault_when_matched_by_body_after_and_times(sim: Simulator, api: Api) -> None:
    sim.control.add_fault("server_error", "POST", "^/v1/workorders$", body_contains="seal", after=1, times=2)

    answers = [make(api, title).status_code for title in ("seal", "belt", "seal", "seal", "seal")]

    assert answers == [201, 201, 500, 500, 201]
    (fault,) = sim.control.faults()
    assert (fault["seen"], fault["fired"]) == (4, 2)


def test_fault_with_probability_is_the_same_for_the_same_seed(sim: Simulator, api: Api) -> None:
    runs = []
    for _ in range(2):
        sim.control.clear_faults()
        sim.control.add_fault("server_error", probability=0.5, seed=3)
        runs.append([api("GET", "/users").status_code for _ in range(20)])

    assert runs[0] == runs[1] and set(runs[0]) == {200, 500}


def test_faults_over_http(api: Api) -> None:
    made = api("POST", "/_control/faults", {"kind": "server_error", "match": {"path": "/v1/users"}})
    listed = api("GET", "/_control/faults").json()["faults"]
    refused = api("GET", "/users").status_code
    removed = api("DELETE", f"/_control/faults/{made.json()['id']}").status_code

    assert (made.status_code, listed, refused, removed) == (201, [made.json()], 500, 204)
    assert api("GET", "/users").status_code == 200
    assert api("DELETE", "/_control/faults/99").status_code == 404
    assert api("DELETE", "/_control/faults").status_code == 204


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "unknown"},
        {"kind": "cut", "seconds": 3},
        {"kind": "cut", "match": {"verb": "GET"}},
        {"kind": "cut", "match": {"path": "^("}},
        {"kind": "dropped_field", "fields": "title"},
    ],
)
def test_fault_that_cannot_be_meant_is_refused(sim: Simulator, api: Api, fault: dict[str, Any]) -> None:
    answer = api("POST", "/_control/faults", fault)

    assert answer.status_code == 400 and answer.json()["error"]
    assert sim.control.faults() == []
