"""What may be done with a connection. Callers outside of this room import from here."""

from connections.services.budget import take_call
from connections.services.error_texts import error_json
from connections.services.health import let_probe_through, record_success, record_trouble
from connections.services.mappings import EffectiveMapping, effective_mapping, ensure_default_mapping, set_mapping
from connections.services.opening import connector_of, open_connector

__all__ = [
    "EffectiveMapping",
    "connector_of",
    "effective_mapping",
    "ensure_default_mapping",
    "error_json",
    "let_probe_through",
    "open_connector",
    "record_success",
    "record_trouble",
    "set_mapping",
    "take_call",
]
