"""python -m tests.fuzz --cases 5000 [--seed 1] [--seconds 1800]

The last line tells how it went: {"cases": 20012, "server_errors": 0, "seed": 1}. `cases` is at least what was wished: the
systematic ones come on top of those by chance. The same seed sends the same.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from pathlib import Path

import pytest

from tests.fuzz import REPORT


def main() -> int:
    """By way of pytest, which makes the database and the world."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    parser.add_argument("--seconds", type=float, default=1800)
    wishes = vars(parser.parse_args())
    print(f"seed {wishes['seed']}", flush=True)
    os.environ["FUZZ"] = json.dumps(wishes)
    REPORT.unlink(missing_ok=True)
    test = Path(__file__).parent / "long.py"
    code = pytest.main([str(test), "-q", "-s", "--show-capture=no", "--timeout", str(wishes["seconds"] + 600)])
    print(REPORT.read_text().strip() if REPORT.exists() else '{"error": "the run did not come to its end"}')
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
