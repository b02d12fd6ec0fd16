"""Stateful stand-ins of closed systems, over real HTTP, with faults.

They are written from the vendors' public documents and share no code with the connectors, so that a misreading in one
is found by the other. `docs/guides/simulators.md` tells how to use them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from integrations.simulators.kit.server import Simulator, serving
from integrations.simulators.kit.tenant import Tenant
from integrations.simulators.maintainx.tenant import MaintainX

SIMULATORS: dict[str, Callable[[], Tenant]] = {"maintainx": MaintainX}


@contextmanager
def running(
    name: str,
    *,
    seed: int = 1,
    port: int = 0,
    host: str = "127.0.0.1",
    scale: float = 1.0,
    records: int | None = None,
) -> Iterator[Simulator]:
    """Run a simulator in this process while the block lasts.

    `scale` sizes the whole seed (0.1 is a tenth); `records` sets the number of the biggest entity alone.
    """
    with serving(SIMULATORS[name](), host=host, port=port, seed=seed, scale=scale, records=records) as simulator:
        yield simulator
