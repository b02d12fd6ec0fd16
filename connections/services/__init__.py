"""What may be done with a connection. Callers outside of this room import from here."""

from connections.services.budget import take_call
from connections.services.capabilities import capabilities
from connections.services.checking import Check, CheckOutcome, check_connection
from connections.services.error_texts import error_json
from connections.services.health import let_probe_through, record_success, record_trouble
from connections.services.lifecycle import (
    create_connection,
    disconnect_connection,
    needs_check,
    pause_connection,
    resume_connection,
    update_connection,
)
from connections.services.mappings import (
    EffectiveMapping,
    current_override,
    definitions_of,
    effective_mapping,
    ensure_default_mapping,
    set_mapping,
)
from connections.services.opening import connector_of, open_connector

__all__ = [
    "Check",
    "CheckOutcome",
    "EffectiveMapping",
    "capabilities",
    "check_connection",
    "connector_of",
    "create_connection",
    "current_override",
    "definitions_of",
    "disconnect_connection",
    "effective_mapping",
    "ensure_default_mapping",
    "error_json",
    "let_probe_through",
    "needs_check",
    "open_connector",
    "pause_connection",
    "record_success",
    "record_trouble",
    "resume_connection",
    "set_mapping",
    "take_call",
    "update_connection",
]
