"""What the pages about events and webhooks say is so, and the receivers in them work."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import javascript
from tests.documents import code_of, text_of
from webhooks.services.schedule import DELAYS
from webhooks.signing import new_secret, sign
from workspaces.choices import EventType
from workspaces.event_catalogue import markdown_table, sample_event

PAGE = "docs/guides/webhooks.md"
SECRET, OLD = new_secret(), new_secret()
BODY = b'{"id": "evt_1",  "type": "record.updated", "data": {"ids": ["po_1"]}}'
UNITS = {"second": 1, "minute": 60, "minutes": 60, "seconds": 1, "hours": 3600}


def test_table_of_types_is_that_of_the_catalogue() -> None:
    told = "renew it with what `workspaces.event_catalogue.markdown_table()` answers"
    assert markdown_table() in text_of(Path("docs/guides/events.md")), told


def test_example_of_the_feed_is_the_sample_of_its_type() -> None:
    (example, *_) = code_of("docs/guides/events.md", "json")
    assert sample_event(EventType.RECORD_UPDATED)["id"] in example


def test_table_of_the_schedule_is_the_schedule() -> None:
    rows = re.findall(r"^\| (\d+) \| (?:(at once)|(\d+) (\w+)) \|$", text_of(Path(PAGE)), re.MULTILINE)

    assert [int(number) for number, *_ in rows] == list(range(1, len(DELAYS) + 1))
    assert tuple(0 if once else int(count) * UNITS[unit] for _, once, count, unit in rows) == DELAYS


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[tuple[int, Any]]:
    """A receiver on a free port; the port and what it prints."""
    environment = {**os.environ, "WEBHOOK_SECRET": SECRET, "PORT": "0"}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("listening on "), line
        yield int(line.split()[-1]), process.stdout
    finally:
        process.kill()
        process.wait(timeout=30)
        process.stdout.close()


def python_receiver(folder: Path) -> list[str]:
    (folder / "receiver.py").write_text(code_of(PAGE, "python")[0], encoding="utf-8")
    return [sys.executable, "receiver.py"]


def javascript_receiver(folder: Path) -> list[str]:
    (folder / "receiver.mjs").write_text(code_of(PAGE, "javascript")[0], encoding="utf-8")
    (folder / "node_modules").symlink_to(javascript.installed() / "node_modules")
    return [str(javascript.NODE), "receiver.mjs"]


def post(port: int, headers: dict[str, str], body: bytes = BODY) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request("POST", "/", body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


@pytest.mark.parametrize("receiver", [python_receiver, javascript_receiver], ids=["python", "javascript"])
def test_receiver_of_the_guide_takes_what_is_ours_once_and_nothing_else(receiver: Any, tmp_path: Path) -> None:
    now = int(time.time())
    with running(receiver(tmp_path), tmp_path) as (port, printed):
        good = sign("evt_1", now, BODY, [SECRET])
        assert post(port, sign("evt_1", now, BODY, [OLD])) == 401, "a foreign secret"
        assert post(port, good, BODY.replace(b"po_1", b"po_2")) == 401, "a byte was changed"
        assert post(port, sign("evt_1", now - 600, BODY, [SECRET])) == 401, "signed long ago"
        assert post(port, {**good, "webhook-timestamp": "soon"}) == 401
        assert post(port, {**good, "webhook-signature": "nonsense"}) == 401
        assert post(port, {}) == 401, "not signed"
        assert post(port, good) == post(port, good) == 204
        assert post(port, sign("evt_2", now, BODY, [OLD, SECRET])) == 204, "during a rotation"
        lines = [printed.readline() for _ in range(2)]
    assert all("record.updated" in line and "po_1" in line for line in lines), "each once, the second time not again"
