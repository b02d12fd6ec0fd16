"""The steps that touch what is outside of a run, by what they do. The others are done by the interpreter itself."""

from __future__ import annotations

from collections.abc import Mapping

from flows.engine.handlers.http import http_request
from flows.engine.handlers.records import get_record, list_records
from flows.engine.handlers.writes import write
from flows.engine.turn import Handler

HANDLERS: Mapping[str, Handler] = {
    "list_records": list_records,
    "get_record": get_record,
    "create_record": write,
    "update_record": write,
    "delete_record": write,
    "act_on_record": write,
    "http_request": http_request,
}
"""What a step does -> who does it."""
