"""The helper process: what it may do, and what becomes of it when it, its parent or a thread comes to harm."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flows.expressions import ExpressionError, matches, render
from flows.expressions import helper as helpers
from flows.expressions.pool import MAX_IDLE, POOL
from tests.documents import ROOT
from tests.helper_processes import MOST_BYTES, is_gone, wait_until_gone

LONG = f"[{','.join(['n'] * 200)}]|[@,@,@,@][]|length(map(&length(sort(@)),@))"
NUMBERS = [(number * 7919) % 100_003 for number in range(100_000)]


def only_helper() -> int:
    """One helper, fresh, its number."""
    POOL.close()
    assert render({"$": "a"}, {"a": 1}) == 1
    (pid,) = POOL.pids()
    return pid


def test_helper_is_started_when_first_needed_and_kept() -> None:
    POOL.close()
    assert POOL.pids() == []
    pid = only_helper()
    assert [render({"$": "a"}, {"a": number}) for number in range(50)] == list(range(50))
    assert POOL.pids() == [pid]


def test_helper_has_no_secrets_no_files_and_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINESHAFT_TEST_SECRET", "hush")
    folder = Path(f"/proc/{only_helper()}")
    names = {entry.split(b"=")[0] for entry in (folder / "environ").read_bytes().split(b"\0") if entry}
    assert names == {b"PATH", b"PYTHONPATH", b"PYTHONWARNINGS"}
    assert os.readlink(folder / "cwd") == "/"
    assert sorted(os.listdir(folder / "fd")) == ["0", "1", "2"]
    limits = {line[:26].strip(): line[26:].split()[:2] for line in (folder / "limits").read_text().splitlines()[1:]}
    assert all(int(value) < MOST_BYTES for value in limits["Max address space"])
    assert limits["Max core file size"] == limits["Max file size"] == limits["Max processes"] == ["0", "0"]
    assert limits["Max open files"] == ["8", "8"]
    assert int(limits["Max cpu time"][0]) <= 4


def test_killed_helper_is_replaced_and_nobody_notices() -> None:
    for _ in range(3):
        pid = only_helper()
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)
        assert render({"$": "a"}, {"a": 1}) == 1
        assert pid not in POOL.pids()
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def test_helper_killed_while_it_works_is_replaced() -> None:
    pid = only_helper()
    contexts = [{"a": "3", "filler": "x" * 1000} for _ in range(1000)]
    killer = threading.Timer(0.01, os.kill, (pid, signal.SIGKILL))
    killer.start()
    results = []
    while not is_gone(pid):
        results += matches("compare(a, '2') > `0`", contexts)
    killer.join()
    assert results and set(results) == {True}


def test_frozen_helper_was_not_slow_and_is_replaced() -> None:
    pid = only_helper()
    os.kill(pid, signal.SIGSTOP)
    assert render({"$": "a"}, {"a": "fine"}) == "fine"
    assert pid not in POOL.pids() and is_gone(pid)


def test_many_threads_each_get_their_own_values() -> None:
    def work(number: int) -> bool:
        return bool(render([{"$": "a"}, {"$": "add(a, `1`)"}], {"a": number}) == [number, number + 1])

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(work, range(800)))
    assert 1 <= len(POOL.pids()) <= MAX_IDLE


def test_slow_expression_of_one_thread_does_not_hold_the_others() -> None:
    def slow() -> str:
        try:
            return str(render({"$": LONG}, {"n": NUMBERS}))
        except ExpressionError as error:
            return error.code

    with ThreadPoolExecutor(4) as threads:
        hostile = [threads.submit(slow) for _ in range(2)]
        count = 0
        while not all(work.done() for work in hostile):
            assert render({"$": "a"}, {"a": count}) == count
            count += 1
    assert {work.result() for work in hostile} == {"EXPRESSION_TOO_SLOW"} and count > 20


def test_forked_child_has_helpers_of_its_own() -> None:
    def child(answer: Any) -> None:
        before = POOL.pids()
        value = render({"$": "a"}, {"a": "child"})
        answer.send((before, value, POOL.pids()))
        answer.recv()

    pid = only_helper()
    context = multiprocessing.get_context("fork")
    mine, other = context.Pipe()
    process = context.Process(target=child, args=(other,))
    process.start()
    before, value, (its_own,) = mine.recv()
    assert (before, value) == ([], "child") and its_own != pid
    assert render({"$": "a"}, {"a": "parent"}) == "parent" and POOL.pids() == [pid]
    # The child does not keep the parent's helper alive.
    POOL.close()
    assert is_gone(pid)
    mine.send("end")
    process.join(20)
    assert process.exitcode == 0
    wait_until_gone(its_own)


def test_fork_in_the_middle_of_the_work_of_other_threads() -> None:
    def child() -> None:
        ok = all(render({"$": "a"}, {"a": number}) == number for number in range(20))
        os._exit(0 if ok else 1)

    stop = threading.Event()

    def work() -> bool:
        good = True
        while not stop.is_set():
            good = good and render({"$": "a"}, {"a": "x" * 5000}) == "x" * 5000
        return good

    context = multiprocessing.get_context("fork")
    with ThreadPoolExecutor(3) as threads:
        working = [threads.submit(work) for _ in range(3)]
        children = [context.Process(target=child) for _ in range(6)]
        for process in children:
            process.start()
        for process in children:
            process.join(30)
        stop.set()
    assert [process.exitcode for process in children] == [0] * 6
    assert all(work.result() for work in working)


PARENT = f"""
import threading
from flows.expressions import render
from flows.expressions.pool import POOL
render({{"$": "a"}}, {{}})
print(*POOL.pids(), flush=True)
if input() == "work":
    # Its own clock does not stop it: only what the helper knows itself.
    from flows.expressions import helper
    helper.SECONDS = 1000
    threading.Timer(0.2, print, ("working",), {{"flush": True}}).start()
    render({{"$": {LONG!r}}}, {{"n": [(number * 7919) % 100_003 for number in range(100_000)]}})
"""


@pytest.mark.parametrize("state", ["idle", "work"])
def test_helper_ends_with_its_parent(state: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
    )
    with parent:
        assert parent.stdin and parent.stdout
        pid = int(parent.stdout.readline())
        assert not is_gone(pid)
        if state == "work":
            print("work", file=parent.stdin, flush=True)
            assert parent.stdout.readline() == "working\n"
        parent.kill()
    wait_until_gone(pid)


def test_helper_that_nobody_stops_ends_by_its_own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "SECONDS", 60.0)
    with pytest.raises(ExpressionError, match="processor time") as caught:
        render({"$": LONG}, {"n": NUMBERS})
    assert caught.value.code == "EXPRESSION_TOO_SLOW"
