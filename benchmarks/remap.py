"""`python -m benchmarks.remap`: how fast a changed mapping is applied to what is stored, beside the initial sync.

    .venv/bin/python -m benchmarks.remap --records 100000 --reps 3

A real Celery worker as in `benchmarks.run`. After the initial sync three mappings are published and applied: one that
changes every record, one that changes one in seven (an unmapped status), and one that goes back to the default. Each is
checked: what changed, what the events told, and that nothing was asked of the system. A table comes first; the last line is
one JSON object, speeds as a share of the initial sync's: {"all_vs_initial", "few_vs_initial", "back_vs_initial", "records"}.
The exit code is 1 when something went wrong or one of them is below the bar.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys

from benchmarks.ground import ground
from benchmarks.processes import BenchmarkError

BAR = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=int(os.environ.get("RECORDS") or 100_000))
    parser.add_argument("--reps", type=int, default=3, help="repetitions; medians are told")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    try:
        with ground(options.records) as made:
            import django

            django.setup()
            # Models can be had only now that the servers' addresses are known.
            from benchmarks import remap_bench

            result = remap_bench.measure(made, repetitions=options.reps)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result))
    slow = [name for name, value in result.items() if name.endswith("_vs_initial") and value < BAR]
    if slow:
        print(f"Slower than the initial sync: {', '.join(slow)}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
