"""What the page about flows shows works as it stands there, from its first command to its last."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.db import connection as database
from django_scopes import scopes_disabled

from flows.choices import FlowRunStatus
from flows.definitions.ready import READY
from flows.engine.run import execute_flow_run
from flows.models import FlowRun
from tests.documents import code_of, text_of
from tests.tenants import make_token, make_workspace

PAGE = "docs/guides/flows.md"
JQ = """#!/usr/bin/env python3
import json, sys
value = [json.load(sys.stdin)]
for part in sys.argv[-1].lstrip(".").split("."):
    name = part.removesuffix("[]")
    value = [one[name] for one in value]
    value = [each for one in value for each in one] if part != name else value
for one in value:
    print(one if isinstance(one, str) else json.dumps(one))
"""
TOLD = {
    "publish": ["active"],
    "look": ["succeeded", "Hello world", "*"],
    "alone": ["Hello step"],
    "names": ["chat"],
    "hook": ["true"],
    "retry": ["RUN_NOT_FAILED"],
    "events": ["Hello world"],
}
"""What each block that prints something prints; `*` is anything."""


class Shell:
    """Blocks of one session after the other, with a `jq` of our own where the machine has none."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder, self.variables = folder, variables
        (folder / "bin").mkdir()
        (folder / "state").write_text("", encoding="utf-8")
        if shutil.which("jq") is None:
            (folder / "bin" / "jq").write_text(JQ, encoding="utf-8")
            (folder / "bin" / "jq").chmod(0o755)

    def run(self, block: str) -> list[str]:
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        script = f". ./state\nset -euo pipefail -a\n{block}\ndeclare -p FLOW RUN DRY 2>/dev/null > state || true\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env={**os.environ, **self.variables, "PATH": path, "NO_PROXY": "*", "no_proxy": "*"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout.splitlines()


def work_off() -> None:
    """What workers would do meanwhile."""
    with scopes_disabled():
        due = list(FlowRun.objects.unended().values_list("pk", flat=True))
    for pk in due:
        execute_flow_run(pk)


@pytest.mark.django_db(transaction=True)
def test_commands_of_the_page_do_what_it_says(live_server: Any, tmp_path: Path) -> None:
    scopes = ["flows:write", "flows:run", "events:read"]
    shell = Shell(tmp_path, LINESHAFT=live_server.url, TOKEN=make_token(make_workspace(), scopes=scopes)[1])

    printed = []
    for block in code_of(PAGE, "sh"):
        lines = shell.run(block)
        work_off()
        if lines:
            printed.append(lines)
    told = list(TOLD.values())
    assert len(printed) == len(told), printed
    for found, expected in zip(printed, told, strict=True):
        assert len(found) >= len(expected)
        assert all(one in ("*", line) for one, line in zip(expected, found, strict=False)), (found, expected)
    with scopes_disabled():
        runs = FlowRun.objects.order_by("pk")
        assert [(run.is_dry, run.status) for run in runs] == [
            (False, FlowRunStatus.SUCCEEDED),
            (True, FlowRunStatus.SUCCEEDED),
        ]
    database.close()


def test_templates_of_the_page_are_those_there_are() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", text_of(Path(PAGE)), re.MULTILINE)
    assert [row for row in rows if "-" in row] == list(READY)
