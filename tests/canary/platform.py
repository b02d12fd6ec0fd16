"""The platform as it runs for real: web, workers and tick in processes of their own, everything they say in one log."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from tests.chaos import processes

READY_SECONDS, STOP_SECONDS = 90.0, 60.0


@dataclass(frozen=True)
class Platform:
    url: str
    log: Path


@contextmanager
def running(folder: Path, extra: Mapping[str, str]) -> Iterator[Platform]:
    """`manage.py run` on the test's own database and Redis, with DEBUG in its log."""
    log = folder / "platform.log"
    environment = {
        **processes.environment(),
        "DJANGO_SETTINGS_MODULE": "tests.canary.settings",
        "REDIS_PREFIX": settings.REDIS_PREFIX,
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "json",
        "WEB_CONCURRENCY": "1",
        **extra,
    }
    environment.pop("PYTHONWARNINGS", None)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "run", "--port", "0"],
            cwd=processes.ROOT, env=environment, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
        try:
            yield Platform(_address(process, log), log)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(STOP_SECONDS)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    def said() -> bool:
        assert process.poll() is None, log.read_text()[-3000:]
        return "Lineshaft runs" in log.read_text()

    processes.until(said, seconds=READY_SECONDS, what="the platform runs")
    found = re.search(r"(http://127\.0\.0\.1:\d+)/admin/", log.read_text())
    assert found
    return found[1]
