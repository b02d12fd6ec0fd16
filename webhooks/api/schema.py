"""`webhooks` of the published OpenAPI document: every type of event as what is posted to an endpoint."""

from __future__ import annotations

from typing import Any

from webhooks.services.messages import TEST_TYPE
from webhooks.signing import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER
from workspaces.choices import EventType
from workspaces.event_catalogue import CATALOGUE, EventFacts, sample_event

Schema = dict[str, Any]

_ID = r"_[0-9a-f]{32}$"
_NULLABLE_TEXT: Schema = {"type": ["string", "null"]}
_PARTS = {
    "part": "Of full payloads that were split: which one this is, from 1",
    "parts": "Of full payloads that were split: how many there are",
}
_HEADERS = {
    ID_HEADER: "Id of the message: the event's, the same at each attempt. Drop what you have already",
    TIMESTAMP_HEADER: "When this attempt was signed, in seconds since 1970 (UTC). Refuse what is older than 5 minutes",
    SIGNATURE_HEADER: "`v1,` and a signature by each secret that holds, parted by spaces: one that fits is enough",
}


def add_webhooks(result: Schema, generator: Any, **_: Any) -> Schema:
    """drf-spectacular post-processing hook: put the types of events beside the paths, their bodies among the components."""
    components = result.setdefault("components", {}).setdefault("schemas", {})
    ours = {component_name(type): body_schema(type, facts) for type, facts in CATALOGUE.items()}
    taken = sorted(set(ours) & set(components))
    if taken:
        raise ValueError(f"These schema names are used by an event and by a serializer: {', '.join(taken)}.")
    components.update(ours)
    result["webhooks"] = {type.value: {"post": _operation(type, facts)} for type, facts in CATALOGUE.items()}
    return result


def component_name(type: EventType) -> str:
    """E.g. RecordCreatedEvent."""
    return type.value.replace(".", "_").title().replace("_", "") + "Event"


def body_schema(type: EventType, facts: EventFacts) -> Schema:
    """JSON schema of the body of an event of this type."""
    properties: Schema = {
        "id": {"type": "string", "pattern": f"^evt{_ID}"},
        "type": {"type": "string", "const": type.value},
        "timestamp": {"type": "string", "format": "date-time"},
        "workspace": {"type": "string", "pattern": f"^ws{_ID}"},
        "connection": {**_NULLABLE_TEXT, "description": "Which connection it is about; null: about none"},
        "position": {"type": "integer", "description": "Of the event in the feed; 0 for a test"},
        "reason": {**_NULLABLE_TEXT, "description": "Why, e.g. initial, incremental, full, remap, operation, test"},
        "origin_run": {**_NULLABLE_TEXT, "description": "The run (run_...) or operation (op_...) that caused it"},
        "data": _data(type, facts),
    }
    required = list(properties)
    if type.value.startswith("record."):
        properties |= {name: {"type": "integer", "description": text} for name, text in _PARTS.items()}
    return {
        "type": "object",
        "description": f"{facts.when[0].upper()}{facts.when[1:]}.",
        "required": required,
        "properties": properties,
    }


def _data(type: EventType, facts: EventFacts) -> Schema:
    """`required` names what is always there; readers must bear more."""
    schema: Schema = {"type": "object", "required": list(facts.data), "properties": dict(facts.data)}
    if type.value.startswith("record."):
        schema["properties"]["records"] = {
            "type": "array",
            "items": {"type": "object"},
            "description": "The records as the API shows them, for endpoints with full payloads; what is not there any more"
            " is named in `ids` alone",
        }
    return schema


def _operation(type: EventType, facts: EventFacts) -> Schema:
    content = {
        "schema": {"$ref": f"#/components/schemas/{component_name(type)}"},
        "examples": {"event": {"value": sample_event(type)}},
    }
    parameters = [
        {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
        for name, text in _HEADERS.items()
    ]
    return {
        "operationId": f"on{component_name(type)}",
        "tags": ["webhooks"],
        "summary": f"{facts.when[0].upper()}{facts.when[1:]}",
        "parameters": parameters,
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {
            "2XX": {"description": "You have it. Answer within 15 seconds, and work afterwards"},
            "410": {"description": "You want no more: the endpoint is disabled"},
            "default": {
                "description": f"Anything else is a failure, redirects too; it is tried again. Try with `{TEST_TYPE}`"
            },
        },
    }
