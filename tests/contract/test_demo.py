"""`make demo` as a visitor meets it: a real Tryton connected through the API, synced by real workers, then nothing left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, "manage.py", "demo"]
LIMIT_SECONDS = 150.0
pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """A new visitor's: local servers in a home of their own, nothing allowed beyond the defaults."""
    home = Path(tempfile.mkdtemp(prefix="lineshaft-test-demo-"))
    home.chmod(0o711)
    dropped = ("DATABASE_URL", "REDIS_URL", "REDIS_PREFIX", "EGRESS_ALLOWED_NETWORKS", "DJANGO_SETTINGS_MODULE")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    yield kept | {"LINESHAFT_HOME": str(home), "TMPDIR": str(home)}
    shutil.rmtree(home)


def processes_of(environment: dict[str, str]) -> list[str]:
    """What still runs for this home."""
    home, found = environment["LINESHAFT_HOME"], []
    for process in psutil.process_iter():
        try:
            if process.environ().get("LINESHAFT_HOME") == home or home in " ".join(process.cmdline()):
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def leftovers(environment: dict[str, str]) -> list[str]:
    """Temporary folders of a demo."""
    return [path.name for path in Path(environment["TMPDIR"]).iterdir() if path.name.startswith("lineshaft-")]


@contextmanager
def demo_until(sign: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A demo that has said `sign`; what it says later can be read from its output."""
    with subprocess.Popen(
        [*DEMO, "--port", "0"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if sign in line:
                break
        else:
            pytest.fail("".join(said))
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def end_of(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """Send a signal; what the demo says about it until it has ended well."""
    process.send_signal(number)
    assert process.stdout is not None
    rest = process.stdout.read()
    assert process.wait(60) == 0, rest
    return rest


def test_demo_when_stopped_in_the_middle_then_nothing_is_left_and_the_next_goes_on(environment: dict[str, str]) -> None:
    with demo_until("in_progress", environment) as process:
        assert "Stopped." in end_of(process, signal.SIGINT)
    assert (processes_of(environment), leftovers(environment)) == ([], [])
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        next_one = subprocess.run(
            [*DEMO, "--once", "--port", port],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
        )
    assert next_one.returncode == 0, next_one.stderr
    assert f"Port {port} is taken" in next_one.stderr
    assert "Connected again" in next_one.stderr
    told = json.loads(next_one.stdout)
    assert (told["status"], told["systems"]) == ("completed", ["tryton"])
    assert set(told["records"]) == {"purchase_orders", "work_orders", "inventory_items", "locations", "vendors"}
    assert told["records"]["purchase_orders"] >= 200 and min(told["records"].values()) >= 30
    assert (processes_of(environment), leftovers(environment)) == ([], [])


def test_demo_when_synced_then_it_serves_until_sigterm_and_a_second_start_on_its_data_is_refused(
    environment: dict[str, str],
) -> None:
    with demo_until("  Try  ", environment) as process:
        assert process.stdout is not None
        second = subprocess.run(
            [sys.executable, "manage.py", "run", "--port", "0"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
        )
        assert "Stopped." in end_of(process, signal.SIGTERM)
    assert second.returncode == 1
    assert "Another `manage.py run` or `manage.py demo`" in second.stderr
    assert (processes_of(environment), leftovers(environment)) == ([], [])


def test_demo_when_in_production_then_it_refuses(environment: dict[str, str]) -> None:
    addresses = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
    result = subprocess.run(
        [*DEMO, "--once"],
        cwd=ROOT,
        env=environment | addresses | {"LINESHAFT_MODE": "production"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1
    assert "development mode only" in result.stderr
    assert result.stdout == ""
