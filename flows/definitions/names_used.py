"""Which names of its context an expression uses: `steps.order.record` uses the step `order`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import jmespath

__all__ = ["Used", "names_used"]


@dataclass
class Used:
    """Names at the top of the context, and those below `steps` and `connections`."""

    top: set[str] = field(default_factory=set)
    steps: set[str] = field(default_factory=set)
    connections: set[str] = field(default_factory=set)


class _Value(Enum):
    """What a part of an expression is evaluated on, or gives."""

    CONTEXT = auto()
    STEPS = auto()
    CONNECTIONS = auto()
    OTHER = auto()


_BELOW = {"steps": _Value.STEPS, "connections": _Value.CONNECTIONS}
_CHAINS = frozenset(["subexpression", "index_expression", "pipe"])
_LOOPS = frozenset(["projection", "value_projection", "filter_projection"])
_SAME = frozenset(["current", "identity"])


def names_used(text: str) -> Used:
    """Read them from the tree of an expression that was found well. Names within loops over lists, and those
    behind `&`, are not the context's."""
    used = Used()
    _read(jmespath.compile(text).parsed, _Value.CONTEXT, used)
    return used


def _read(node: Mapping[str, Any], on: _Value, used: Used) -> _Value:
    """Note the names in a node that is evaluated on this. Returns what it gives."""
    kind, children = node["type"], [child for child in node.get("children", ()) if isinstance(child, Mapping)]
    if kind == "field":
        return _named(str(node["value"]), on, used)
    if kind in _SAME:
        return on
    if kind in _CHAINS:
        for child in children:
            on = _read(child, on, used)
        return on
    if kind in _LOOPS:
        _read(children[0], on, used)
        children = children[1:]
    on = _Value.OTHER if kind in _LOOPS or kind == "expref" else on
    for child in children:
        _read(child, on, used)
    return _Value.OTHER


def _named(name: str, on: _Value, used: Used) -> _Value:
    if on is _Value.CONTEXT:
        used.top.add(name)
        return _BELOW.get(name, _Value.OTHER)
    if on is _Value.STEPS:
        used.steps.add(name)
    if on is _Value.CONNECTIONS:
        used.connections.add(name)
    return _Value.OTHER
