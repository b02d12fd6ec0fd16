"""A process that reads and changes secrets without rest until its standard input ends, then tells what it wrote last.

python -m tests.chaos.key_load PART PARTS

It alone changes the rows of its part, and reads everybody's. Rows are also opened long after they were read.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
from collections import deque
from typing import Any
from uuid import UUID

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from django.db import transaction  # noqa: E402
from django_scopes import scopes_disabled  # noqa: E402

from connections.models import Credential  # noqa: E402
from workspaces.secrets import open_secret, seal  # noqa: E402

HELD = 40


def read(row: Any) -> int:
    """Open a secret; answers its number. A value of another row would not begin with this row's name."""
    name, _, number = open_secret(row).partition(" ")
    assert name == row.name, f"{row.name} holds a secret of {name}"
    return int(number)


def write(pk: UUID) -> int:
    """The next number, as a service that changes a secret does: under the row's lock."""
    with transaction.atomic():
        row = Credential.objects.select_for_update().get(pk=pk)
        number = read(row) + 1
        seal(row, f"{row.name} {number}")
        row.save(update_fields=["ciphertext", "reference", "updated_at"])
    return number


def wait_for_end(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def main() -> None:
    part, parts = int(sys.argv[1]), int(sys.argv[2])
    stop = threading.Event()
    threading.Thread(target=wait_for_end, args=(stop,), daemon=True).start()
    written: dict[str, int] = {}
    held: deque[Any] = deque()
    reads = 0
    with scopes_disabled():
        every = list(Credential.objects.order_by("pk").values_list("pk", flat=True))
        mine = every[part::parts]
        print("ready", flush=True)
        while not stop.is_set():
            pk = random.choice(mine)
            number = write(pk)
            assert number == written.get(str(pk), 0) + 1, "a change was lost"
            written[str(pk)] = number
            held.append(Credential.objects.get(pk=random.choice(every)))
            if len(held) > HELD:
                read(held.popleft())
                reads += 1
    print(json.dumps({"written": written, "reads": reads}), flush=True)


main()
