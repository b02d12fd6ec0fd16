"""Settings that would hurt later are refused at the start, each with an id and a hint."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any, NamedTuple

from celery import current_app
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from core.encryption import KeyRing, KeyRingError

MIN_PEPPER_CHARACTERS = 32


class QueueLimits(NamedTuple):
    """Seconds; None where this process has no Celery configuration to look at."""

    visibility: float | None
    soft: float | None
    hard: float | None


def queue_limits() -> QueueLimits:
    """What the Celery application of this process is configured with."""
    conf = current_app.conf
    visibility = (conf.broker_transport_options or {}).get("visibility_timeout")
    return QueueLimits(visibility, conf.task_soft_time_limit, conf.task_time_limit)


@register(Tags.security)
def key_ring_is_readable(**_: Any) -> list[CheckMessage]:
    """core.E001: secrets could be neither stored nor read."""
    try:
        KeyRing.from_text(getattr(settings, "ENCRYPTION_KEYS", ""))
    except KeyRingError as error:
        hint = 'Set ENCRYPTION_KEYS to `id:key`, the key from: python -c "import base64, os; print(base64.b64encode('
        return [Error(error.detail, hint=hint + 'os.urandom(32)).decode())"', id="core.E001")]
    return []


@register(Tags.security)
def key_file_is_private(**_: Any) -> list[CheckMessage]:
    """core.W001: whoever reads the file of the key ring opens every secret of the database."""
    path = getattr(settings, "ENCRYPTION_KEYS_FILE", "")
    try:
        mode = Path(path).stat().st_mode if path else 0
    except OSError:  # it was read at the start; a secret may be taken away from the disk afterwards
        return []
    if not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return []
    return [
        Warning(
            f"The file of the key ring ({path}) is open to others than its owner (mode {stat.S_IMODE(mode):04o}).",
            hint=f"chmod 600 {path}; in Kubernetes set defaultMode: 0400 for the secret's volume.",
            id="core.W001",
        )
    ]


@register()
def unfinished_tasks_return_after_they_ended(**_: Any) -> list[CheckMessage]:
    """core.E002: a task longer than the visibility time-out would run twice at once."""
    visibility, hard = queue_limits().visibility, queue_limits().hard
    if visibility is None or hard is None or visibility > hard:
        return []
    return [
        Error(
            f"The visibility time-out of the queue ({visibility} s) is not longer than a task may take ({hard} s).",
            hint="Raise broker_transport_options['visibility_timeout'] above task_time_limit.",
            id="core.E002",
        )
    ]


@register()
def tasks_are_warned_before_they_are_killed(**_: Any) -> list[CheckMessage]:
    """core.E003: without a soft limit before the hard one, work is killed instead of put back."""
    soft, hard = queue_limits().soft, queue_limits().hard
    if soft is None or hard is None or soft < hard:
        return []
    return [
        Error(
            f"The soft time limit of a task ({soft} s) is not shorter than the hard one ({hard} s).",
            hint="Lower task_soft_time_limit.",
            id="core.E003",
        )
    ]


@register()
def work_budget_fits_the_task(**_: Any) -> list[CheckMessage]:
    """core.E004: a run must put itself back before its task is stopped."""
    budget, soft = getattr(settings, "SYNC_WORK_BUDGET_SECONDS", None), queue_limits().soft
    if budget is None or soft is None or budget < soft:
        return []
    return [
        Error(
            f"SYNC_WORK_BUDGET_SECONDS ({budget} s) is not shorter than the soft time limit of a task ({soft} s).",
            hint="Lower SYNC_WORK_BUDGET_SECONDS.",
            id="core.E004",
        )
    ]


@register(Tags.security)
def token_pepper_is_long(**_: Any) -> list[CheckMessage]:
    """core.E005: digests of tokens are worth what their pepper is."""
    if len(getattr(settings, "TOKEN_PEPPER", "")) >= MIN_PEPPER_CHARACTERS:
        return []
    return [
        Error(
            f"TOKEN_PEPPER is shorter than {MIN_PEPPER_CHARACTERS} characters.",
            hint='Set it to the output of: python -c "import secrets; print(secrets.token_urlsafe(48))"',
            id="core.E005",
        )
    ]
