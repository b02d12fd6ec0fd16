"""The one door out: all outgoing HTTP of the platform goes through here (design 3.5). Django-free."""

from core.http.door import Door
from core.http.messages import UNSET, CallRecord, Request, Response
from core.http.policy import EgressPolicy, connection_policy, webhook_policy, webhook_policy_in_test
from core.http.resolver import resolve_allowed
from core.http.tls import TlsOptions

__all__ = [
    "UNSET",
    "CallRecord",
    "Door",
    "EgressPolicy",
    "Request",
    "Response",
    "TlsOptions",
    "connection_policy",
    "resolve_allowed",
    "webhook_policy",
    "webhook_policy_in_test",
]
