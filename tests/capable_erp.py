"""The test system with more that may be written, so that every reason why something may not be is among it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from core.errors import LineshaftError
from integrations.sdk.declarations import Action, Field, Parameter, Rule, Write
from tests.connectors import TestErp

CLOSED = ("done", "void")


class CapableErp(TestErp):
    """Orders: created, changed while not closed (quantities only in drafts), removed by status, with two actions."""

    version = "capable"
    may: ClassVar[dict[str, dict[str, bool]] | LineshaftError] = {}

    purchase_orders = replace(
        TestErp.purchase_orders,
        writes=(
            Write("create", required=("currency",)),
            Write("update", fields=("notes", "description", "ship_to", "lines", "custom")),
            Write("delete", kind="hard", only_status=("draft",)),
            Write("delete", kind="cancel", only_status=("open", "part")),
        ),
        rules=(
            Rule("update", unless_status=CLOSED, reason="closed orders stay as they are."),
            Rule("update", only_status=("draft",), fields=("lines.quantity",), reason="the vendor has the order."),
        ),
        actions=(
            Action(
                "approve",
                "Approve",
                to_status=("open",),
                only_status=("draft",),
                parameters=(Parameter("note", "string", required=True), Parameter("on", "date")),
                help="Release it to the vendor.",
            ),
            Action("touch", "Touch", to_status=(), parameters=(Parameter("at", "datetime"),)),
        ),
        fields=(
            *TestErp.purchase_orders.fields,
            Field("ship_to", "ship_to", items=(Field("city", "city"), Field("country", "country", read_only=True))),
        ),
    )

    def probe(self) -> dict[str, dict[str, bool]]:
        if isinstance(self.may, LineshaftError):
            raise self.may
        return self.may


@pytest.fixture
def capable_erp(settings: Any) -> Iterator[type[CapableErp]]:
    """It is the catalogue's only connector during the test; `may` is what the account is told to be allowed."""
    settings.CONNECTORS = ["tests.capable_erp.CapableErp"]
    try:
        yield CapableErp
    finally:
        CapableErp.may = {}
