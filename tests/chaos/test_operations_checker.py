"""The judge of a run of writes is judged itself: doctored histories, in each of which it must find the one thing wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.operations.checker import Findings, check
from tests.chaos.operations.history import Copied, History, Wished

MADE = "chaos-1-made-00001-"
FIRST, SECOND = "chaos-1-changed-00002-", "chaos-1-changed-00003-"


def wished(number: int, kind: str, **facts: Any) -> Wished:
    values = {"entity": "work_order", "table": "workorders", "status": "succeeded", "record": "7", **facts}
    told = [f"operation.{values['status']}"]
    return Wished(id=f"op{number}", order=number, kind=kind, **{"answers": [f"op{number}"], "told": told, **values})


def effect(seq: int, method: str, effect: str, body: Any = None, number: int = 7, path: str = "") -> dict[str, Any]:
    return {
        "seq": seq,
        "method": method,
        "path": f"/v1/workorders/{number}{path}",
        "body": body,
        "entity": "workorders",
        "object_id": number,
        "effect": effect,
        "fault": None,
        "side_effect": False,
    }


def order(number: int = 7, **values: Any) -> dict[str, Any]:
    return {"id": number, "title": MADE, "description": SECOND, "status": "DONE", "deletedAt": None, **values}


CREATE = wished(1, "create", marker=MADE, at="title")
UPDATES = (
    wished(2, "update", marker=FIRST, at="description"),
    wished(3, "update", marker=SECOND, at="description"),
)
ACTIONS = (
    wished(4, "action", action="start", leads_to=["IN_PROGRESS"]),
    wished(5, "action", action="complete", leads_to=["DONE"]),
)
JOURNAL = (
    effect(1, "POST", "created", {"title": MADE}),
    effect(2, "PATCH", "updated", {"description": FIRST}),
    effect(3, "PATCH", "none", {"description": SECOND}),  # a try that did nothing
    effect(4, "PATCH", "updated", {"description": SECOND}),
    effect(5, "PATCH", "updated", {"status": "IN_PROGRESS"}, path="/status"),
    effect(6, "PATCH", "updated", {"status": "DONE"}, path="/status"),
)
GOOD = History([CREATE, *UPDATES, *ACTIONS], JOURNAL, {"workorders": [order(), order(3, title="Old", description="")]})


def with_journal(*entries: dict[str, Any]) -> History:
    return replace(GOOD, journal=[{**entry, "seq": place} for place, entry in enumerate(entries, 1)])


def changed(number: int, **facts: Any) -> History:
    """The good history with another ending of one operation; it is told of as it ended."""
    operations = list(GOOD.operations)
    if "status" in facts:
        facts = {"told": [f"operation.{facts['status']}"], **facts}
    operations[number - 1] = replace(operations[number - 1], **facts)
    return replace(GOOD, operations=operations)


def kinds(findings: Findings) -> set[str]:
    return {text.partition(":")[0] for text in findings.all()}


def test_history_when_nothing_is_wrong_then_nothing_is_found() -> None:
    assert check(GOOD).all() == []


def test_update_when_sent_twice_in_a_row_then_nothing_is_wrong() -> None:
    """It sets absolute values: the second changes nothing."""
    assert check(with_journal(*JOURNAL[:2], JOURNAL[1], *JOURNAL[2:])).all() == []


TWICE = effect(9, "POST", "created", {"title": MADE}, number=8)
UNKNOWN = effect(9, "POST", "created", {"title": "Somebody else's"}, number=8)


@pytest.mark.parametrize(
    ("history", "found"),
    [
        pytest.param(
            replace(with_journal(*JOURNAL, TWICE), objects={"workorders": [order(), order(8)]}),
            {"duplicates", "lost", "disordered"},
            id="made twice",
        ),
        pytest.param(
            replace(GOOD, objects={"workorders": [order(), order(8)]}), {"duplicates", "lost"}, id="stands twice"
        ),
        pytest.param(replace(GOOD, objects={"workorders": []}), {"lost"}, id="object is not there"),
        pytest.param(with_journal(*JOURNAL[1:]), {"lost"}, id="never made"),
        pytest.param(with_journal(*JOURNAL[:1], *JOURNAL[2:]), {"lost"}, id="update without effect"),
        pytest.param(
            replace(with_journal(JOURNAL[0], JOURNAL[3], JOURNAL[1], *JOURNAL[4:]), objects=GOOD.objects),
            {"disordered"},
            id="updates the other way round",
        ),
        pytest.param(
            with_journal(*JOURNAL[:4], JOURNAL[1], *JOURNAL[4:]), {"disordered"}, id="the first update sent again late"
        ),
        pytest.param(
            replace(GOOD, objects={"workorders": [order(description=FIRST)]}), {"lost"}, id="the older value stands"
        ),
        pytest.param(replace(GOOD, objects={"workorders": [order(status="OPEN")]}), {"lost"}, id="action undone"),
        pytest.param(
            with_journal(*JOURNAL[:4], JOURNAL[5], JOURNAL[4]), {"not_wished"}, id="actions the other way round"
        ),
        pytest.param(with_journal(*JOURNAL, UNKNOWN), {"not_wished"}, id="an object nobody wished"),
        pytest.param(changed(2, status="failed"), {"not_wished"}, id="failed and done all the same"),
        pytest.param(changed(1, status="failed"), {"not_wished"}, id="failed and made all the same"),
        pytest.param(changed(3, status="unknown"), {"unfinished"}, id="still unknown"),
        pytest.param(changed(3, status="needs_review"), {"wrongly_reviewed"}, id="a person must look without need"),
        pytest.param(changed(1, answers=["op1", "op9"]), {"keys"}, id="one key, two operations"),
        pytest.param(changed(1, told=["operation.succeeded"] * 2), {"events"}, id="told twice"),
        pytest.param(changed(1, told=[]), {"events"}, id="not told"),
        pytest.param(
            replace(GOOD, copy=[Copied("work_order", "7", {"title": "A"}, {"title": "B"})]), {"copy"}, id="copy differs"
        ),
        pytest.param(replace(GOOD, copy=[Copied("work_order", "7", {"title": "A"}, None)]), {"copy"}, id="copy lives"),
        pytest.param(replace(GOOD, copy=[Copied("work_order", "7", None, {"title": "A"})]), {"copy"}, id="copy lacks"),
    ],
)
def test_history_when_doctored_then_it_is_found(history: History, found: set[str]) -> None:
    assert kinds(check(history)) == found


DELETE = wished(6, "delete")
DELETED = effect(7, "DELETE", "deleted")


def test_delete_when_done_then_object_must_be_gone() -> None:
    operations, journal = [*GOOD.operations, DELETE], [*JOURNAL, DELETED]
    gone = {"workorders": [order(deletedAt="2026-11-24T08:00:00.000Z")]}
    assert check(History(operations, journal, gone)).all() == []
    assert kinds(check(History(operations, journal, GOOD.objects))) == {"lost"}
    assert kinds(check(History(GOOD.operations, journal, gone))) == {"not_wished"}


def test_create_that_needs_review_when_it_may_then_none_or_one_effect_is_right() -> None:
    create = replace(CREATE, entity="location", record="", status="needs_review", told=["operation.needs_review"])
    made = History([create], JOURNAL[:1], {"workorders": [order()]})
    assert check(made).all() == []
    assert check(replace(made, journal=[], objects={"workorders": []})).all() == []
    twice = replace(made, journal=[JOURNAL[0], TWICE], objects={"workorders": [order(), order(8)]})
    assert kinds(check(twice)) == {"duplicates"}


def test_history_when_written_then_it_is_read_as_it_was(tmp_path: Any) -> None:
    GOOD.write(tmp_path / "history.json")
    assert check(History.read(tmp_path / "history.json")).all() == []
