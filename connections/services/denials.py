"""Why something may not be done, and the words it is told in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from integrations.sdk.declarations import Rule

Reason = Literal["platform", "source", "permission", "status", "scope", "override"]
WRITES = ("create", "update", "delete")
PAST = {"read": "read", "create": "created", "update": "updated", "delete": "deleted"}
OF_FIELDS = {"create": "given", "update": "changed"}
"""The operations that take fields, and what is done with one."""


@dataclass(frozen=True)
class Denial:
    """Why something may not be done: by our connector or mapping (`platform`), by the system (`source`), by the rights of
    its account (`permission`), by the object's `status`, by the caller's token (`scope`), by an administrator."""

    reason: Reason
    detail: str

    def as_json(self) -> dict[str, str]:
        return {"code": self.reason, "detail": self.detail}


@dataclass(frozen=True)
class Forbidden:
    """What an administrator forbade: a whole operation, or with `field` that one (of an `action`: its name)."""

    operation: str
    field: str = ""
    reason: str = ""


def because(rule: Rule) -> str:
    """The rule's reason, or what it says."""
    return rule.reason or (
        f"only while it is {one_of(rule.only_status)}." if rule.only_status else "the system's rule."
    )


def one_of(names: Iterable[str]) -> str:
    """`draft, open or sent`."""
    *rest, last = dict.fromkeys(names)
    return f"{', '.join(rest)} or {last}" if rest else last


def with_article(noun: str, *, capital: bool = False) -> str:
    """`a vendor`, `an asset`."""
    article = "an" if noun[0] in "aeiou" else "a"
    return f"{article.capitalize() if capital else article} {noun}"
