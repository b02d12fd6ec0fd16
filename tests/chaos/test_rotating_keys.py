"""10,000 secrets get new keys while other processes read and change them; the rotation is killed and started again."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django_scopes import scopes_disabled

from connections.models import Connection, Credential
from core.encryption import data_key_id_of, envelope_header, key_id_of
from core.keys import default_ring
from tests.chaos import processes
from tests.tenants import make_workspace
from workspaces.data_keys import current_cipher
from workspaces.key_report import examine_keys
from workspaces.models import DataKey
from workspaces.reencryption import with_head
from workspaces.secrets import open_secret

pytestmark = pytest.mark.django_db(transaction=True)
SECRETS, WORKSPACES, LOADERS = 10_000, 4, 2


@pytest.fixture
def secrets() -> int:
    """One in five was stored before there were data keys."""
    with scopes_disabled(), transaction.atomic():
        for _ in range(WORKSPACES):
            workspace = make_workspace()
            place = Connection.objects.create(workspace=workspace, system="chaos-erp", name="Plant")
            cipher, rows = current_cipher(workspace.pk), []
            for number in range(SECRETS // WORKSPACES):
                row = Credential(workspace=workspace, connection=place, name=f"secret-{number}")
                seal = default_ring().encrypt if number % 5 == 0 else cipher.encrypt
                row.ciphertext = seal(f"{row.name} 0", bound_to=row.bound_to)
                rows.append(row)
            Credential.objects.bulk_create(rows)
    return SECRETS


@pytest.fixture
def new_ring(secrets: int, settings: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """What all processes have from now on: a new key in front of the one that everything was stored with."""
    ring = f"new:{base64.b64encode(os.urandom(32)).decode()},{settings.ENCRYPTION_KEYS}"
    monkeypatch.setenv("ENCRYPTION_KEYS", ring)
    settings.ENCRYPTION_KEYS = ring
    return ring


@contextmanager
def load(log: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that read and change secrets; `ready` was seen of each."""
    with ExitStack() as stack:
        started = []
        for part in range(LOADERS):
            arguments = ("-m", "tests.chaos.key_load", str(part), str(LOADERS))
            process = processes.start_logged(log, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            stack.callback(processes.end, process)
            started.append(process)
        for process in started:
            assert process.stdout and process.stdout.readline() == b"ready\n", log.read_text()
        yield started


def results(started: list[subprocess.Popen[bytes]], log: Path) -> tuple[dict[str, int], int]:
    """What the processes wrote last, by row, and how many secrets they read of what they held for long."""
    written: dict[str, int] = {}
    reads = 0
    for process in started:
        told, _ = process.communicate(timeout=20)
        assert process.returncode == 0, log.read_text()
        result = json.loads(told)
        written |= result["written"]
        reads += result["reads"]
    return written, reads


def rotate(log: Path) -> subprocess.Popen[bytes]:
    return processes.start_logged(log, "manage.py", "rotate_keys", "--data-keys", "--delete-now")


def moved(first_keys: set[Any]) -> int:
    """How many secrets are under none of the keys that they began with."""
    with scopes_disabled():
        rows = with_head(Credential.objects.filter(ciphertext__gte=b"\x02"))
        return int(rows.exclude(head__in=[envelope_header(pk) for pk in first_keys]).count())


def test_rotating_under_load_killed_and_started_again_loses_nothing(new_ring: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with scopes_disabled():
        first_keys = set(DataKey.objects.values_list("pk", flat=True))
    with load(log) as started:
        killed = rotate(log)
        try:
            processes.until(lambda: moved(first_keys) > SECRETS // 5, seconds=30, what="a fifth is moved")
        finally:
            os.killpg(killed.pid, signal.SIGKILL)
            killed.wait(10)
        assert killed.returncode == -signal.SIGKILL and moved(first_keys) < SECRETS, "it was killed in the middle"
        both = [rotate(log), rotate(log)]
        try:
            assert [process.wait(40) for process in both] == [0, 0], log.read_text()
        finally:
            for process in both:
                processes.end(process)
        written, reads = results(started, log)

    assert len(written) > 50 and reads > 50, "there was load"
    with scopes_disabled():
        rows = list(Credential.objects.all())
        values = {str(row.pk): open_secret(row) for row in rows}
        current = set(DataKey.objects.values_list("pk", flat=True))
        assert {key_id_of(key.wrapped) for key in DataKey.objects.all()} == {"new"}
    assert len(values) == SECRETS and values == {str(r.pk): f"{r.name} {written.get(str(r.pk), 0)}" for r in rows}
    assert {data_key_id_of(row.ciphertext or b"") for row in rows} <= current and not current & first_keys
    report = examine_keys()
    assert report.is_well and report.secrets.stored == SECRETS
    assert [key.can_be_removed for key in report.ring] == [False, True]
