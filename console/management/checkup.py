"""What `manage.py doctor` looks at. Each check says what it saw and, when that is not well, what to do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any, Literal

import redis
from django.apps import apps
from django.conf import settings
from django.core import checks
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import F
from django.db.models.functions import Now

from core.checks import MIN_PEPPER_CHARACTERS
from core.encryption import DecryptionError, KeyRingError
from core.keys import default_ring
from core.leases import LeasedWork, oldest_due_seconds
from core.models import TickBeat
from workspaces.key_report import examine_secrets, ring_use

Status = Literal["ok", "warn", "fail"]
MIN_POSTGRESQL = 15
QUEUES = ("sync", "operations", "events", "flows")
LONG_QUEUE = 1000
MAX_TICK_SECONDS, MAX_DUE_SECONDS = 30, 120
SKEW_WARN_SECONDS, SKEW_FAIL_SECONDS = 2.0, 30.0
SECRETS_TRIED = 500
NEVER_ALLOW = ("0.0.0.0/0", "::/0", "169.254.0.0/16", "fe80::/10")


@dataclass(frozen=True)
class Finding:
    """What one check saw; `action` is empty when all is well."""

    name: str
    status: Status
    detail: str
    action: str = ""


def examine() -> list[Finding]:
    """Every check, in order. Those that need the database are left out when it does not answer."""
    findings = [*_settings(), *_egress(), *_keys(), *_broker()]
    try:
        findings += _database()
        for check in (_migrations, _stored_secrets, _ticks, _due_rows, _clock):
            findings += check()
    except DatabaseError as error:
        connection.close()
        first = str(error).splitlines()[0]
        findings.append(Finding("database", "fail", first, "Check DATABASE_URL and that PostgreSQL runs."))
    return findings


def _settings() -> Iterator[Finding]:
    """Django's own system checks, ours among them."""
    found = [message for message in checks.run_checks() if message.level >= checks.ERROR]
    for message in found:
        yield Finding("settings", "fail", f"{message.id}: {message.msg}", message.hint or "")
    if not found:
        mode = "production" if settings.PRODUCTION else "development"
        yield Finding("settings", "ok", f"System checks pass ({mode} mode)")


def _egress() -> Iterator[Finding]:
    allowed = settings.EGRESS_ALLOWED_NETWORKS
    wide = [n for n in allowed if any(_overlaps(n, never) for never in NEVER_ALLOW[2:]) or n in NEVER_ALLOW[:2]]
    if wide:
        action = "Name in EGRESS_ALLOWED_NETWORKS only the networks the customers' systems are in."
        yield Finding("egress", "warn", f"Too wide: {', '.join(wide)}", action)
    elif allowed:
        yield Finding("egress", "ok", f"Public addresses and {', '.join(allowed)}")
    else:
        yield Finding("egress", "ok", "Public addresses only")


def _overlaps(one: str, other: str) -> bool:
    first, second = ip_network(one), ip_network(other)
    return first.version == second.version and first.overlaps(second)


def _keys() -> Iterator[Finding]:
    try:
        ring = default_ring()
        opened = ring.decrypt(ring.encrypt("doctor", bound_to="doctor"), bound_to="doctor")
    except (KeyRingError, DecryptionError) as error:
        yield Finding("keys", "fail", error.detail, "Set ENCRYPTION_KEYS; `manage.py check` says how.")
    else:
        good = opened == b"doctor"
        yield Finding("keys", "ok" if good else "fail", "The key ring encrypts and decrypts" if good else "It does not")
    if len(settings.TOKEN_PEPPER) < MIN_PEPPER_CHARACTERS:
        yield Finding("pepper", "fail", "TOKEN_PEPPER is too short", "Set 32 or more random characters.")
    else:
        yield Finding("pepper", "ok", "Set")


def _broker() -> Iterator[Finding]:
    """Redis, its queues, and whether somebody listens to them."""
    if not settings.REDIS_URL:
        yield Finding("redis", "fail", "REDIS_URL is not set", "Set it; workers are told of work through Redis.")
        return
    client = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=5)
    try:
        began = time.monotonic()
        client.ping()
        yield Finding("redis", "ok", f"Answers in {(time.monotonic() - began) * 1000:.1f} ms")
        lengths = {queue: int(client.llen(settings.REDIS_PREFIX + queue)) for queue in QUEUES}
        yield _queues(lengths)
        yield _worker(client)
    except redis.RedisError as error:
        action = "Check REDIS_URL and that Redis runs. Nothing is lost meanwhile; syncs wait."
        yield Finding("redis", "fail", f"{type(error).__name__}: {str(error)[:200]}", action)
    finally:
        client.close()


