"""`make bench SUITE=operations`: what a write costs beyond the system's own time, while a big sync runs.

    .venv/bin/python -m benchmarks.operations --records 100000 --writes 160

A real web process, an operations worker, a sync worker and a tick, as `manage.py run` starts them; a client that sends PATCH
and POST with `Prefer: wait=30`, one at a time, then four at once. Tables for people come first; the last line of standard
output is one JSON object: {"p50_ms", "p95_ms", "four_p50_ms", "four_p95_ms", "operations", "sync_records_during"}; the first
two are of writes sent one at a time, the next of four at once. The exit code is 1 when something went wrong or `p95_ms` is
above the bar.

Overhead of one write = the time its client saw, less the time the system was busy with its requests by the system's own
record (for an update three: read, write, read back).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys

from benchmarks.ground import ground
from benchmarks.processes import BenchmarkError

BAR_MS = 150.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=int(os.environ.get("RECORDS") or 100_000))
    parser.add_argument("--writes", type=int, default=160, help="half of them one at a time, half four at once")
    parser.add_argument("--latency-ms", type=float, default=30, help="the least time the system takes for a request")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    try:
        with ground(1) as made:
            os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.operations_settings"
            import django

            django.setup()
            # Models can be had only now that the servers' addresses are known.
            from benchmarks import operations_bench

            result = operations_bench.measure(
                made, records=options.records, writes=options.writes, latency_ms=options.latency_ms
            )
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result))
    if result["p95_ms"] > BAR_MS:
        print(f"p95 is above {BAR_MS:.0f} ms.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
