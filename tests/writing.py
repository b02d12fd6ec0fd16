"""The test system with writes, and a worker that does them while a test asks the API.

from tests.connectors import erp_server  # noqa: F401
from tests.writing import worker, writing_erp  # noqa: F401
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection as database
from django.db.models.functions import Now
from django_scopes import scopes_disabled

from integrations.sdk.declarations import Action, Parameter, Write
from syncs.models import Operation
from syncs.operations.execute import execute_operation
from tests.connectors import TestErp

LOOK_SECONDS = 0.01


class WritingErp(TestErp):
    """Orders are made with a mark, changed, cancelled and approved; what a lost answer made of a vendor nobody can tell."""

    purchase_orders = replace(
        TestErp.purchase_orders,
        writes=(
            Write("create", resolve="mark", mark="external_ref", settle_seconds=1.0),
            Write("update", settle_seconds=0.0),
            Write("delete", kind="cancel", only_status=("draft", "open", "part")),
        ),
        actions=(
            Action("approve", "Approve", to_status=("open",), only_status=("draft",), parameters=(Parameter("note"),)),
        ),
    )
    vendors = replace(TestErp.vendors, writes=(Write("create"),))


@pytest.fixture
def writing_erp(settings: Any) -> type[WritingErp]:
    """The connector is the catalogue's only one during the test."""
    settings.CONNECTORS = ["tests.writing.WritingErp"]
    return WritingErp


@pytest.fixture
def worker(transactional_db: None) -> Iterator[None]:
    """Does what is due, as a worker process would, until the test ends."""
    stop = threading.Event()
    thread = threading.Thread(target=_work_until, args=[stop], name="worker")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def _work_until(stop: threading.Event) -> None:
    try:
        while not stop.wait(LOOK_SECONDS):
            work_once()
    finally:
        database.close()


def work_once() -> None:
    """Take up each operation that is due."""
    with scopes_disabled():
        due = Operation.objects.filter(status__in=Operation.RUNNABLE, due_at__lte=Now())
        found = list(due.order_by("created_at").values_list("pk", flat=True))
    for pk in found:
        execute_operation(pk)
