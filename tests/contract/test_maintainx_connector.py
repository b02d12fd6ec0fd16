"""MaintainX against the simulator, which was written from the vendor's documents alone and shares no code with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any
from urllib.parse import unquote

import pytest

from integrations.connectors.maintainx import MaintainX
from integrations.simulators import running
from integrations.simulators.kit.server import Simulator
from tests.contract.kit import ConnectorContract, Subject
from tests.contract.relay import Relay
from tests.contract.write_kit import WriteContract
from tests.contract.writer import Stage
from tests.http_peer import Received

TABLES = {
    "work_order": "workorders",
    "purchase_order": "purchaseorders",
    "inventory_item": "parts",
    "asset": "assets",
    "location": "locations",
    "vendor": "vendors",
}
STATUSES = {
    "work_order": ("OPEN", "IN_PROGRESS", "ON_HOLD", "DONE", "CANCELED", "SKIPPED"),
    "purchase_order": (
        "REQUESTED", "PENDING", "APPROVED", "PARTIALLY_FULFILLED", "COMPLETED", "DECLINED", "CANCELED",
    ),
    "asset": ("ONLINE", "OFFLINE", "IGNORE"),
}  # fmt: skip
numbers = count(1)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running("maintainx") as found:
        yield found


def subject_of(simulator: Simulator) -> Subject:
    config = {"base_url": simulator.base_url}
    return Subject(MaintainX, config, {"api_key": simulator.api_key}, wrong_secrets={"api_key": "wrong-key-4711"})


class Unquoted(Relay):
    """Shows parameters as they are declared: `updatedAt[gte]` travels encoded."""

    def sent(self) -> str:
        return unquote(super().sent())


class TestMaintainXContract(ConnectorContract):
    connector = MaintainX

    @pytest.fixture
    def subject(self, simulator: Simulator) -> Subject:
        simulator.control.clear_faults()
        return subject_of(simulator)

    @pytest.fixture
    def between(self, subject: Subject) -> Iterator[Relay]:
        found = Unquoted(subject.config[subject.address])
        yield found
        found.stop()


class Padded(Relay):
    """Answers with blanks behind them, so that half of a short one too ends inside the body and not in its headers."""

    def _forward(self, request: Received) -> bytes:
        head, _, body = super()._forward(request).partition(b"\r\n\r\n")
        if not body:
            return head + b"\r\n\r\n"
        body += b" " * len(head)
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
        return b"\r\n".join([*lines, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body


class MaintainXStage(Stage):
    """Objects planted past every rule, so that each status is there, with one line where the entity has some."""

    def __init__(self, simulator: Simulator) -> None:
        self.control = simulator.control

    def statuses(self, entity: str) -> Sequence[str]:
        no_status: Any = (None,)
        return STATUSES.get(entity, no_status)

    def make(self, entity: str, status: str) -> str:
        values: dict[str, Any] = {}
        if entity == "work_order":
            values = {"status": status, "assignees": [], "dueDate": "2027-03-01T22:00:00.000Z", "startDate": None}
        elif entity == "purchase_order":
            values = {"status": status, "overrideNumber": None}
        elif status is not None:
            values = {"status": status}
        return str(self.control.plant(TABLES[entity], **values)["id"])

    def some(self, entity: str, but: Any = None) -> str:
        """The id of an object there is, another one than `but`."""
        rows = self.control.objects(TABLES[entity])
        return next(str(row["id"]) for row in rows if row["deletedAt"] is None and str(row["id"]) != str(but))

    def creation(self, entity: str) -> dict[str, Any]:
        number = next(numbers)
        made: dict[str, dict[str, Any]] = {
            "work_order": {
                "title": f"Replace seal {number}",
                "description": "Lock out first.",
                "priority": "high",
                "work_type": "corrective",
                "asset": self.some("asset"),
                "location": self.some("location"),
                "planned_start": "2027-03-01T06:00:00Z",
                "due_date": "2027-03-02",
                "assignees": [{"remote_id": "3"}, {"remote_id": "4"}],
            },
            "purchase_order": {
                "number": f"A-{number}",
                "description": "Seals",
                "vendor": self.some("vendor"),
                "expected_date": "2027-04-01",
                "notes": "Gate 3",
                "lines": [
                    {"item": self.some("inventory_item"), "quantity": "4", "unit_price": "12.5"},
                    {
                        "description": "Freight box",
                        "vendor_item_number": "F-1",
                        "quantity": "2.5",
                        "unit_price": "1.05",
                    },
                ],
            },
            "inventory_item": {
                "name": f"Seal {number}",
                "description": "SiC",
                "category": "Seals",
                "unit_cost": "198.40",
                "barcode": f"B{number}",
                "quantity_on_hand": "12",
                "minimum_quantity": "4",
            },
            "asset": {
                "name": f"Pump {number}",
                "description": "Cooling water",
                "parent": self.some("asset"),
                "location": self.some("location"),
                "vendor": self.some("vendor"),
                "serial_number": f"S{number}",
                "barcode": f"A{number}",
            },
            "location": {
                "name": f"Store {number}",
                "description": "Ground floor",
                "parent": self.some("location"),
                "address": {"street": "Werftstrasse 18, Kiel"},
                "barcode": f"L{number}",
            },
            "vendor": {
                "name": f"Nordring {number}",
                "description": "Seals",
                "email": "orders@nordring.example",
                "phone": "555-0100",
            },
        }
        return made[entity]

    def wish(self, entity: str, field: str, before: Mapping[str, Any]) -> Any:
        number = next(numbers)
        references = {
            "asset": "asset", "location": "location", "vendor": "vendor", "parent": entity, "lines.item": "inventory_item",
        }  # fmt: skip
        if field in references:
            there = (before.get(field.rpartition(".")[2]) or {}).get("remote_id")
            return self.some(references[field], but=there)
        values: dict[str, Any] = {
            "priority": "low" if before.get("priority") != "low" else "medium",
            "work_type": "preventive" if before.get("work_type") != "preventive" else "other",
            "planned_start": f"2027-02-01T06:00:{number % 60:02}Z",
            "due_date": f"2027-05-{1 + number % 28:02}",
            "expected_date": f"2027-06-{1 + number % 28:02}",
            "assignees": {"remote_id": "5"},
            "unit_cost": f"{number}.25",
            "quantity_on_hand": str(100 + number),
            "minimum_quantity": str(100 + number),
            "address": {"street": f"Kai {number}"},
            "email": f"e{number}@plant.example",
            "lines": {"description": "One more", "quantity": "1"},
            "lines.quantity": str(100 + number),
            "lines.unit_price": f"{number}.75",
        }
        return values.get(field, f"Another {number}")

    def parameters(self, entity: str, action: str) -> dict[str, Any]:
        if (entity, action) == ("asset", "offline"):
            return {"downtime": "PLANNED"}
        return {"note": "Please ask for a second quote."} if action == "decline" else {}


class TestMaintainXWrites(WriteContract):
    connector = MaintainX

    @pytest.fixture
    def subject(self, simulator: Simulator) -> Subject:
        simulator.control.clear_faults()
        return subject_of(simulator)

    @pytest.fixture
    def between(self, subject: Subject) -> Iterator[Relay]:
        found = Padded(subject.config[subject.address])
        yield found
        found.stop()

    @pytest.fixture
    def stage(self, simulator: Simulator) -> Stage:
        return MaintainXStage(simulator)
