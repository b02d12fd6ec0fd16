"""`make bench SUITE=webhooks`: how many webhooks a second leave one worker process.

    .venv/bin/python -m benchmarks.webhooks --deliveries 8000 --rounds 3

The engine as `manage.py worker events` runs it, beside the usual way (a Celery task for each delivery) on a receiver that
answers at once, and beside the bare client of the same transport on one that takes 50 ms. In turns, several rounds,
medians. Tables for people come first; the last line of standard output is one JSON object: {"engine_per_s", "task_per_s",
"ratio", "engine_50ms_per_s", "bare_50ms_per_s", "ratio_50ms"}. The exit code is 1 when something went wrong or a ratio is
below its bar.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys

from benchmarks.ground import ground
from benchmarks.processes import BenchmarkError

RATIO_BAR, RATIO_50MS_BAR = 5.0, 0.6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--deliveries", type=int, default=8_000, help="a round; the way of one task each sends a quarter"
    )
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    try:
        with ground(1) as made:
            # A line of log for each task would cost the way of one task each a tenth of its time.
            os.environ.update(DJANGO_SETTINGS_MODULE="config.settings", LOG_LEVEL="WARNING")
            import django

            django.setup()
            # Models can be had only now that the servers' addresses are known.
            from benchmarks.webhooks import bench

            result = bench.measure(made, deliveries=options.deliveries, rounds=options.rounds)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result))
    if result["ratio"] < RATIO_BAR or result["ratio_50ms"] < RATIO_50MS_BAR:
        print(f"A ratio is below its bar: {RATIO_BAR} and {RATIO_50MS_BAR}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
