"""What the test ERP is asked, and what it answers with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

Answer = tuple[str, dict[str, str], bytes]


@dataclass
class Call:
    """One request as the server understood it. `parameters` holds the last value of each name."""

    method: str
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]
    body: Any = None


def as_json(value: Any, status: str = "200 OK") -> Answer:
    return status, {}, json.dumps(value).encode()


def refuse(status: str, message: str) -> Answer:
    return as_json({"message": message}, status)
