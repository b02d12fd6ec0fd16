"""What the connect flow refuses."""

from __future__ import annotations

from dataclasses import dataclass, field

from connections.models import LinkSession
from core.errors import Category, LineshaftError, WhoMustAct

STATUS: dict[str, int] = {
    "LINK_UNKNOWN": 404,
    "LINK_EXPIRED": 410,
    "LINK_FINISHED": 410,
    "LINK_CANCELLED": 410,
    "LINK_OTHER_BROWSER": 409,
    "LINK_SYSTEM_UNAVAILABLE": 404,
    "LINK_NOT_TESTED": 409,
    "LINK_OVERTAKEN": 409,
    "LINK_TOO_MANY_TRIES": 429,
    "LINK_BUSY": 503,
    "LINK_STATE_FOREIGN": 400,
    "LINK_DENIED": 403,
    "LINK_OAUTH_FAILED": 424,
    "LINK_NOTHING_SHARED": 422,
    "LINK_NOTHING_TO_RENEW": 409,
    "CODE_UNKNOWN": 404,
    "CODE_EXPIRED": 410,
    "CODE_USED": 409,
}


@dataclass(eq=False)
class LinkError(LineshaftError):
    """The flow cannot go on so; `detail` says what to do, `session` is the one it is about, where that is known."""

    session: LinkSession | None = field(default=None, repr=False)

    category = Category.CONFLICT
    default_code = "LINK_UNKNOWN"
    who_must_act = WhoMustAct.CUSTOMER

    @property
    def http_status(self) -> int:
        return STATUS.get(self.code, 409)
