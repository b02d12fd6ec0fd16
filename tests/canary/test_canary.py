"""A secret put in as credential, grant, client, token or password appears nowhere: database, Redis, tasks, logs, admin,
API, problems and events are searched for it, in clear and encoded. After a purge nothing of the customer is left.

Everything runs once, in real processes; the tests look at what came of it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django_scopes import scopes_disabled

from connections.models import Connection, UpstreamCall
from syncs.models import Operation, SyncRun
from tests.canary import acts, places
from tests.canary.scanner import Scanner
from tests.canary.stage import ADMIN, CUSTOMER, STRANGERS, Stage, stage
from tests.chaos.processes import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(420)]
DATABASE, KEYS, COMMANDS, LOGS = "database", "Redis keys", "Redis commands", "logs"
EVERYWHERE = (DATABASE, KEYS, COMMANDS, LOGS, "API answers", ADMIN, CUSTOMER, STRANGERS)


@dataclass
class Played:
    """What came of it: place -> piece -> bytes, and some counts that tell that something happened at all."""

    scanner: Scanner
    evidence: dict[str, dict[str, bytes]]
    happened: dict[str, Any] = field(default_factory=dict)
    purged: dict[str, bytes] = field(default_factory=dict)
    customer: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def played(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("canary")
    with django_db_blocker.unblock():
        try:
            yield _play(folder)
        finally:
            call_command("flush", verbosity=0, interactive=False)


def _play(folder: Path) -> Played:
    traffic = places.Traffic()
    with traffic.listening(), stage(folder) as on:
        acts.connect_by_api(on)
        acts.connect_by_oauth(on)
        acts.connect_who_will_leave(on)
        acts.sync(on)
        acts.connect_wrongly(on)
        acts.leave_link_half_way(on)
        acts.be_told(on)
        acts.misuse_tokens(on)
        browser = acts.misuse_sign_in(on)
        acts.pass_through(on)
        acts.write(on)
        acts.show_bugs(on)
        keys = places.redis_keys()
        acts.refuse_everything(on)
        acts.renew_by_oauth(on)
        acts.read_all(on)
        pages = acts.work_in_the_admin(on, browser)
        result = Played(on.scanner, {DATABASE: places.dump(), KEYS: {**keys, **places.redis_keys()}})
        result.customer = [on.customer_word]
        result.happened = {"pages": pages, "echoes": on.rude.echoes, **_counts()}
        _purge(on, result)
    result.evidence |= {
        COMMANDS: traffic.pieces(),
        LOGS: places.logs(folder, Path(os.environ["LINESHAFT_TEST_SERVICES"])),
    }
    result.evidence |= on.heard.pieces
    result.happened |= {place: Counter(statuses) for place, statuses in on.heard.statuses.items()}
    return result


def _counts() -> dict[str, Any]:
    with scopes_disabled():
        return {
            "runs": Counter(SyncRun.objects.values_list("status", flat=True)),
            "operations": Counter(Operation.objects.values_list("status", flat=True)),
            "calls": UpstreamCall.objects.count(),
        }


def _purge(on: Stage, result: Played) -> None:
    """The customer leaves; the platform's tick deletes what was theirs."""
    leaving = on.connections["leaving"]
    assert on.api.call("DELETE", f"connections/{leaving}").status_code == 202

    def gone() -> bool:
        with scopes_disabled():
            return not Connection.objects.filter(customer_reference__contains=on.customer_word).exists()

    until(gone, seconds=60, what="the connection is purged")
    result.purged = places.dump()


def test_everything_happened(played: Played) -> None:
    """Else the other tests prove nothing."""
    happened = played.happened
    assert happened["runs"]["completed"] >= 10 and happened["runs"]["failed"] >= 5, happened
    assert sum(happened["operations"].values()) >= 10 and len(happened["operations"]) >= 3, happened
    assert happened["calls"] > 40 and happened["echoes"] > 60, happened
    assert len(happened["pages"]) > 60 and happened[ADMIN][200] > 60, happened
    assert happened["API answers"][200] > 80 and happened["API answers"][422] > 5, happened
    assert len(played.scanner.canaries) > 45, [canary.name for canary in played.scanner.canaries]
    assert set(played.evidence) == set(EVERYWHERE)
    assert all(sum(map(len, played.evidence[place].values())) > 1000 for place in EVERYWHERE)
    assert b"syncs.execute_run" in played.evidence[COMMANDS]["commands"]
    assert b'"callbacks": null' in played.evidence[COMMANDS]["commands, decoded"], "arguments of tasks are not seen"
    assert b'"level":"debug"' in played.evidence[LOGS]["platform.log"]


@pytest.mark.parametrize("place", EVERYWHERE)
def test_no_canary_comes_out(played: Played, place: str) -> None:
    found = played.scanner.find(place, played.evidence[place])
    assert found == [], "\n".join(found)


def test_no_page_and_no_answer_was_a_5xx(played: Played) -> None:
    statuses = {place: played.happened[place] for place in ("API answers", ADMIN, CUSTOMER, STRANGERS)}
    allowed = {500: 3, 502: 99, 503: 99, 504: 99}
    bad = {
        place: {s: n for s, n in told.items() if s >= 500 and n > allowed.get(s, 0)} for place, told in statuses.items()
    }
    assert not any(bad.values()), bad


def test_after_a_purge_the_dump_holds_nothing_of_the_customer(played: Played) -> None:
    words = Scanner()
    for number, word in enumerate(played.customer):
        words.add(f"word {number} of the customer", word)
    held = words.find(DATABASE, played.evidence[DATABASE])
    assert len(held) >= 6, f"this proves little of words that were not there: {held}"
    found = words.find(DATABASE, played.purged) + played.scanner.find(DATABASE, played.purged)
    assert found == [], "\n".join(found)
