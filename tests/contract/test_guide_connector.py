"""The connector of docs/guides/connectors.md, as it stands there, passes the contract with the tests that stand there."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from tests.documents import code_of

MODULE = "integrations.connectors.acme"


def _load() -> dict[str, Any]:
    """Run both code blocks of the guide, the connector under the name that its test imports."""
    connector, test = code_of("docs/guides/connectors.md", "python")
    module = ModuleType(MODULE)
    exec(compile(connector, "docs/guides/connectors.md", "exec"), module.__dict__)
    names: dict[str, Any] = {"__name__": __name__}
    sys.modules[MODULE] = module
    try:
        exec(compile(test, "docs/guides/connectors.md", "exec"), names)
    finally:
        del sys.modules[MODULE]
    return names


TestAcmeContract = _load()["TestAcmeContract"]
