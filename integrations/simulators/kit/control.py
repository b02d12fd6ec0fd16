"""The control plane: faults, switches, the journal, and what is really stored. In process and over HTTP."""

from __future__ import annotations

import re
from typing import Any

from integrations.simulators.kit.faults import InvalidFaultError
from integrations.simulators.kit.journal import Entry
from integrations.simulators.kit.messages import Answer, Body, RefusalError, Request, json_answer
from integrations.simulators.kit.settings import InvalidSettingError
from integrations.simulators.kit.store import Table, Transaction
from integrations.simulators.kit.system import System

PREFIX = "/_control"


class Control:
    """The same for tests in this process (its methods) and for everybody else (`answer`)."""

    def __init__(self, system: System) -> None:
        self._system = system

    def add_fault(self, kind: str, method: str | None = None, path: str = "/", **rest: Any) -> Body:
        """Add a fault; `body_contains` and the parameters of a fault by name. Returns it with its id."""
        match = {"method": method, "path": path, "body_contains": rest.pop("body_contains", None)}
        return self._system.faults.add({"kind": kind, "match": match, **rest}).described()

    def faults(self) -> list[Body]:
        return [fault.described() for fault in self._system.faults.all()]

    def remove_fault(self, number: int) -> bool:
        return self._system.faults.remove(number)

    def clear_faults(self) -> None:
        self._system.faults.clear()

    def settings(self, **changes: Any) -> Body:
        """Change some switches; the answer is all of them."""
        return self._system.settings.change(changes)

    def reset(self) -> None:
        self._system.reset()

    def journal(self, after: int = 0) -> list[Entry]:
        with self._system.store.lock:
            self._system.catch_up()
            return list(self._system.journal.after(after))

    def status(self) -> Body:
        """How much there is, and how often each route was asked."""
        with self._system.store.lock:
            self._system.catch_up()
            counts = {name: len(list(table.live())) for name, table in self._system.store.tables.items()}
            return {
                "simulator": self._system.tenant.name,
                "objects": counts,
                "requests": dict(self._system.requests),
            }

    def objects(self, entity: str) -> list[Body]:
        """Every object as it is stored, deleted ones too."""
        with self._system.store.lock:
            self._system.catch_up()
            return [row.data for row in self._table(entity).rows.values()]

    def hooks(self) -> Body:
        """What subscribers were told, with the status they answered, and how many messages wait."""
        return self._system.hooks.status()

    def settle_hooks(self, seconds: float = 10) -> bool:
        """Wait until every message is sent; whether it was."""
        return self._system.hooks.settle(seconds)

    def plant(self, entity: str, **data: Any) -> Body:
        """Create an object past every rule, with the fields of the newest one where `data` names none."""
        request = self._system.read("POST", f"{PREFIX}/objects/{entity}", {}, b"")
        with self._system.store.lock:
            self._system.catch_up()
            table = self._table(entity)
            like = table.rows[max(table.rows)].data if table.rows else {}
            times = (table.entity.created_field, table.entity.updated_field, table.entity.deleted_field)
            copied = {name: value for name, value in like.items() if name not in ("id", *times)}
            transaction = Transaction(self._system.store)
            made = transaction.create(entity, copied | data)
            return self._commit(request, transaction, entity, made["id"])

    def change(self, entity: str, number: int, *, quiet: bool = False, **data: Any) -> Body:
        """Change an object behind everybody's back, subscribers are told. `quiet` leaves the time of its last change as it
        was, and tells nobody."""
        request = self._system.read("PATCH", f"{PREFIX}/objects/{entity}/{number}", {}, b"")
        with self._system.store.lock:
            self._system.catch_up()
            if number not in self._table(entity).rows:
                raise RefusalError(404, {"error": f"there is no {entity} {number}"})
            transaction = Transaction(self._system.store)
            transaction.update(entity, number, data, touch=not quiet)
            return self._commit(request, transaction, entity, number, quiet=quiet)

    def _commit(
        self, request: Request, transaction: Transaction, entity: str, number: int, *, quiet: bool = False
    ) -> Body:
        changes = transaction.commit()
        if not quiet:
            self._system.tell(request, changes)
        effect = transaction.effects[0][2]
        self._system.journal.add(request, at=transaction.now, entity=entity, object_id=number, effect=effect)
        row = self._system.store.row(entity, number)
        assert row is not None
        return row.data

    def _table(self, entity: str) -> Table:
        try:
            return self._system.store.tables[entity]
        except KeyError:
            known = ", ".join(self._system.store.tables)
            raise RefusalError(404, {"error": f"there is no {entity}; there are {known}"}) from None

    # --- over HTTP ------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Answer:
        try:
            return self._answer(request)
        except RefusalError as refusal:
            return refusal.answer()
        except (InvalidFaultError, InvalidSettingError, TypeError, ValueError) as error:
            return json_answer(400, {"error": str(error)})

    def _answer(self, request: Request) -> Answer:
        what = (request.method, *request.path.removeprefix(PREFIX).strip("/").split("/"))
        match what:
            case ("GET", "faults"):
                return json_answer(200, {"faults": self.faults()})
            case ("POST", "faults"):
                return json_answer(201, self._system.faults.add(_body(request)).described())
            case ("DELETE", "faults"):
                self.clear_faults()
                return Answer(204)
            case ("DELETE", "faults", number):
                return Answer(204) if self.remove_fault(int(number)) else json_answer(404, {"error": "no such fault"})
            case ("GET", "settings"):
                return json_answer(200, self.settings())
            case ("POST", "settings"):
                return json_answer(200, self.settings(**_body(request)))
            case ("POST", "reset"):
                self.reset()
                return Answer(204)
            case ("GET", "journal"):
                return json_answer(200, {"entries": self.journal(int(request.first("after") or 0))})
            case ("GET", "hooks"):
                return json_answer(200, self.hooks())
            case ("GET", "status"):
                return json_answer(200, self.status())
            case ("GET", "objects", entity):
                return json_answer(200, {"objects": self.objects(entity)})
            case ("POST", "objects", entity):
                return json_answer(201, self.plant(entity, **_body(request)))
            case ("PATCH", "objects", entity, number):
                return self._patch(request, entity, int(number))
        return json_answer(404, {"error": "see docs/guides/simulators.md for what there is"})

    def _patch(self, request: Request, entity: str, number: int) -> Answer:
        quiet = (request.first("quiet") or "0") not in ("0", "false")
        return json_answer(200, self.change(entity, number, **_body(request) | {"quiet": quiet}))


def _body(request: Request) -> Body:
    body = request.parsed()
    if not isinstance(body, dict) or any(not re.fullmatch(r"\w+", name) for name in body):
        raise ValueError("the body must be a JSON object")
    return body
