"""`manage.py tick` that tells again of a row whose hint was lost after ten seconds instead of sixty.

python -m tests.chaos.operations.quick_tick
"""

from __future__ import annotations

import os

import django
from django.core.management import call_command

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from core import leases  # noqa: E402

leases.REHINT_AFTER_SECONDS = 10
call_command("tick", interval=0.3)
