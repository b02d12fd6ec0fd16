"""What `create_workspace` and `tick` print: words for people, JSON for scripts."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django_scopes import scopes_disabled

from core import ids, ticks
from workspaces.models import Workspace

pytestmark = pytest.mark.django_db
HERE = "tests.unit.test_commands_json"


def moves_two() -> int:
    return 2


def moves_nothing() -> int:
    return 0


def breaks() -> int:
    raise RuntimeError("broken on purpose")


def run(*arguments: str, stdout: Any = None) -> str:
    output = io.StringIO() if stdout is None else stdout
    call_command(*arguments, stdout=output)
    return str(output.getvalue())


class StopsAfter(io.StringIO):
    """Output that sends this process SIGTERM at its second line, as an operator would."""

    def write(self, text: str) -> int:
        written = super().write(text)
        if self.getvalue().count("\n") == 2 and text.strip():
            os.kill(os.getpid(), signal.SIGTERM)
        return written


@pytest.fixture
def duties(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of the test's own. The connection, closed between rounds, here holds the test's transaction: it stays."""
    monkeypatch.setattr(ticks, "connection", SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(ticks, "close_old_connections", lambda: None)
    settings.TICKS = [f"{HERE}.moves_two", f"{HERE}.moves_nothing", f"{HERE}.breaks"]


@pytest.fixture
def own_signals() -> Iterator[None]:
    """The command sets handlers for its process, which here is that of the tests."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_create_workspace_as_json_tells_id_slug_and_name() -> None:
    made = json.loads(run("create_workspace", "Größe & Co", "--slug", "groesse", "--json"))

    with scopes_disabled():
        shown = ids.show("ws", Workspace.objects.get(slug="groesse").pk)
    assert made == {"id": shown, "slug": "groesse", "name": "Größe & Co"}


def test_tick_once_says_in_words_what_each_duty_moved(duties: None) -> None:
    assert run("tick", "--once").splitlines() == [
        f"{HERE}.moves_two: 2",
        f"{HERE}.moves_nothing: nothing to do",
        f"{HERE}.breaks: failed, see the log",
    ]


def test_tick_once_as_json_is_one_line(duties: None) -> None:
    (line,) = run("tick", "--once", "--json").splitlines()

    moved = {f"{HERE}.moves_two": 2, f"{HERE}.moves_nothing": 0}
    assert json.loads(line) == {"moved": moved, "failed": [f"{HERE}.breaks"]}


def test_tick_as_json_prints_a_line_a_round_until_it_is_stopped(duties: None, own_signals: None) -> None:
    lines = run("tick", "--json", "--interval", "0.01", stdout=StopsAfter()).splitlines()

    assert [json.loads(line)["moved"][f"{HERE}.moves_two"] for line in lines] == [2, 2]


def test_tick_as_json_without_the_database_says_that_all_failed_and_goes_on(
    duties: None, own_signals: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = iter([OperationalError("the database is away"), None])

    def run_once() -> dict[str, int]:
        if (problem := next(rounds)) is not None:
            raise problem
        return dict.fromkeys([name for name, _ in ticks.duties()], 1)

    monkeypatch.setattr(ticks, "run_once", run_once)
    lines = run("tick", "--json", "--interval", "0.01", stdout=StopsAfter()).splitlines()

    assert [(len(told["moved"]), len(told["failed"])) for told in map(json.loads, lines)] == [(0, 3), (3, 0)]
