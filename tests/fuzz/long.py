"""What `make fuzz` runs: as many cases as are wished. Collected only when it is named."""

from __future__ import annotations

import json
import os

from tests.fuzz import REPORT
from tests.fuzz.run import fuzz
from tests.tenancy.world import World


def test_as_many_as_were_wished(world: World) -> None:
    wishes = json.loads(os.environ["FUZZ"])
    report = fuzz(world, **wishes)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(f"{report.last_line()}\n")
    print(report.telling())
    assert report.is_clean and report.cases >= wishes["cases"], report.telling()
