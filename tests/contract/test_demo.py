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
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, "manage.py", "demo"]
LIMIT_SECONDS = 150.0
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
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


def test_demo_when_run_twice_then_both_times_everything_is_synced_and_nothing_is_left(
    environment: dict[str, str],
) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        first, second = (
            subprocess.run(
                [*DEMO, "--once", "--port", port],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=LIMIT_SECONDS,
            )
            for _ in range(2)
        )
    assert first.returncode == 0, first.stderr
    assert f"Port {port} is taken" in first.stderr
    told = json.loads(first.stdout)
    assert (told["status"], told["systems"]) == ("completed", ["tryton"])
    assert set(told["records"]) == {"purchase_orders", "work_orders", "inventory_items", "locations", "vendors"}
    assert told["records"]["purchase_orders"] >= 200 and min(told["records"].values()) >= 30
    assert second.returncode == 0, second.stderr
    assert "Connected again" in second.stderr and "Connected again" not in first.stderr
    assert json.loads(second.stdout)["records"] == told["records"]
    assert processes_of(environment) == []
    assert leftovers(environment) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_when_stopped_in_the_middle_then_nothing_is_left_and_it_can_go_on(
    environment: dict[str, str], number: signal.Signals
) -> None:
    with subprocess.Popen(
        [*DEMO, "--port", "0"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "in_progress" in line or "completed" in line:
                process.send_signal(number)
                break
        rest = process.stdout.read()
        assert process.wait(60) == 0
    assert "Stopped." in rest
    assert processes_of(environment) == []
    assert leftovers(environment) == []


def test_demo_when_running_then_a_second_start_on_its_data_is_refused(environment: dict[str, str]) -> None:
    with subprocess.Popen(
        [*DEMO, "--port", "0"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "All keeps running" in line:
                break
        second = subprocess.run(
            [sys.executable, "manage.py", "run", "--port", "0"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(60) == 0
    assert second.returncode == 1
    assert "Another `manage.py run` or `manage.py demo`" in second.stderr


def test_demo_when_in_production_then_it_refuses(environment: dict[str, str]) -> None:
    addresses = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
    began = time.monotonic()
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
    assert time.monotonic() - began < 30
