"""The connector of docs/guides/connectors.md, as it stands there, passes the contract with the tests that stand there."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from connections.services import Card
from tests.documents import code_of

MODULE = "integrations.connectors.acme"


def _load() -> dict[str, Any]:
    """Run the code blocks of the guide, the connector under the name that its test and its writing form import."""
    connector, test, writing = code_of("docs/guides/connectors.md", "python")
    module = ModuleType(MODULE)
    exec(compile(connector, "docs/guides/connectors.md", "exec"), module.__dict__)
    names: dict[str, Any] = {"__name__": __name__}
    sys.modules[MODULE] = module
    try:
        exec(compile(test, "docs/guides/connectors.md", "exec"), names)
        exec(compile(writing, "docs/guides/connectors.md", "exec"), names)
    finally:
        del sys.modules[MODULE]
    return names


_NAMES = _load()
TestAcmeContract = _NAMES["TestAcmeContract"]


def test_writes_when_declared_as_in_the_guide_then_the_card_says_so() -> None:
    card = Card(_NAMES["WritingAcme"], "purchase_order")

    assert card.operation("create") is None and card.operation("delete", "open") is None
    assert "done" in getattr(card.operation("delete", "done"), "detail", "")
    assert card.field("update", "lines", "draft") is None
    assert "an approved order keeps its lines" in getattr(card.field("update", "lines", "open"), "detail", "")
    assert card.action("approve", "draft") is None and card.action("approve", "open") is not None
