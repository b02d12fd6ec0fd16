"""`manage.py run`: the platform's processes as children of one command, which never leaves one behind."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from django.conf import settings as django_settings

from console.processes import Child, Processes
from tests.chaos import processes

ALL = {"web", "worker-sync", "worker-operations", "worker-events", "worker-flows", "tick"}
READY_SECONDS, STOP_SECONDS = 60.0, 45.0


class Run:
    """A started `manage.py run` and what it said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.said = process, ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line

    def until_said(self, text: str) -> None:
        processes.until(lambda: text in self.said, seconds=READY_SECONDS, what=f"{text!r}; so far: {self.said}")

    def family(self) -> list[psutil.Process]:
        """All its descendants."""
        return psutil.Process(self.process.pid).children(recursive=True)

    @property
    def port(self) -> int:
        found = re.search(r"http://127\.0\.0\.1:(\d+)/admin/", self.said)
        assert found
        return int(found[1])


@contextmanager
def running() -> Iterator[Run]:
    environment = {
        **processes.environment(),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "REDIS_PREFIX": django_settings.REDIS_PREFIX,
    }
    command = [sys.executable, "manage.py", "run", "--port", "0"]
    with subprocess.Popen(
        command,
        cwd=processes.ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        run = Run(process)
        try:
            yield run
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(STOP_SECONDS)


def ask(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def gone(family: list[psutil.Process]) -> bool:
    return not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family)


@pytest.mark.django_db(transaction=True)
def test_run_when_a_child_is_killed_then_it_is_started_again_and_sigterm_ends_all() -> None:
    with running() as run:
        run.until_said("Lineshaft runs")
        status, page = ask(run.port, "/admin/login/")
        assert status == 200
        style = re.search(rb'href="(/static/[^"]+\.css)"', page)
        assert style and ask(run.port, style[1].decode())[0] == 200
        assert ask(run.port, "/readyz")[0] == 200
        (tick,) = (one for one in run.family() if one.cmdline()[-1] == "tick")
        tick.kill()
        run.until_said("tick ended (killed by SIGKILL); it is started again in 1 s.")
        processes.until(
            lambda: any(one.cmdline()[-1:] == ["tick"] for one in run.family()), seconds=20, what="tick runs again"
        )
        family = run.family()
        run.process.terminate()
        assert run.process.wait(STOP_SECONDS) == 0
        assert gone(family)


@pytest.mark.django_db(transaction=True)
def test_run_when_it_is_killed_itself_then_its_children_end_by_themselves() -> None:
    with running() as run:
        run.until_said("Lineshaft runs")
        family = run.family()
        assert len(family) > len(ALL)
        run.process.kill()
        run.process.wait(10)
        processes.until(lambda: gone(family), seconds=STOP_SECONDS, what="all children ended")


def child(name: str, code: str, log: Path) -> Child:
    return Child(name, [sys.executable, "-c", code], folder=processes.ROOT, environment=os.environ, log=log)


def test_child_when_it_leaves_a_grandchild_behind_then_that_one_is_killed_too(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']).pid,"
        " flush=True); sys.exit(3)"
    )
    log = tmp_path / "log"
    said: list[str] = []
    with Processes(said.append) as children:
        children.start(child("leaver", code, log))
        look_until(children, lambda: bool(said), what="its end is noticed")
        assert said == ["leaver ended (exit code 3); it is started again in 1 s."]
        grandchild = int(log.read_text().split()[0])
        processes.until(lambda: not psutil.pid_exists(grandchild) or _is_zombie(grandchild), seconds=5, what="killed")
        look_until(children, lambda: len(said) > 1, what="it ended again")
        assert said[1].endswith("started again in 2 s.")


def look_until(children: Processes, condition: Callable[[], bool], *, what: str) -> None:
    def looked() -> bool:
        children.look_after()
        return condition()

    processes.until(looked, seconds=20, what=what)


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_child_when_it_ignores_sigterm_then_it_is_killed_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.processes.STOP_SECONDS", 0.5)
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
    log = tmp_path / "log"
    said: list[str] = []
    children = Processes(said.append)
    children.start(child("stubborn", code, log))
    processes.until(lambda: log.exists() and "ready" in log.read_text(), seconds=20, what="it is ready")
    (pid,) = children.pids().values()
    children.stop()
    assert not psutil.pid_exists(pid)
    assert said == ["stubborn did not stop in time and is killed; nothing is lost by that."]


def test_children_when_stopped_then_the_last_started_is_told_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of sending: when each of two processes gets to its handler is the machine's to decide."""
    code = (
        "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: (print('told'), sys.exit()));"
        " print('ready', flush=True); signal.pause()"
    )
    logs = [tmp_path / "first", tmp_path / "second"]
    sent: list[tuple[str, signal.Signals]] = []
    tell = Child.tell

    def noted(told: Child, number: signal.Signals) -> None:
        sent.append((told.name, number))
        tell(told, number)

    monkeypatch.setattr(Child, "tell", noted)
    with Processes(lambda text: None) as children:
        for log in logs:
            children.start(child(log.name, code, log))
        processes.until(
            lambda: all(log.exists() and "ready" in log.read_text() for log in logs), seconds=20, what="both are ready"
        )
    assert sent == [("second", signal.SIGTERM), ("first", signal.SIGTERM)]
    assert [log.read_text().split() for log in logs] == [["ready", "told"]] * 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_when_stopped_while_it_starts_then_nothing_is_left(db: None, number: signal.Signals) -> None:
    with running() as run:
        processes.until(lambda: len(run.family()) >= len(ALL), seconds=READY_SECONDS, what="children are there")
        family = run.family()
        run.process.send_signal(number)
        assert run.process.wait(STOP_SECONDS) == 0
        assert gone(family)
