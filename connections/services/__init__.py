"""What may be done with a connection. Callers outside of this room import from here."""

from connections.services.budget import take_call
from connections.services.calls import CallLog, forget_old_calls
from connections.services.capabilities import capabilities
from connections.services.cards import Card, Denial, card_of, cards_of
from connections.services.checking import Check, CheckOutcome, check_connection
from connections.services.ending import delete_connection, disconnect_connection, reconnect_connection, revive
from connections.services.error_texts import error_json
from connections.services.health import let_probe_through, record_success, record_trouble
from connections.services.lifecycle import (
    create_connection,
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
from connections.services.muted import AskedNothingError, muted_connector
from connections.services.opening import connector_of, open_connector
from connections.services.overrides import NewOverride, allow_again, forbid, overrides_of, set_overrides
from connections.services.passthrough import RawAnswer, RawCall, is_reading, pass_through
from connections.services.schemas import validate_body, write_schema
from connections.services.sharing import demand_shared
from connections.services.systems import demand_enabled, schedule_of

__all__ = [
    "AskedNothingError",
    "CallLog",
    "Card",
    "Check",
    "CheckOutcome",
    "Denial",
    "EffectiveMapping",
    "NewOverride",
    "RawAnswer",
    "RawCall",
    "allow_again",
    "capabilities",
    "card_of",
    "cards_of",
    "check_connection",
    "connector_of",
    "create_connection",
    "current_override",
    "definitions_of",
    "delete_connection",
    "demand_enabled",
    "demand_shared",
    "disconnect_connection",
    "effective_mapping",
    "ensure_default_mapping",
    "error_json",
    "forbid",
    "forget_old_calls",
    "is_reading",
    "let_probe_through",
    "muted_connector",
    "needs_check",
    "open_connector",
    "overrides_of",
    "pass_through",
    "pause_connection",
    "reconnect_connection",
    "record_success",
    "record_trouble",
    "resume_connection",
    "revive",
    "schedule_of",
    "set_mapping",
    "set_overrides",
    "take_call",
    "update_connection",
    "validate_body",
    "write_schema",
]
