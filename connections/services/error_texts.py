"""A failure as it is kept on rows and shown to people: what it is, who must act, and what to press next."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from core.errors import Category, LineshaftError
from core.redaction import redact_text

_MAX_TEXT = 1000
# PostgreSQL stores no NUL, UTF-8 no half characters; a vendor's message may hold either.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

_ACTIONS = {
    Category.CONFIG: "Correct the connection's settings as the message says, then press Check.",
    Category.AUTH: "Ask the customer for valid credentials, enter them on the connection and save.",
    Category.PERMISSION: "Ask the customer to give the integration's account this right in the system, then press Check.",
    Category.NOT_LICENSED: "Ask the customer to have the vendor enable this feature, then press Check.",
    Category.RATE_LIMITED: "Nothing to do: it goes on by itself when the system allows it.",
    Category.TRANSIENT: "Nothing to do: it is tried again by itself. If it lasts, ask who runs the system.",
    Category.NOT_FOUND: "Check that the address and the names in the settings exist in the system, then press Check.",
    Category.VALIDATION: "Correct the value that the message names, then try again.",
    Category.BUSINESS_RULE: "Ask the customer to change the object in the system so that its rules allow this.",
    Category.CONFLICT: "Read the object again and repeat the change on what it says now.",
    Category.NOT_SUPPORTED: "Look at the connection's capabilities: the system cannot do this.",
    Category.TIMEOUT_UNKNOWN: "Look at the object in the system before trying again.",
    Category.BUG: "Report this to the maintainers of Lineshaft, with the log of this moment.",
}
_ACTIONS_BY_CODE = {
    "EGRESS_DENIED": "Have the operator add the system's network to EGRESS_ALLOWED_NETWORKS, or correct the address.",
    "KEY_MISSING": "Have the operator put the missing key back into ENCRYPTION_KEYS, or enter the secret again.",
    "CERTIFICATE_UNTRUSTED": "Enter the certificate of the customer's own authority as the connection's CA certificate.",
    "CERTIFICATE_EXPIRED": "Ask who runs the system to renew its certificate, then press Check.",
}


def error_json(error: LineshaftError) -> dict[str, Any]:
    """{code, category, message, who_must_act, retryable, action, source}: plain JSON that can be stored and shown.

    `action` is one sentence that says what to press or do next; `source` is {status, code, message} or None.
    """
    source = asdict(error.source) if error.source is not None else None
    if source is not None:
        source |= {name: _text(source[name]) for name in ("code", "message") if source[name] is not None}
    return {
        "code": error.code,
        "category": error.category.value,
        "message": _text(error.detail),
        "who_must_act": error.who_must_act.value,
        "retryable": error.retryable,
        "action": _ACTIONS_BY_CODE.get(error.code) or _ACTIONS[error.category],
        "source": source,
    }


def _text(text: str) -> str:
    return redact_text(_UNSTORABLE.sub("\ufffd", str(text)))[:_MAX_TEXT]
