"""`make bench`: prints tables for people, then one JSON object as the last line. See benchmarks/README.md."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from typing import Any

from benchmarks.ground import Ground, ground
from benchmarks.measured import PHASES
from benchmarks.processes import BenchmarkError


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    try:
        with ground(options.records) as made:
            result = _measure(made, options)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    default = int(os.environ.get("RECORDS") or 100_000)
    parser.add_argument("--records", type=int, default=default, help="how many there are upstream (RECORDS, 100000)")
    parser.add_argument("--reps", type=int, default=3, help="repetitions; medians are told")
    parser.add_argument("--only", choices=["sync", "list"], help="one of the two parts")
    parser.add_argument("--phase", action="append", choices=PHASES, help="only these phases (repeat it), in this order")
    parser.add_argument("--contestant", action="append", help="only these (repeat it): limit, project, limit-raw, ...")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one round of the list part")
    parser.add_argument("--profile", action="store_true", help="profile the engine in one process instead")
    return parser.parse_args()


def _measure(made: Ground, options: argparse.Namespace) -> dict[str, Any]:
    import django

    django.setup()
    # What follows imports models, which can be had only now that the servers' addresses are known.
    from benchmarks import list_bench, profiled, sync_bench

    if options.profile:
        profiled.profile(made, options.phase or ["initial", "unchanged"])
        return {"records": options.records}
    syncs: list[Any] = []
    listed: list[Any] = []
    if options.only != "list":
        contestants = options.contestant or sync_bench.CONTESTANTS
        phases = options.phase or PHASES
        syncs = sync_bench.measure(made, repetitions=options.reps, phases=phases, contestants=contestants)
    if options.only != "sync":
        listed = list_bench.measure(made, rounds=options.reps, seconds=options.seconds)
    for part in (sync_bench.report(syncs) if syncs else "", list_bench.report(listed) if listed else ""):
        if part:
            print(f"\n{part}", flush=True)
    return {
        "initial_vs_limit": _rounded(sync_bench.ratio(syncs, "initial")),
        "unchanged_vs_limit": _rounded(sync_bench.ratio(syncs, "unchanged")),
        "list_vs_drf": _rounded(list_bench.ratio(listed)),
        "peak_rss_mb": _rounded(sync_bench.peak_rss_mb(syncs), digits=1),
        "records": options.records,
    }


def _rounded(value: float | None, *, digits: int = 2) -> float | None:
    return None if value is None else round(value, digits)


if __name__ == "__main__":
    sys.exit(main())
