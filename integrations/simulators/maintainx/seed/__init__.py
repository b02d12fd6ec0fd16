"""A plant's year of maintenance, the same for the same number but for the time it ends at, which is now."""

from __future__ import annotations

import random

from integrations.simulators.kit.store import Store
from integrations.simulators.maintainx.seed.orders import purchase_orders, work_orders
from integrations.simulators.maintainx.seed.plant import Plant, fill_plant

COUNTS = {"locations": 40, "assets": 120, "parts": 200, "vendors": 40, "workorders": 300, "purchaseorders": 120}


def fill(store: Store, seed: int, scale: float, records: int | None) -> None:
    """`scale` sizes everything, `records` is the number of work orders."""
    counts = {name: max(1, round(count * scale)) for name, count in COUNTS.items()}
    counts["workorders"] = counts["workorders"] if records is None else records
    plant = Plant(random.Random(seed), store.clock.now())
    fill_plant(plant, counts)
    plant.objects["workorders"] = work_orders(plant, counts["workorders"])
    plant.objects["purchaseorders"] = purchase_orders(plant, counts["purchaseorders"])
    for name, objects in plant.objects.items():
        store.tables[name].load(objects)
    store.counters |= {name: counts[name] for name in ("workorders", "purchaseorders")}
