"""The simulator kit over real HTTP: jobs, ETags, journal, control plane, the command as a process."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import Any

import pytest
import requests

from integrations.simulators import SIMULATORS, running
from integrations.simulators.kit.server import Simulator
from tests.documents import ROOT
from tests.simulated_kit import BROKEN, QUICK, Api, api, make, sim, until, writes  # noqa: F401

# --- switches ---------------------------------------------------------------------------------------------------------


def test_etags_when_on_then_a_stale_if_match_is_412_and_nothing_changes(sim: Simulator, api: Api) -> None:
    assert "ETag" not in make(api).headers
    sim.control.settings(etags=True)

    made = make(api, "With tag")
    path = f"/workorders/{made.json()['id']}"
    tag = made.headers["ETag"]
    read = api("GET", path).headers["ETag"]
    changed = api("PATCH", path, {"description": "a"}, headers={"If-Match": tag})
    stale = api("PATCH", path, {"description": "b"}, headers={"If-Match": tag})

    assert (tag, changed.status_code, stale.status_code) == (read, 200, 412)
    assert changed.headers["ETag"] != tag
    assert api("GET", path).json()["workOrder"]["description"] == "a"
    assert api("DELETE", path, headers={"If-Match": tag}).status_code == 412
    assert api("DELETE", path, headers={"If-Match": changed.headers["ETag"]}).status_code == 204


def test_asynchronous_write_is_applied_later(sim: Simulator, api: Api) -> None:
    sim.control.settings(asynchronous={"methods": ["POST"], "entities": ["workorders"], "delay_seconds": 0.2})

    answer = make(api, "Later")
    job = f"/jobs/{answer.json()['jobId']}"
    assert answer.status_code == 202 and answer.headers["Location"] == f"/v1{job}"
    assert api("GET", job).json() == {
        "id": answer.json()["jobId"], "status": "PENDING", "result": None, "error": None,
    }  # fmt: skip
    assert "Later" not in api.titles()

    done = until(lambda: api("GET", job).json()["status"] == "DONE" and api("GET", job).json())

    number = done["result"]["id"]
    assert api("GET", f"/workorders/{number}").json()["workOrder"]["title"] == "Later"
    accepted, applied = writes(sim)
    assert (accepted["status"], accepted["effect"]) == (202, "none")
    assert (applied["status"], applied["effect"], applied["object_id"]) == (201, "created", number)
    assert accepted["request_id"] == applied["request_id"] and accepted["job"] == applied["job"] == done["id"]
    assert api("POST", "/vendors", {"name": "At once"}).status_code == 201
    assert api("PATCH", f"/workorders/{number}", {"title": "At once"}).status_code == 200


@pytest.mark.parametrize(("outcome", "status"), [("failed", "FAILED"), ("never", "RUNNING")])
def test_asynchronous_write_with_another_outcome(sim: Simulator, api: Api, outcome: str, status: str) -> None:
    sim.control.settings(asynchronous={"delay_seconds": 0, "outcome": outcome})

    job = f"/jobs/{make(api, 'Later').json()['jobId']}"

    assert api("GET", job).json()["status"] == status
    assert bool(api("GET", job).json()["error"]) is (outcome == "failed")
    assert "Later" not in api.titles()


def test_asynchronous_write_that_breaks_a_rule_fails(sim: Simulator, api: Api) -> None:
    sim.control.settings(asynchronous={"delay_seconds": 0})

    job = api("POST", "/workorders", {"title": 5}).json()["jobId"]

    answer = api("GET", f"/jobs/{job}").json()
    assert answer["status"] == "FAILED" and "title" in answer["error"]
    assert [entry["status"] for entry in writes(sim)] == [202, 400]


def test_rate_limit_per_minute(sim: Simulator, api: Api) -> None:
    sim.control.settings(rate_limit_per_minute=2)

    answers = [api("GET", "/users") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["X-Rate-Limit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
    assert answers[2].headers["Retry-After"] == answers[2].headers["X-Rate-Limit-Reset"]


def test_latency_is_the_least_a_request_takes(sim: Simulator, api: Api) -> None:
    sim.control.settings(latency_ms=80)

    began = time.monotonic()
    api("GET", "/users")

    assert time.monotonic() - began >= 0.08


@pytest.mark.parametrize(
    "settings",
    [
        {"unknown": 1},
        {"etags": "yes"},
        {"latency_ms": -1},
        {"asynchronous": {"outcome": "maybe"}},
        {"asynchronous": {"when": 1}},
    ],
)
def test_setting_that_cannot_be_is_refused(sim: Simulator, api: Api, settings: dict[str, Any]) -> None:
    before = sim.control.settings()

    assert api("POST", "/_control/settings", settings).status_code == 400
    assert api("GET", "/_control/settings").json() == before


# --- journal and objects ----------------------------------------------------------------------------------------------


def test_journal_tells_every_write_and_no_read(sim: Simulator, api: Api) -> None:
    number = make(api).json()["id"]
    api("GET", f"/workorders/{number}")
    api("PATCH", f"/workorders/{number}", {"title": "Changed"})
    api("PATCH", f"/workorders/{number}", {"title": None})
    api("DELETE", f"/workorders/{number}")
    api("POST", "/nowhere", {})

    entries = api("GET", "/_control/journal").json()["entries"]

    assert [(one["seq"], one["method"], one["object_id"], one["effect"], one["status"]) for one in entries] == [
        (1, "POST", number, "created", 201),
        (2, "PATCH", number, "updated", 200),
        (3, "PATCH", number, "none", 400),
        (4, "DELETE", number, "deleted", 204),
        (5, "POST", None, "none", 404),
    ]
    assert api("GET", "/_control/journal", params={"after": 3}).json()["entries"] == entries[3:]
    assert len({one["request_id"] for one in entries}) == 5


def test_journal_is_exact_under_parallel_writers_with_faults(sim: Simulator, api: Api) -> None:
    """The truth of each write is in the journal, whatever its writer was told."""
    kinds = ("cut", "cut_answer", "apply_then_error", "server_error", "rate_limit", "garbage")
    for seed, kind in enumerate(kinds):
        sim.control.add_fault(kind, "POST", probability=0.15, seed=seed)
    told: dict[str, int | None] = {}
    titles = [[f"Order {writer}-{place}" for place in range(25)] for writer in range(8)]

    def write(own: list[str]) -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {sim.api_key}"
            for title in own:
                try:
                    told[title] = make(Api(sim, session), title).status_code
                except BROKEN:
                    told[title] = None

    threads = [threading.Thread(target=write, args=(own,)) for own in titles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    entries = [one for one in writes(sim) if one["entity"] == "workorders"]
    stored = Counter(title for title in api.titles() if title.startswith("Order "))
    applied = Counter(one["body"]["title"] for one in entries if one["effect"] == "created")
    assert stored == applied and set(stored.values()) == {1}
    assert Counter(one["body"]["title"] for one in entries) == Counter(list(told))
    assert [one["seq"] for one in entries] == sorted(one["seq"] for one in entries)
    for one in entries:
        seen = told[one["body"]["title"]]
        assert seen == (None if one["fault"] in ("cut", "cut_answer") else one["status"])
    assert {one["fault"] for one in entries} == {None, *kinds}
    numbers = [one["sequentialId"] for one in sim.control.objects("workorders")]
    assert len(set(numbers)) == len(numbers)


def test_objects_behind_everybodys_back(sim: Simulator, api: Api) -> None:
    made = api("POST", "/_control/objects/vendors", {"name": "Planted"}).json()
    path = f"/_control/objects/vendors/{made['id']}"

    quiet = api("PATCH", path, {"name": "Quiet"}, params={"quiet": 1}).json()
    loud = until(
        lambda: (found := api("PATCH", path, {"name": "Loud"}).json())["updatedAt"] > quiet["updatedAt"] and found
    )

    assert api("GET", f"/vendors/{made['id']}").json()["vendor"]["name"] == "Loud"
    assert quiet["updatedAt"] == made["updatedAt"] < loud["updatedAt"]
    assert api("GET", "/_control/objects/vendors").json()["objects"][-1] == loud
    effects = [(one["effect"], one["object_id"]) for one in writes(sim)]
    assert effects[:2] == [("created", made["id"]), ("updated", made["id"])]
    assert api("GET", "/_control/objects/nothing").status_code == 404
    assert api("PATCH", "/_control/objects/vendors/1", {}).status_code == 404
    assert api("GET", "/_control/nothing").status_code == 404


def test_reset_is_as_at_the_start(sim: Simulator, api: Api) -> None:
    before = api.titles()
    make(api)
    sim.control.add_fault("cut")
    sim.control.settings(etags=True)

    assert api("POST", "/_control/reset").status_code == 204

    assert api.titles() == before
    assert (sim.control.faults(), sim.control.settings()["etags"], sim.control.journal()) == ([], False, [])
    make(api)
    assert [one["seq"] for one in sim.control.journal()] == [2]


def test_status_counts_objects_and_requests(api: Api) -> None:
    for path in ("/users", "/users", "/users/1"):
        api("GET", path)

    status = api("GET", "/_control/status").json()

    assert status["simulator"] == "maintainx" and status["objects"]["workorders"] == 30
    assert status["requests"] == {"GET /v1/users": 2, "GET /v1/users/{id}": 1}


# --- server -----------------------------------------------------------------------------------------------------------


def test_connection_is_kept_alive(sim: Simulator) -> None:
    connection = http.client.HTTPConnection(sim.origin.removeprefix("http://"), timeout=QUICK)
    ports = set()
    for _ in range(3):
        connection.request("GET", "/v1/users?limit=1", headers={"Authorization": f"Bearer {sim.api_key}"})
        assert json.loads(connection.getresponse().read())["users"]
        ports.add(connection.sock.getsockname())
    connection.close()

    assert len(ports) == 1


def test_body_without_a_length_is_refused(sim: Simulator) -> None:
    answer = requests.post(f"{sim.base_url}/vendors", data=iter([b"{}"]), timeout=QUICK)

    assert answer.status_code == 411


def test_simulators_stand_beside_each_other_and_stop() -> None:
    with running("maintainx", scale=0.1) as one, running("maintainx", scale=0.1, seed=2) as other:
        assert one.origin != other.origin and one.api_key != other.api_key
        assert requests.get(f"{other.origin}/_control/status", timeout=QUICK).ok
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{one.origin}/_control/status", timeout=QUICK)


def test_command_serves_until_sigterm() -> None:
    command = [sys.executable, "manage.py", "simulator", "maintainx", "--small"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        headers = {"Authorization": f"Bearer {ready['api_key']}"}
        answer = requests.get(f"{ready['base_url']}/workorders", headers=headers, timeout=QUICK)
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=QUICK)
    finally:
        process.kill()
        process.wait()

    assert ready["simulator"] == "maintainx" and len(answer.json()["workOrders"]) == 30
    assert (process.returncode, rest) == (0, "")


def test_registry_names_are_those_of_the_tenants() -> None:
    assert {name: make_tenant().name for name, make_tenant in SIMULATORS.items()} == {name: name for name in SIMULATORS}
