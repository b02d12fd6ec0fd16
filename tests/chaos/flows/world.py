"""The flow that is run: reads, writes, waits and a for-each, each effect with a text of its own."""

from __future__ import annotations

from typing import Any

from connections.models import Connection
from core import ids
from flows.models import Flow
from flows.services.editing import create_flow, publish

ITEMS = ("a", "b", "c")
WAIT_SECONDS = 1
DEFINITION: dict[str, Any] = {
    "format": 1,
    "title": "Chaos",
    "connections": {"cmms": {"system": "maintainx"}},
    "trigger": {"on": "api"},
    "queue": {"mode": "parallel", "limit": 20},
    "steps": [
        {"name": "look", "do": "list_records", "connection": "cmms", "entity": "asset", "limit": 3},
        {"name": "words", "do": "map", "value": {"title": {"$": "join('-', [trigger.body.mark, 'order'])"}}},
        {
            "name": "order",
            "do": "create_record",
            "connection": "cmms",
            "entity": "work_order",
            "body": {"title": {"$": "steps.words.title"}},
        },
        {"name": "rest", "do": "wait", "seconds": WAIT_SECONDS},
        {
            "name": "each",
            "do": "for_each",
            "items": "trigger.body.items",
            "key": "item",
            "on_item_error": "fail",
            "steps": [
                {
                    "name": "part",
                    "do": "create_record",
                    "connection": "cmms",
                    "entity": "inventory_item",
                    "body": {"name": {"$": "join('-', [trigger.body.mark, 'part', item])"}},
                }
            ],
        },
        {
            "name": "note",
            "do": "update_record",
            "connection": "cmms",
            "entity": "work_order",
            "id": {"$": "steps.order.record.id"},
            "body": {"description": {"$": "join('-', [trigger.body.mark, 'note'])"}},
        },
        {
            "name": "tell",
            "do": "emit",
            "type": "custom.chaos.done",
            "data": {"mark": {"$": "trigger.body.mark"}},
        },
    ],
}
WRITES = (
    # table of the simulator, what is done, the text's end
    ("workorders", "created", "order"),
    *(("parts", "created", f"part-{item}") for item in ITEMS),
    ("workorders", "updated", "note"),
)
PATHS = ("look", "words", "order", "rest", "each", *(f"each[{item}]" for item in ITEMS),
         *(f"each[{item}].part" for item in ITEMS), "note", "tell")  # fmt: skip


def make_flow(connection: Connection) -> Flow:
    """The flow, published. Within the scope of the connection's workspace."""
    flow = create_flow(
        connection.workspace,
        connection.environment,
        name="Chaos",
        description="",
        definition=DEFINITION,
        bindings={"cmms": ids.show(Connection.PREFIX, connection.pk)},
        by="chaos",
    )
    publish(flow, by="chaos")
    flow.refresh_from_db()
    return flow