def _queues(lengths: dict[str, int]) -> Finding:
    detail = ", ".join(f"{queue} {length}" for queue, length in lengths.items())
    if max(lengths.values()) > LONG_QUEUE:
        return Finding("queues", "warn", detail, "Start more workers of the long queue.")
    return Finding("queues", "ok", detail)


def _worker(client: Any) -> Finding:
    """A worker waits for its queues with BRPOP, and Redis shows who does."""
    try:
        clients = client.client_list()
    except redis.ResponseError:
        return Finding("worker", "warn", "Unknown: Redis does not let us list its clients", "See `due work` below.")
    listening = sum(1 for one in clients if one.get("cmd") == "brpop")
    if listening:
        return Finding("worker", "ok", f"{listening} listening to the broker")
    action = "Start one for each queue, e.g. `manage.py worker sync`."
    return Finding("worker", "warn", "Nobody listens to the broker at this moment", action)


def _database() -> Iterator[Finding]:
    connection.ensure_connection()
    version = connection.pg_version  # type: ignore[attr-defined]  # PostgreSQL alone is supported
    shown = f"PostgreSQL {version // 10000}.{version % 10000}"
    if version < MIN_POSTGRESQL * 10000:
        yield Finding("database", "fail", shown, f"Upgrade to PostgreSQL {MIN_POSTGRESQL} or newer.")
    else:
        yield Finding("database", "ok", shown)


def _migrations() -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    missing = [migration for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]
    if missing:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration in missing[:5])
        yield Finding("migrations", "fail", f"{len(missing)} not applied: {names}", "Run `manage.py migrate`.")
    else:
        yield Finding("migrations", "ok", "All applied")


def _stored_secrets() -> Iterator[Finding]:
    try:
        missing = [key for key in ring_use() if not key.in_ring]
        report = examine_secrets(latest=SECRETS_TRIED)
    except KeyRingError:
        return  # told under "keys"
    action = "`manage.py check_keys` names each. Put the missing key back into ENCRYPTION_KEYS, behind the first."
    if report.unopened:
        detail = f"{len(report.unopened)} of {report.stored} stored secrets cannot be decrypted"
        yield Finding("secrets", "fail", detail, action)
    elif missing:
        detail = f"Needed but not in the key ring: {', '.join(key.id for key in missing)}"
        yield Finding("secrets", "fail", detail, action)
    else:
        detail = f"The latest {report.stored} stored can be decrypted" if report.stored else "None stored"
        yield Finding("secrets", "ok", detail)


def _ticks() -> Iterator[Finding]:
    beats = {beat.name: beat for beat in TickBeat.objects.annotate(age=Now() - F("last_at"))}
    late = [name for name in settings.TICKS if name not in beats or beats[name].age.total_seconds() > MAX_TICK_SECONDS]
    broken = [beat for beat in beats.values() if beat.problem and beat.name in settings.TICKS]
    if late:
        detail = f"Not run in {MAX_TICK_SECONDS} s: {', '.join(late)}"
        yield Finding("tick", "fail", detail, "Start `manage.py tick`: without it no sync is dispatched.")
    for beat in broken:
        yield Finding("tick", "fail", f"{beat.name}: {beat.problem}", "See the log of the tick process.")
    if not late and not broken:
        yield Finding("tick", "ok", f"All {len(settings.TICKS)} duties ran in the last {MAX_TICK_SECONDS} s")


def _due_rows() -> Iterator[Finding]:
    kinds = [model for model in apps.get_models() if issubclass(model, LeasedWork)]
    ages = {str(kind._meta.verbose_name_plural): oldest_due_seconds(kind) or 0.0 for kind in kinds}
    late = {name: age for name, age in ages.items() if age > MAX_DUE_SECONDS}
    if late:
        detail = ", ".join(f"{name} wait {age:.0f} s" for name, age in late.items())
        yield Finding("due work", "fail", detail, "Start workers, or more of them.")
    else:
        yield Finding("due work", "ok", f"Nothing waits longer than {MAX_DUE_SECONDS} s")


def _clock() -> Iterator[Finding]:
    """Our clock against the database's, allowing for the time the question took."""
    before = datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (theirs,) = cursor.fetchone()
    after = datetime.now(UTC)
    skew = max((before - theirs).total_seconds(), (theirs - after).total_seconds(), 0.0)
    status: Status = "fail" if skew > SKEW_FAIL_SECONDS else "warn" if skew > SKEW_WARN_SECONDS else "ok"
    action = "" if status == "ok" else "Let both hosts follow NTP: leases are measured by the database's clock."
    yield Finding("clock", status, f"{skew:.1f} s from the database's", action)
