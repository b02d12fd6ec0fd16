"""One customer's link to one instance of a system: its secrets, its mappings, its health, and how it came about."""

from connections.models.calls import UpstreamCall
from connections.models.connections import Connection
from connections.models.credentials import Credential, Grant
from connections.models.history import CapabilityOverrideHistory, ConnectionHistory, SystemSettingsHistory
from connections.models.linking import LinkSecret, LinkSession
from connections.models.mappings import Mapping, MappingField
from connections.models.overrides import CapabilityOverride
from connections.models.systems import SystemLogo, SystemSecret, SystemSettings

__all__ = [
    "CapabilityOverride",
    "CapabilityOverrideHistory",
    "Connection",
    "ConnectionHistory",
    "Credential",
    "Grant",
    "LinkSecret",
    "LinkSession",
    "Mapping",
    "MappingField",
    "SystemLogo",
    "SystemSecret",
    "SystemSettings",
    "SystemSettingsHistory",
    "UpstreamCall",
]
